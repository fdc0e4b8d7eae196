# block-drbd: build, test, try, install.

CARGO   ?= cargo
TARGET  := x86_64-unknown-linux-gnu
BINARY  := target/$(TARGET)/release/block-drbd
PREFIX  ?= /usr
SCRIPTS ?= /etc/xen/scripts
UNITS   ?= $(PREFIX)/lib/systemd/system

.PHONY: build deps check check-repro unit model test lab lab-all lab-campaign demo bench faults fuzz install install-units clean

# Where the sources stand shows in the messages of a panic: without these two the binary would be another
# one for each builder (`make check-repro`).
CARGO_HOME ?= $(HOME)/.cargo
REMAP   := --config "target.$(TARGET).rustflags=['--remap-path-prefix=$(CARGO_HOME)=/cargo', '--remap-path-prefix=$(CURDIR)=/block-drbd']"

build:
	$(CARGO) build --release --locked $(REMAP)
	@file $(BINARY) | grep -q 'statically linked' || { echo "build: $(BINARY) is not static: is RUSTFLAGS set in the environment?" >&2; exit 1; }

# Debian packages that the tests and the lab need, where they are missing.
PACKAGES := qemu-system-x86 busybox-static cpio zstd xz-utils kmod strace file util-linux
deps:
	@missing=$$(for p in $(PACKAGES); do dpkg-query -W -f='$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || echo $$p; done); \
	if [ -n "$$missing" ]; then echo "deps: installing $$missing"; apt-get update -q && apt-get install -q -y --no-install-recommends $$missing; fi

check:
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(CARGO) clippy --locked --test lab --test model -- -D warnings

# Two builds of what is committed, in two homes, are the same to the byte.
check-repro:
	@rm -rf target/repro; for home in one two; do \
	  mkdir -p target/repro/$$home/tree target/repro/$$home/cargo && git archive HEAD | tar -x -C target/repro/$$home/tree && \
	  cp -a $(CARGO_HOME)/registry target/repro/$$home/cargo/ && \
	  CARGO_HOME=$(CURDIR)/target/repro/$$home/cargo CARGO_NET_OFFLINE=true $(MAKE) -s -C target/repro/$$home/tree build || exit 1; done
	@sha256sum target/repro/*/tree/$(BINARY); cmp target/repro/one/tree/$(BINARY) target/repro/two/tree/$(BINARY)
	@if grep -a -q -e '$(HOME)/' -e '$(CURDIR)' target/repro/one/tree/$(BINARY); then echo "check-repro: the builder's paths are in the binary" >&2; exit 1; fi
	@rm -rf target/repro

unit:
	$(CARGO) test --locked

# Two hosts in every order of events, around the real rules and handlers; then the same with each
# safeguard taken away, which must show. Each exploration ends, all of them together in about half an
# hour of one core and with 4 GB of memory. `make model MODEL='WithoutLock --paths'` explores one of
# them and prints how it goes wrong.
model:
	$(CARGO) test --locked --profile model --test model -- $(MODEL)

# Everything that must pass.
test: deps check build unit lab

# Two real Xen hosts with DRBD in QEMU: `make lab` runs the essential scenarios,
# `make lab-all` every one, `make lab SCENARIO=create-destroy` those named.
lab: deps build
	$(CARGO) test --locked --test lab -- $(SCENARIO)

lab-all: deps build
	$(CARGO) test --locked --test lab -- --all

# Random create, destroy and migrate with a random fault each; the same seed gives the same rounds.
SEED   ?= 1
ROUNDS ?= 20
lab-campaign: deps build
	$(CARGO) test --locked --test lab -- --campaign $(SEED) $(ROUNDS)

demo: deps build
	$(CARGO) test --locked --test lab -- --demo

bench: deps build
	$(CARGO) test --locked --release --test vbds --test handler_times -- --nocapture
	$(CARGO) test --locked --test lab -- --bench

# Every system call of the shipped binary goes wrong in every way that it can, one at a time, in all
# its modes or in one: `make faults FLOW=remove` (tests/faults/flows.rs names them); in that, only
# those with these words in their line: `make faults FLOW=remove PAIR='(fsync 1)'`.
faults: deps build
	FLOW='$(FLOW)' PAIR='$(PAIR)' $(CARGO) test --locked --test faults -- --ignored --nocapture

# libFuzzer on each parser in turn, or on one: `make fuzz FUZZ=proc_drbd SECONDS=600`. Needs
# cargo-fuzz (cargo install cargo-fuzz --locked) and a C++ compiler. Coverage is counted by the
# stable compiler; the sanitizers would need a nightly one, and the parsers have no unsafe code.
# What it finds new stands in fuzz/target/found, what fails in fuzz/artifacts: keep that in
# fuzz/corpus, which `make test` runs.
FUZZ    ?= $(basename $(notdir $(wildcard fuzz/fuzz_targets/*.rs)))
SECONDS ?= 60
fuzz:
	@cd fuzz && for target in $(FUZZ); do mkdir -p target/found/$$target; echo "fuzz: $$target"; \
	$(CARGO) fuzz run --sanitizer none $$target target/found/$$target corpus/$$target -- \
	  -max_total_time=$(SECONDS) -timeout=10 -max_len=16384 -verbosity=0 -print_final_stats=1 || exit 1; done

# The name /etc/xen/scripts/block-drbd belongs to Debian's drbd-utils: it is
# diverted, never overwritten.
install: build install-units
	@if [ -z "$(DESTDIR)" ] && [ -e $(SCRIPTS)/block-drbd ] && ! cmp -s $(BINARY) $(SCRIPTS)/block-drbd && dpkg -S $(SCRIPTS)/block-drbd >/dev/null 2>&1; then \
	  dpkg-divert --local --rename --divert $(SCRIPTS)/block-drbd.drbd-utils --add $(SCRIPTS)/block-drbd; fi
	install -D -m 0755 $(BINARY) $(DESTDIR)$(SCRIPTS)/block-drbd
	install -D -m 0644 man/block-drbd.8 $(DESTDIR)$(PREFIX)/share/man/man8/block-drbd.8
	[ -e $(DESTDIR)/etc/xen/block-drbd.toml ] || install -D -m 0644 etc/block-drbd.toml $(DESTDIR)/etc/xen/block-drbd.toml
	install -D -m 0644 etc/drbd.d/xen-handlers.res $(DESTDIR)$(PREFIX)/share/doc/block-drbd/xen-handlers.res
	mkdir -p $(DESTDIR)$(PREFIX)/sbin
	ln -sfn $(SCRIPTS)/block-drbd $(DESTDIR)$(PREFIX)/sbin/block-drbd

# The release timer, and xendomains after drbd. Nothing is enabled, and nothing is reloaded when
# it is installed for another machine.
install-units:
	mkdir -p $(DESTDIR)$(UNITS)
	sed 's|/etc/xen/scripts/|$(SCRIPTS)/|' systemd/block-drbd-release.service | install -m 0644 /dev/stdin $(DESTDIR)$(UNITS)/block-drbd-release.service
	install -m 0644 systemd/block-drbd-release.timer $(DESTDIR)$(UNITS)/block-drbd-release.timer
	install -D -m 0644 systemd/xendomains.service.d/block-drbd.conf $(DESTDIR)$(UNITS)/xendomains.service.d/block-drbd.conf
	$(if $(DESTDIR),,if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi)

clean:
	$(CARGO) clean
