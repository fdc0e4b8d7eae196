//! Dry runs of recorded machines through the real binary: one directory a scenario.
//!
//! `tests/scenarios/README.md` says what a directory holds. `BLESS=1` writes what
//! the program says now into `expected`, to be read before it is committed.

#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

#[path = "support/place.rs"]
mod place;
#[path = "support/recorded.rs"]
mod recorded;
#[path = "support/sysfs.rs"]
mod sysfs;

use place::Place;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const SCENARIOS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scenarios");

/// Every scenario directory, by name.
fn scenarios() -> Vec<PathBuf> {
    let entries = fs::read_dir(SCENARIOS).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> =
        entries.filter(|path| path.is_dir() && path.file_name().unwrap() != "base").collect();
    paths.sort();
    paths
}

fn program(root: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_block-drbd"));
    command.env_clear().arg("--sysroot").arg(root);
    command
}

/// What the scenario's command prints, after a line with its exit code.
fn said(scenario: &Path) -> String {
    let place = Place::new();
    let hosts = recorded::hosts(scenario);
    let (mut command, mut peers) = (None, Vec::new());
    for (number, host) in hosts.iter().enumerate() {
        let root = place.path().join(host);
        recorded::build(scenario, host, &root);
        if number == 0 {
            command = Some(program(&root));
            continue;
        }
        let facts = program(&root).args(["facts", "--json"]).output().unwrap();
        let file = place.path().join(format!("{host}.json"));
        fs::write(&file, facts.stdout).unwrap();
        peers.extend(["--peer-facts".to_string(), file.to_str().unwrap().to_string()]);
    }
    let words = fs::read_to_string(scenario.join("cmd")).unwrap_or("check drbdvm".into());
    let mut command = command.unwrap();
    text(command.args(words.split_whitespace()).args(peers).output().unwrap(), place.path())
}

/// No message may depend on where the scenario was put.
fn text(output: Output, place: &Path) -> String {
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(!said.contains("panicked"), "{said}");
    format!("exit {}\n{}", output.status.code().unwrap(), said.replace(place.to_str().unwrap(), "PLACE"))
}

/// What the scenario says, where that is not expected; or, to be blessed, nothing.
fn differs(scenario: &Path) -> Option<String> {
    let expected = scenario.join("expected");
    let said = said(scenario);
    if std::env::var_os("BLESS").is_some() {
        fs::write(&expected, said).unwrap();
        return None;
    }
    let name = scenario.file_name().unwrap().to_str().unwrap();
    (fs::read_to_string(&expected).unwrap_or_default() != said).then(|| format!("{name}:\n{said}"))
}

#[test]
fn every_scenario_says_what_is_expected() {
    let all = scenarios();
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let halves = all.chunks(all.len().div_ceil(2));
        let threads: Vec<_> = halves
            .map(|half| {
                scope.spawn(|| half.iter().filter_map(|scenario| differs(scenario)).collect::<Vec<_>>())
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert!(wrong.is_empty(), "{} scenarios differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_rule_fires_in_one_scenario_and_not_in_another() {
    let texts: Vec<String> =
        scenarios().iter().map(|path| fs::read_to_string(path.join("expected")).unwrap()).collect();
    assert!(texts.len() >= 100, "{} scenarios", texts.len());
    // A dry run names resources itself, and no guest moves in: hotplug.rs and migration.rs have these fire and not fire.
    let by_a_guest_alone = |rule: &&block_drbd::rules::Rule| {
        ["resource-name", "incoming", "incoming-unproven"].contains(&rule.id)
    };
    for rule in block_drbd::rules::ALL.iter().filter(|rule| !by_a_guest_alone(rule)) {
        let fires = |text: &&String| {
            let heads = ["refuse", "warn", "info"].map(|word| format!("\n{word} {}: ", rule.id));
            heads.iter().any(|head| text.contains(head))
        };
        let firing = texts.iter().filter(fires).count();
        assert!(firing > 0, "{} fires in no scenario", rule.id);
        assert!(firing < texts.len(), "{} fires in every scenario", rule.id);
    }
}

#[test]
fn every_expected_verdict_is_known() {
    let first_lines: BTreeSet<String> = scenarios()
        .iter()
        .map(|path| fs::read_to_string(path.join("expected")).unwrap().lines().next().unwrap().to_string())
        .collect();
    let known = ["exit 0", "exit 1", "exit 2", "exit 3"];
    assert!(first_lines.iter().all(|line| known.contains(&line.as_str())), "{first_lines:?}");
}
