//! How an add grows with the number of other guests: `make bench` prints it.

#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

#[path = "support/drbd_kernel.rs"]
mod drbd_kernel;
#[path = "support/machine.rs"]
mod machine;
#[path = "support/place.rs"]
mod place;
#[path = "support/xenstored.rs"]
mod xenstored;

use machine::Machine;
use std::collections::BTreeMap;

const ROUNDS: usize = 15;

/// Milliseconds by kind of work, of one add.
fn add(machine: &Machine) -> BTreeMap<String, f64> {
    let output = machine.command(&["-v", "add"]).output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stderr).unwrap();
    let words = text.split_whitespace().filter_map(|word| word.split_once("_ms="));
    let times = words.map(|(name, value)| (name.to_string(), value.parse().unwrap())).collect();
    let removed = machine.command(&["remove"]).output().unwrap();
    assert!(removed.status.success());
    machine.xenstored.remove(&format!("{}/physical-device", machine::BACKEND));
    times
}

/// A machine with so many other guests.
fn beside(count: u32) -> Machine {
    let machine = Machine::new();
    machine.file("proc/sys/kernel/osrelease", "6.1.0-56-amd64\n");
    machine.file("sys/bus/xen-backend/devices/vbd-5-51712", "");
    for domid in 100..100 + count {
        machine.guest(domid, 51712, "/dev/vg/disk");
        let node = format!("/local/domain/0/backend/vbd/{domid}/51712/physical-device");
        machine.xenstored.set(&node, "fd:1");
        machine.file(&format!("sys/bus/xen-backend/devices/vbd-{domid}-51712"), "");
    }
    machine
}

/// The medians of some rounds beside each number of other guests. A round asks each
/// machine in turn, so that a host that grows slower does so for all of them.
fn medians(counts: &[u32]) -> Vec<(u32, BTreeMap<String, f64>)> {
    let machines: Vec<Machine> = counts.iter().map(|count| beside(*count)).collect();
    let first: Vec<_> = machines.iter().map(add).collect();
    let rounds: Vec<Vec<_>> = (0..ROUNDS).map(|_| machines.iter().map(add).collect()).collect();
    let median = |at: usize, name: &str| {
        let mut values: Vec<f64> = rounds.iter().map(|round| round[at][name]).collect();
        values.sort_by(f64::total_cmp);
        values[ROUNDS / 2]
    };
    let of = |at: usize| {
        let mut medians: BTreeMap<String, f64> =
            first[at].keys().map(|name| (name.clone(), median(at, name))).collect();
        medians.insert("first".into(), first[at]["total"]);
        (counts[at], medians)
    };
    (0..counts.len()).map(of).collect()
}

#[test]
fn an_add_does_not_grow_with_the_guests_beyond_its_sharing_check() {
    let rows = medians(&[0, 100, 1000]);
    println!(
        "other vbds  first add  later adds  sharing check  promote  processor  (ms, median of {ROUNDS})"
    );
    for (count, times) in &rows {
        let [first, total, sharing, promote, cpu] =
            ["first", "total", "sharing", "promote", "cpu"].map(|name| times[name]);
        println!("{count:>10}  {first:>9.1}  {total:>10.1}  {sharing:>13.1}  {promote:>7.1}  {cpu:>9.1}");
    }
    if !cfg!(debug_assertions) {
        let own = rows[0].1["total"] - rows[0].1["promote"];
        assert!(own <= 5.0, "an add takes {own:.1} ms of its own");
    }
    // Processor time: the test's daemon copies its whole tree for a
    // transaction, which no xenstored does and which is not ours.
    let growth = |name: &str| rows[2].1[name] - rows[0].1[name];
    let beyond = growth("cpu") - growth("sharing");
    assert!(beyond <= 1.0, "1000 other vbds cost {beyond:.1} ms beyond the sharing check");
}
