//! The systemd units: what they run exists, and `make install` puts them where systemd looks.

#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

#[path = "support/place.rs"]
mod place;

use block_drbd::cli::{Cli, Command as Word};
use clap::Parser;
use place::Place;
use std::fs;
use std::path::Path;
use std::process::Command;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const UNITS: [&str; 3] =
    ["block-drbd-release.service", "block-drbd-release.timer", "xendomains.service.d/block-drbd.conf"];

fn unit(name: &str) -> String {
    fs::read_to_string(format!("{ROOT}/systemd/{name}")).unwrap()
}

/// The values of a key.
fn values<'a>(text: &'a str, key: &str) -> Vec<&'a str> {
    text.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect()
}

fn make(arguments: &[&str]) -> String {
    let output = Command::new("make").current_dir(ROOT).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn what_a_unit_runs_is_a_command_of_this_program() {
    let service = unit(UNITS[0]);
    let runs = values(&service, "ExecStart");
    assert_eq!(runs.len(), 1);
    let mut words = runs[0].split(' ');
    assert_eq!(words.next(), Some("/etc/xen/scripts/block-drbd"));
    let cli = Cli::try_parse_from(std::iter::once("block-drbd").chain(words)).unwrap();
    assert!(matches!(cli.command, Word::Release { all: true, recorded: false, wait: 0, .. }), "{cli:?}");
    assert_eq!(values(&service, "Type"), ["oneshot"]);
    assert_eq!(values(&service, "RestrictAddressFamilies"), ["AF_NETLINK AF_UNIX"]);
}

#[test]
fn the_timer_runs_the_service_each_minute() {
    let timer = unit(UNITS[1]);
    assert_eq!(values(&timer, "OnUnitInactiveSec"), ["1min"]);
    assert_eq!(values(&timer, "WantedBy"), ["timers.target"]);
    // Without Unit= it is the service of the same name (systemd.timer(5)).
    assert!(values(&timer, "Unit").is_empty() && values(&timer, "Persistent").is_empty());
    assert_eq!(values(&unit(UNITS[2]), "After"), ["drbd.service"]);
}

#[test]
fn the_units_are_installed_below_destdir_and_nothing_else_happens() {
    let place = Place::new();
    let destdir = format!("DESTDIR={}", place.path().display());
    let found = |below: &str, name: &str| {
        fs::read_to_string(place.path().join(below).join("systemd/system").join(name)).unwrap()
    };
    make(&["install-units", &destdir]);
    for name in UNITS {
        assert_eq!(found("usr/lib", name), unit(name), "{name}");
    }
    make(&["install-units", &destdir, "PREFIX=/usr/local", "SCRIPTS=/opt/xen/scripts"]);
    let service = found("usr/local/lib", UNITS[0]);
    assert_eq!(values(&service, "ExecStart"), ["/opt/xen/scripts/block-drbd release --all"]);
    let (elsewhere, here) = (make(&["-n", "install", &destdir]), make(&["-n", "install"]));
    for name in UNITS {
        assert!(elsewhere.contains(&format!("{}/usr/lib/systemd/system/{name}", place.path().display())));
    }
    assert!(!elsewhere.contains("systemctl"), "{elsewhere}");
    assert!(here.contains("systemctl daemon-reload"), "{here}");
    assert!(!here.contains("enable"), "{here}");
    let readme = fs::read_to_string(Path::new(ROOT).join("README.md")).unwrap();
    assert!(readme.contains("systemctl enable --now block-drbd-release.timer"));
}
