//! In a safe configuration an acknowledged flush means something: protocol C,
//! `wo:f` on both nodes, md-flushes on, drives with volatile caches.
//!
//! A guest behind blkback writes numbered records, each after the flush of the
//! one before it was acknowledged. Proved with it:
//! - at every flush that was acknowledged to the guest, the medium of the
//!   Primary's drive held every record acknowledged so far;
//! - the Primary loses its power: the peer is promoted and has every one; the
//!   node that was cut comes back and is resynced;
//! - the Secondary alone loses its power in the middle of a write: its medium has
//!   every record acknowledged so far; it comes back, is resynced, and after an
//!   orderly hand-over has every one.
//!
//! What DRBD does not promise: the guest's flush waits for the drive of the
//! Primary, not for that of the peer, whose flush follows behind the barrier of
//! its epoch. Two cuts in that gap lose the records of that last epoch, and no
//! option closes it, only a peer without a volatile cache:
//! - both nodes lose power, and only the peer comes back and is promoted;
//! - the Secondary alone does, see `flush-gap-secondary`.

use crate::drive::Fault;
use crate::flushes::{self, are_kept, audit};
use crate::guest::Guest;
use crate::node::LIMIT;
use crate::pair::Pair;
use crate::record;
use anyhow::{Result, ensure};

const DISK: &str = "vdk";

/// How many records a guest gets acknowledged before something happens.
const SOME: u64 = 30;

pub fn run(pair: &Pair) -> Result<()> {
    pair.connect_erased("f0")?;
    pair.both(|node| node.counters_are("f0", "wo:f "))?;
    let acknowledged = cut_the_primary(pair)?;
    pair.b.ok("drbdadm secondary f0")?;
    flushes::come_back(pair, &pair.a, "f0")?;
    are_kept("the cut node after its resync", 1..=acknowledged, &record::found(&pair.a.drive(DISK).current()))
}

/// `flush-safe-secondary`.
pub fn run_secondary(pair: &Pair) -> Result<()> {
    pair.connect_erased("f0")?;
    pair.both(|node| node.counters_are("f0", "wo:f "))?;
    cut_the_secondary(pair, 1)
}

/// Returns the last record that the guest had acknowledged.
fn cut_the_primary(pair: &Pair) -> Result<u64> {
    let (a, b) = (&pair.a, &pair.b);
    let guest = Guest::new("flush-primary", "endless lab.first=1", "f0");
    guest.create(a)?;
    guest.wait_for(a, &format!("fsynced {SOME}"))?;
    let said = guest.acknowledged(a)?;
    a.power_cut()?;

    let drive = a.drive(DISK);
    let audit = audit(&drive.history(), drive.size(), 1);
    let acknowledged = said.max(audit.last - 1);
    println!("lab:   {acknowledged} records acknowledged, {} flushes of the Primary's drive", audit.flushes);
    ensure!(audit.lost.is_none(), "record {:?} was acknowledged and not durable", audit.lost);
    are_kept("the cut Primary's medium", 1..=acknowledged, &record::found(&drive.durable()))?;

    b.wait_for_drbd("f0", "cs:WFConnection ro:Secondary/Unknown")?;
    b.ok("drbdadm primary f0")?;
    are_kept("the promoted peer", 1..=acknowledged, &flushes::find(b, "f0")?)?;
    Ok(acknowledged)
}

/// A guest on b writes on from this record, over all that happens to a.
fn cut_the_secondary(pair: &Pair, first: u64) -> Result<()> {
    let (a, b) = (&pair.a, &pair.b);
    let does = format!("endless lab.first={first}");
    let guest = Guest::new("flush-secondary", &does, "f0");
    guest.create(b)?;
    guest.wait_for(b, &format!("fsynced {}", first + SOME))?;
    let drive = a.drive(DISK);
    drive.begin(Fault::HoldWrites);
    ensure!(drive.holds_record(LIMIT), "no record reached the Secondary");
    // The guest waits for this record. The Secondary's DRBD has received it, so all before it are
    // flushed: it receives no write before the flush that ends the epoch before has returned.
    let acknowledged = guest.acknowledged(b)?;
    a.power_cut()?;
    are_kept("the cut Secondary's medium", 1..=acknowledged, &record::found(&drive.durable()))?;
    guest.wait_for(b, &format!("fsynced {}", acknowledged + SOME))?;

    // It would fill the disk while a boots; it writes again while a is resynced.
    b.ok("xl pause flush-secondary")?;
    a.power_on()?;
    a.wait_for_boot()?;
    b.ok("xl unpause flush-secondary")?;
    flushes::join(pair, a, "f0")?;
    b.ok("xl shutdown flush-secondary")?;
    guest.wait_until_gone(b)?;
    b.wait_for_drbd("f0", "ro:Secondary/Secondary")?;
    let last = guest.acknowledged(b)?;
    a.ok("drbdadm primary f0")?;
    are_kept("the node that was cut as Secondary", 1..=last, &flushes::find(a, "f0")?)
}
