//! The peer is lost while a guest runs: the guest may start again where it ran,
//! in this very boot, and nowhere else. Shows with the real DRBD that the
//! generation of the data stays the same over demotion and promotion.

use crate::guest::Guest;
use crate::node::Node;
use crate::pair::Pair;
use anyhow::{Result, ensure};

const RESOURCE: &str = "r2";

pub fn run(pair: &Pair) -> Result<()> {
    let (a, b) = (&pair.a, &pair.b);
    pair.connect(RESOURCE)?;
    let guest = Guest::new("degraded", "stay", RESOURCE);
    guest.create(a)?;
    guest.wait_for(a, "up")?;
    pair.link.cut();
    a.wait_for_drbd(RESOURCE, "cs:WFConnection ro:Primary/Unknown ds:UpToDate/DUnknown")?;
    a.ok("xl destroy degraded")?;
    a.wait_for_drbd(RESOURCE, "ro:Secondary/Unknown")?;

    starts(a, "degraded-again")?;
    is_refused(b, "degraded-peer")?;
    starts(a, "degraded-third")?;
    // What a boot leaves of it.
    a.ok("rm /run/block-drbd/lone/r2.json")?;
    is_refused(a, "degraded-booted")?;

    pair.link.restore();
    pair.both(|node| {
        node.wait_for_drbd(RESOURCE, "cs:Connected ro:Secondary/Secondary ds:UpToDate/UpToDate ")
    })?;
    starts(b, "degraded-met")
}

fn starts(node: &Node, name: &str) -> Result<()> {
    let guest = Guest::new(name, "raw", RESOURCE);
    guest.create(node)?;
    guest.wait_for(node, "done")?;
    guest.wait_until_gone(node)?;
    node.wait_for_drbd(RESOURCE, "ro:Secondary/")
}

fn is_refused(node: &Node, name: &str) -> Result<()> {
    let said = Guest::new(name, "raw", RESOURCE).create_is_refused(node)?;
    ensure!(said.contains("[peer-unfenced]"), "xl does not name the rule: {said}");
    node.drbd_is(RESOURCE, "ro:Secondary/Unknown")?;
    node.has_no_guest()
}
