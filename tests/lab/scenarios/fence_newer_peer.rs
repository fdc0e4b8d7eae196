//! The peer has written alone and holds the newer data when a guest is started here: fence-peer does not
//! outdate it, and the guest starts only on what the peer has written.
//!
//! A guest runs on b, and both networks are cut. b cannot fence a and writes on, with resource-and-stonith
//! after an administrator has typed `drbdadm resume-io`. Its guest ends; then the network between the
//! hosts is back, DRBD's link is not, and the guest is started on a. a can ask b, and could outdate it.

use crate::drbd;
use crate::flushes;
use crate::guest::Guest;
use crate::handled;
use crate::node::Node;
use crate::pair::Pair;
use crate::settled;
use anyhow::{Context, Result, ensure};

const RESOURCE: &str = "r3";

const SETTINGS: &str = "[fencing]\nbudget-seconds = 4\nmethods = [{ method = \"ask-peer\" }]\n";

/// The fencing policy, and whether a's disk is UpToDate or, as after a boot, Consistent.
const CASES: &[(&str, &str)] = &[
    ("resource-only", "UpToDate"),
    ("resource-only", "Consistent"),
    ("resource-and-stonith", "UpToDate"),
    ("resource-and-stonith", "Consistent"),
];

pub fn run(pair: &Pair) -> Result<()> {
    handled::install(pair, SETTINGS)?;
    pair.connect(RESOURCE)?;
    for (record, (policy, disk)) in (1..).zip(CASES) {
        one(pair, record, policy, disk).with_context(|| format!("{policy}, a is {disk}"))?;
    }
    handled::tell_times(pair, RESOURCE)
}

fn one(pair: &Pair, record: u64, policy: &str, disk: &str) -> Result<()> {
    let a = &pair.a;
    // What a knows of b is from before this case.
    a.ok(&format!("rm -f /var/lib/block-drbd/peers/{RESOURCE}.json"))?;
    pair.both(|node| set_policy(node, policy))?;
    b_writes_alone(pair, record, policy)?;
    if disk == "Consistent" {
        a.ok(&format!("drbdadm detach {RESOURCE} && drbdadm attach {RESOURCE}"))?;
    }
    a.wait_for_drbd(RESOURCE, &format!("cs:WFConnection ro:Secondary/Unknown ds:{disk}/DUnknown"))?;
    is_refused(pair)?;

    pair.link.restore();
    flushes::are_equal(pair, RESOURCE)?;
    let guest = Guest::tiny("newer", RESOURCE);
    guest.create(a)?;
    ensure!(flushes::find(a, RESOURCE)?.contains(&record), "what b has written is not on a");
    a.ok("xl destroy newer")?;
    settled::without_guest(pair, RESOURCE)
}

/// In drbd.conf, too: DRBD calls a disk Consistent only where the policy is set when the disk is attached.
fn set_policy(node: &Node, policy: &str) -> Result<()> {
    let set = format!("s/c-min-rate 0;( fencing [a-z-]+;)?/c-min-rate 0; fencing {policy};/");
    node.ok(&format!("sed -i -E '{set}' {} && drbdadm adjust {RESOURCE}", drbd::CONFIGURATION))?;
    Ok(())
}

/// Leaves the management network carrying, the link cut, and b with a record that a does not have.
fn b_writes_alone(pair: &Pair, record: u64, policy: &str) -> Result<()> {
    let b = &pair.b;
    let fenced = answers(b)?;
    Guest::tiny("newer", RESOURCE).create(b)?;
    pair.management.cut();
    pair.link.cut();
    pair.both(|node| node.wait_for_drbd(RESOURCE, "cs:WFConnection "))?;
    handled::wait_for(b, RESOURCE, "fence-peer", fenced + 1)?;
    handled::answered(b, RESOURCE, "fence-peer", 1)?;
    if policy == "resource-and-stonith" {
        b.ok(&format!("drbdadm resume-io {RESOURCE}"))?;
    }
    flushes::write(b, RESOURCE, record..=record)?;
    b.ok("xl destroy newer")?;
    b.wait_for_drbd(RESOURCE, "ro:Secondary/Unknown ds:UpToDate/DUnknown")?;
    pair.management.restore();
    Ok(())
}

/// The start is refused as often as it is tried, and b's disk stays UpToDate.
fn is_refused(pair: &Pair) -> Result<()> {
    let (a, b) = (&pair.a, &pair.b);
    let guest = Guest::tiny("newer", RESOURCE);
    let said = guest.create_is_refused(a)?;
    println!("lab:   {}", sentence(&said));
    handled::answered(a, RESOURCE, "fence-peer", 1).with_context(|| said.clone())?;
    let check = a.run(&format!("block-drbd check {RESOURCE}"))?;
    ensure!(
        check.code == 1 && check.text().contains("[peer-newer]"),
        "check does not say that b has the newer data: {}",
        check.text()
    );
    // By now a has asked b, and keeps the answer.
    let said = guest.create_is_refused(a)?;
    ensure!(said.contains("[peer-newer]"), "xl does not name the rule: {said}");
    println!("lab:   {}", sentence(&said));
    b.drbd_is(RESOURCE, "ro:Secondary/Unknown ds:UpToDate/")?;
    a.drbd_is(RESOURCE, "ro:Secondary/Unknown")?;
    a.has_no_guest()
}

/// libxl prints `script: SENTENCE`.
fn sentence(said: &str) -> &str {
    said.lines().find(|line| line.contains("script: ")).unwrap_or_default().trim()
}

/// How often fence-peer has been answered since the node has booted.
fn answers(node: &Node) -> Result<usize> {
    let calls = handled::calls(node, RESOURCE)?;
    Ok(calls.iter().filter(|call| call.event == "fence-peer").count())
}
