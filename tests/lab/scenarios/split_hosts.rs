//! The hosts lose sight of each other, and a guest is started on both: at most one
//! starts, and the data does not split.
//!
//! Three times, because who may start is decided in three ways. Where the guest
//! runs already, its host keeps it. Where it does not and nothing fences, neither
//! host can know what the other does, and neither starts it. Where DRBD fences
//! (resource-only, with a handler that reaches the peer over the management
//! network), the two race, and exactly one outdates the other and starts.

use crate::flushes;
use crate::guest::Guest;
use crate::node::Node;
use crate::pair::Pair;
use crate::settled;
use anyhow::{Result, ensure};

const RESOURCE: &str = "r0";

pub fn run(pair: &Pair) -> Result<()> {
    pair.connect(RESOURCE)?;
    the_running_guest_stays(pair)?;
    without_fencing_none_starts(pair)?;
    with_fencing_one_starts(pair)
}

fn cut(pair: &Pair) -> Result<()> {
    pair.link.cut();
    pair.both(|node| node.wait_for_drbd(RESOURCE, "cs:WFConnection .* ds:UpToDate/DUnknown"))
}

fn the_running_guest_stays(pair: &Pair) -> Result<()> {
    let guest = Guest::tiny("split-running", RESOURCE);
    guest.create(&pair.a)?;
    cut(pair)?;
    guest.create_is_refused(&pair.b)?;
    settled::with_guest(pair, &pair.a, guest.name, RESOURCE)?;
    pair.link.restore();
    flushes::are_equal(pair, RESOURCE)?;
    pair.a.ok("xl destroy split-running")?;
    settled::without_guest(pair, RESOURCE)
}

fn without_fencing_none_starts(pair: &Pair) -> Result<()> {
    cut(pair)?;
    let guest = Guest::tiny("split-unfenced", RESOURCE);
    pair.both(|node| {
        let said = guest.create_is_refused(node)?;
        ensure!(said.contains("[peer-unfenced]"), "{}: refused for another reason: {said}", node.name);
        Ok(())
    })?;
    pair.link.restore();
    flushes::are_equal(pair, RESOURCE)?;
    settled::without_guest(pair, RESOURCE)
}

fn with_fencing_one_starts(pair: &Pair) -> Result<()> {
    pair.both(|node| flushes::disk_options(node, RESOURCE, "--fencing=resource-only"))?;
    cut(pair)?;
    let guest = Guest::tiny("split-fenced", RESOURCE);
    pair.both(|node| {
        let command = guest.command(node)?;
        node.ok(&format!("{command} >/run/lab-create 2>&1 || true"))?;
        Ok(())
    })?;
    let has_it = |node: &Node| Ok::<_, anyhow::Error>(node.run("xl list split-fenced")?.code == 0);
    let (on_a, on_b) = (has_it(&pair.a)?, has_it(&pair.b)?);
    let said = || -> Result<String> {
        Ok(format!("a: {} b: {}", pair.a.ok("cat /run/lab-create")?, pair.b.ok("cat /run/lab-create")?))
    };
    ensure!(on_a != on_b, "the guest runs on a: {on_a}, on b: {on_b}; {}", said()?);
    let (winner, loser) = if on_a { (&pair.a, &pair.b) } else { (&pair.b, &pair.a) };
    println!("lab:   {} outdated {} and started the guest", winner.name, loser.name);
    loser.drbd_is(RESOURCE, "ro:Secondary/Unknown ds:Outdated/")?;
    pair.link.restore();
    flushes::are_equal(pair, RESOURCE)?;
    settled::with_guest(pair, winner, guest.name, RESOURCE)?;
    winner.ok("xl destroy split-fenced")?;
    settled::without_guest(pair, RESOURCE)
}
