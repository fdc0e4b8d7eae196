//! Protocols A and B acknowledge what the peer has not written.
//!
//! A: the peer hangs for a moment, records are acknowledged out of the Primary's
//! send buffer, and the Primary loses its power. The peer goes on, is promoted,
//! and lacks them. One failure is enough.
//!
//! B: the peer has received a record and its drive has not taken it; it is
//! acknowledged. Both nodes lose their power and only the peer comes back. With
//! protocol C the record would not have been acknowledged before the peer's
//! drive had taken it, so that a drive without a volatile cache would keep it;
//! with B no drive helps.

use crate::drive::Fault;
use crate::flushes::{self, are_kept, are_lost};
use crate::node::{LIMIT, Node};
use crate::pair::Pair;
use anyhow::{Result, ensure};

pub fn run(pair: &Pair) -> Result<()> {
    out_of_the_send_buffer(pair)?;
    pair.clean_up(&["f0"])?;
    on_receipt(pair)
}

fn out_of_the_send_buffer(pair: &Pair) -> Result<()> {
    let (a, b) = (&pair.a, &pair.b);
    connect(pair, "A")?;
    flushes::write(a, "f0", 1..=5)?;
    // With protocol A the last of them may still be on its way.
    ensure!(b.drive("vdk").has_record(5, LIMIT), "the peer has not written record 5");
    b.pause()?;
    flushes::write(a, "f0", 6..=20)?;
    a.drbd_is("f0", "cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate A")?;
    a.power_cut()?;
    b.resume()?;
    let found = promote_alone(b)?;
    are_kept("protocol A, before the peer hung", 1..=5, &found)?;
    are_lost("protocol A, while the peer hung", 6..=20, &found)
}

fn on_receipt(pair: &Pair) -> Result<()> {
    let (a, b) = (&pair.a, &pair.b);
    connect(pair, "B")?;
    flushes::write(a, "f0", 1..=5)?;
    b.drive("vdk").begin_at(6, Fault::HoldWrites);
    flushes::write(a, "f0", 6..=6)?;
    ensure!(b.drive("vdk").holds_record(LIMIT), "the peer wrote nothing");
    a.drbd_is("f0", "cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate B")?;
    pair.both(Node::power_cut)?;
    b.power_on()?;
    b.wait_for_boot()?;
    b.ok("drbdadm up f0")?;
    let found = promote_alone(b)?;
    are_kept("protocol B, before the peer's drive stalled", 1..=5, &found)?;
    are_lost("protocol B, received and not written", 6..=6, &found)
}

fn connect(pair: &Pair, protocol: &str) -> Result<()> {
    pair.connect_erased("f0")?;
    pair.a.ok(&format!("drbdadm net-options --protocol={protocol} f0"))?;
    pair.both(|node| node.wait_for_drbd("f0", &format!("ds:UpToDate/UpToDate {protocol} ")))?;
    // On a slow machine the records must still be written before the peer is missed.
    pair.a.ok("drbdadm net-options --ping-timeout=300 f0 && drbdadm primary f0")?;
    Ok(())
}

fn promote_alone(node: &Node) -> Result<flushes::Records> {
    node.wait_for_drbd("f0", "cs:WFConnection ro:Secondary/Unknown")?;
    node.ok("drbdadm primary f0")?;
    flushes::find(node, "f0")
}
