//! The list of scenarios, and what one is.

use crate::pair::Pair;
use crate::scenarios as s;
use anyhow::Result;

/// Something that must hold on real machines.
pub struct Scenario {
    /// How it is called on the command line.
    pub name: &'static str,
    /// What it uses; down before it starts and after it ends.
    pub resources: &'static [&'static str],
    /// Whether it needs the binary under test.
    pub ours: bool,
    /// Whether it runs when no scenario is named.
    pub essential: bool,
    /// Does it and asserts.
    pub run: fn(&Pair) -> Result<()>,
}

const fn lab(
    name: &'static str,
    resources: &'static [&'static str],
    run: fn(&Pair) -> Result<()>,
) -> Scenario {
    Scenario { name, resources, ours: false, essential: true, run }
}

const fn ours(
    name: &'static str,
    resources: &'static [&'static str],
    run: fn(&Pair) -> Result<()>,
) -> Scenario {
    Scenario { name, resources, ours: true, essential: true, run }
}

/// The same, only for `make lab-all`: another scenario shows nearly as much, or it takes long.
const fn extra(scenario: Scenario) -> Scenario {
    Scenario { essential: false, ..scenario }
}

/// `make demo`.
pub const DEMO: Scenario = ours("demo", &["r1"], crate::demo::run);

/// `make bench`.
pub const BENCH: Scenario = ours("bench", &["r6"], crate::bench::run);

/// In the order in which they run: first what proves the lab itself.
pub const ALL: &[Scenario] = &[
    lab("boot", &["r0"], s::boot::run),
    lab("drives", &[], s::drives::run),
    lab("old-script", &["r0"], s::old_script::run),
    ours("create-destroy", &["r1"], s::create_destroy::run),
    ours("reboot", &["r2"], s::reboot::run),
    ours("refused-peer-primary", &["r3"], s::refused_peer_primary::run),
    ours("refused-disk-inconsistent", &["r4"], s::refused_disk_inconsistent::run),
    ours("device-held", &["r5"], s::device_held::run),
    extra(ours("degraded-reboot", &["r2"], s::degraded_reboot::run)),
    ours("failed-add-rolls-back", &["r6"], s::failed_add_rolls_back::run),
    ours("kill-add", &["r1"], s::kill_add::run),
    lab("xenstore-conformance", &[], s::xenstore_conformance::run),
    lab("drbd-conformance", &["r7"], s::drbd_conformance::run),
    ours("pvh", &["r2"], s::pvh::run),
    ours("pygrub", &["r3"], s::pygrub::run),
    ours("refused-write-order-none", &["r4"], s::refused_durability::write_order_none),
    extra(ours("refused-write-order-drain", &["r4"], s::refused_durability::write_order_drain)),
    extra(ours("refused-write-order-downgraded", &["f0"], s::refused_durability::write_order_downgraded)),
    extra(ours("refused-md-flushes-off", &["r4"], s::refused_durability::md_flushes_off)),
    extra(ours("refused-al-updates-off", &["r4"], s::refused_durability::al_updates_off)),
    ours("refused-cache-view", &["r4"], s::refused_durability::cache_view),
    extra(ours("refused-protocol", &["r4"], s::refused_durability::protocol)),
    extra(ours("refused-diskless", &["r4"], s::refused_durability::diskless)),
    // Last: they leave machines that were booted again.
    ours("flush-safe", &["f0"], s::flush_safe::run),
    extra(ours("flush-safe-secondary", &["f0"], s::flush_safe::run_secondary)),
    extra(lab("flush-gap-secondary", &["f0"], s::flush_gap_secondary::run)),
    lab("flush-lost-write-order-none", &["f0"], s::flush_lost_write_order_none::run),
    extra(lab("flush-lost-write-order-drain", &["f0"], s::flush_lost_write_order_drain::run)),
    extra(lab("flush-lost-write-order-downgraded", &["f0"], s::flush_lost_write_order_downgraded::run)),
    extra(lab("flush-lost-md-flushes-off", &["f1"], s::flush_lost_md_flushes_off::run)),
    extra(lab("flush-lost-cache-view", &["f0"], s::flush_lost_cache_view::run)),
    lab("flush-lost-diskless", &["f0"], s::flush_lost_diskless::run),
    extra(lab("flush-lost-protocol", &["f0"], s::flush_lost_protocol::run)),
];
