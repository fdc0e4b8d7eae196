//! What the scenarios about live migration share: a guest that can move, and a
//! migration that runs while something happens to it.

use crate::block_lock;
use crate::guest::Guest;
use crate::node::{LIMIT, Node};
use crate::pair::Pair;
use crate::settled;
use crate::{drbd, flushes};
use anyhow::{Context, Result, ensure};
use std::time::Instant;

/// The resource of all of them.
pub const RESOURCE: &str = "r6";

/// Moves a tiny guest; the first node must have it.
pub fn move_to(pair: &Pair, guest: &Guest, from: &Node, to: &Node) -> Result<()> {
    guest.is_suspendable(from)?;
    from.ok(&format!("xl migrate {} {}", guest.name, to.name))?;
    settled::with_guest(pair, to, guest.name, RESOURCE)
}

/// A tiny guest on a, on a clean resource.
pub fn guest_on_a<'a>(pair: &Pair, name: &'a str) -> Result<Guest<'a>> {
    pair.connect(RESOURCE)?;
    let guest = Guest::tiny(name, RESOURCE);
    guest.create(&pair.a)?;
    settled::with_guest(pair, &pair.a, name, RESOURCE)?;
    guest.is_suspendable(&pair.a)?;
    Ok(guest)
}

/// Moves the guest from a to b with a configuration whose disk is this one; xl must call that a failure.
/// Returns what it has said.
pub fn with_another_disk_fails(pair: &Pair, guest: &Guest, target: &str) -> Result<String> {
    guest.is_suspendable(&pair.a)?;
    let more = format!("{}name=\"{}\"\n", guest.more, guest.name);
    Guest { name: "another-disk", resource: target, more: &more, ..*guest }.command(&pair.a)?;
    pair.a.fails(&format!("xl migrate -C /etc/xen/another-disk.cfg {} b", guest.name))
}

/// Starts to move it from a to b, and does not wait.
pub fn begin(pair: &Pair, guest: &Guest) -> Result<()> {
    let name = guest.name;
    pair.a.ok(&format!(
        "rm -f /run/lab-migrate-code
         ( xl migrate {name} b; echo $? >/run/lab-migrate-code ) >/run/lab-migrate 2>&1 &"
    ))?;
    Ok(())
}

/// The same, and stops it where both nodes are Primary: the `add` on b waits for Xen's lock. It goes on
/// with [`block_lock::release`].
pub fn begin_and_stop_in_window(pair: &Pair, guest: &Guest) -> Result<()> {
    block_lock::hold(&pair.b)?;
    begin(pair, guest)?;
    let both = pair.b.wait_for_drbd(RESOURCE, "ro:Primary/Primary");
    both.with_context(|| said(pair))?;
    pair.b.wait_until("with an open window", &window_of(RESOURCE), LIMIT)
}

/// A shell command that succeeds where the node has a window of the resource on record.
pub fn window_of(resource: &str) -> String {
    format!("[ -e /run/block-drbd/windows/{resource}.json ]")
}

/// Waits for its end; returns whether xl calls it a success, and what it said.
pub fn end(pair: &Pair) -> Result<(bool, String)> {
    pair.a.wait_until("done with the migration", "[ -s /run/lab-migrate-code ]", LIMIT)?;
    let code = pair.a.ok("cat /run/lab-migrate-code")?;
    Ok((code.trim() == "0", said(pair)))
}

/// Waits for its end, which must be a failure.
pub fn fails(pair: &Pair) -> Result<String> {
    let (is_moved, said) = end(pair)?;
    ensure!(!is_moved, "xl says that the guest has moved: {said}");
    Ok(said)
}

fn said(pair: &Pair) -> String {
    let said = pair.a.run("cat /run/lab-migrate");
    said.map_or_else(|error| format!("{error:#}"), |output| output.text())
}

/// The link carries again, and what DRBD does not mend by itself is mended as an administrator would.
/// Returns false where both halves have been written to: that must never happen.
///
/// A link that is lost while both nodes are Primary is a split brain to DRBD 8.4 even when nobody has
/// written: each makes a new generation at once (drbd_state.c, after_state_ch: "Lost contact to peer's
/// copy of the data"). The half that is Secondary and has no bit set has nothing to lose.
pub fn reconnect(pair: &Pair, resource: &str) -> Result<bool> {
    pair.link.restore();
    let start = Instant::now();
    while start.elapsed() < LIMIT && pair.both(|node| node.drbd_is(resource, "cs:Connected ")).is_err() {
        let nodes = [&pair.a, &pair.b];
        if nodes.iter().all(|node| !shows(node, &is_alone(resource))) {
            continue;
        }
        if !nodes.iter().any(|node| shows(node, &has_split(resource))) {
            println!("lab:   the nodes had to be connected by hand");
            pair.both(|node| node.run(&format!("drbdadm connect {resource}")).map(drop))?;
            continue;
        }
        let Some(empty) = nodes.into_iter().find(|node| shows(node, &is_empty(resource))) else {
            return Ok(false);
        };
        println!("lab:   DRBD sees a split brain in which {} has nothing of its own", empty.name);
        pair.both(|node| node.run(&format!("drbdadm disconnect {resource}")).map(drop))?;
        empty.ok(&format!("drbdadm -- --discard-my-data connect {resource}"))?;
        let other = if empty.name == "a" { &pair.b } else { &pair.a };
        other.ok(&format!("drbdadm connect {resource}"))?;
        pair.both(|node| node.wait_for_drbd(resource, "cs:Connected "))?;
    }
    flushes::are_equal(pair, resource)?;
    Ok(true)
}

fn shows(node: &Node, command: &str) -> bool {
    node.run(command).is_ok_and(|output| output.code == 0)
}

fn is_alone(resource: &str) -> String {
    format!("grep -q '^ *{}: cs:StandAlone' /proc/drbd", drbd::minor(resource))
}

/// Whether the last meeting of the nodes ended with it.
fn has_split(resource: &str) -> String {
    let minor = drbd::minor(resource);
    format!(
        "dmesg | grep -E '(drbd{minor}|drbd {resource}): .*(Split-Brain detected|incompatible|WFReportParams -> (Connected|WFBitMap))' \
         | tail -n 1 | grep -q Split-Brain"
    )
}

/// Whether this half is Secondary and no block of it differs from what both had.
fn is_empty(resource: &str) -> String {
    let minor = drbd::minor(resource);
    format!("grep -A1 '^ *{minor}: .* ro:Secondary/' /proc/drbd | grep -q 'oos:0$'")
}

/// Ends the guest where it is, and looks that nothing is left.
pub fn destroy(pair: &Pair, guest: &Guest, on: &Node) -> Result<()> {
    on.ok(&format!("xl destroy {}", guest.name))?;
    settled::without_guest(pair, RESOURCE)
}
