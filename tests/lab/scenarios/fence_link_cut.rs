//! The link is lost below a guest that writes, with `resource-and-stonith`: its I/O
//! freezes, our handler has the peer outdated over the other network, and the guest
//! goes on. Healed, the peer is resynced, and each handler on that way has been
//! called by the kernel and has let it go on.

use crate::flushes;
use crate::guest::Guest;
use crate::handled;
use crate::node::Node;
use crate::pair::Pair;
use anyhow::{Context, Result, ensure};

const RESOURCE: &str = "r1";

pub fn run(pair: &Pair) -> Result<()> {
    let (a, b) = (&pair.a, &pair.b);
    handled::install(pair, "[fencing]\nmethods = [{ method = \"ask-peer\" }]\n")?;
    pair.connect(RESOURCE)?;
    pair.both(|node| flushes::disk_options(node, RESOURCE, "--fencing=resource-and-stonith"))?;
    a.ok(&format!("block-drbd check {RESOURCE}"))?;
    let guest = Guest::new("fenced", "checked", RESOURCE);
    guest.create(a)?;
    guest.wait_for(a, "fsynced 3")?;

    pair.link.cut();
    handled::wait_for(a, RESOURCE, "fence-peer", 1)?;
    handled::answered(a, RESOURCE, "fence-peer", 4)?;
    a.wait_for_drbd(RESOURCE, "ro:Primary/Unknown ds:UpToDate/Outdated")?;
    b.drbd_is(RESOURCE, "ro:Secondary/Unknown ds:Outdated/")?;
    println!("lab:   the guest's I/O was frozen for {:.0} ms", frozen(a)? * 1000.0);
    guest.goes_on(a)?;
    let said = Guest::tiny("fenced-too", RESOURCE).create_is_refused(b)?;
    ensure!(said.contains("[disk-state]"), "xl does not name the rule: {said}");

    pair.link.restore();
    flushes::are_equal(pair, RESOURCE)?;
    for (node, event) in [(b, "before-resync-target"), (b, "after-resync-target"), (a, "unfence-peer")] {
        handled::wait_for(node, RESOURCE, event, 1)?;
        handled::answered(node, RESOURCE, event, 0)?;
    }
    guest.goes_on(a)?;
    handled::tell_times(pair, RESOURCE)?;
    a.ok("xl shutdown fenced")?;
    guest.wait_until_gone(a)?;
    a.wait_for_drbd(RESOURCE, "ro:Secondary/")
}

/// For how many seconds, by the kernel's log, DRBD has held the requests back for the handler.
fn frozen(node: &Node) -> Result<f64> {
    let log = node.ok(&format!("dmesg | grep 'drbd {RESOURCE}: '"))?;
    let at = |change: &str| {
        let line = log.lines().rev().find(|line| line.contains(change));
        handled::seconds(line.with_context(|| format!("the kernel does not say {change}: {log}"))?)
    };
    Ok(at("susp( 1 -> 0 )")? - at("susp( 0 -> 1 )")?)
}
