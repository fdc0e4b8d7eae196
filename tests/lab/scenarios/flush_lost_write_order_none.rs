//! A peer with `wo:n` over a volatile cache: an acknowledged record is lost, and
//! DRBD does not know it.
//!
//! With `disk-flushes no` and `disk-drain no` the peer answers the barrier of an
//! epoch at once, with nothing flushed. The Primary then forgets the epoch, and
//! no power cut of the peer marks its blocks out of sync any more. The Secondary
//! alone loses its power, comes back, and both copies are called UpToDate; after
//! the hand-over the records are not there.

use crate::flushes;
use crate::pair::Pair;
use anyhow::Result;

pub fn run(pair: &Pair) -> Result<()> {
    pair.connect_erased("f0")?;
    flushes::disk_options(&pair.b, "f0", "--disk-flushes=no --disk-drain=no")?;
    lose_behind_the_barrier(pair, "n")
}

/// Writes on a while b is in this write order, cuts b, and asserts that b lacks what was acknowledged.
pub fn lose_behind_the_barrier(pair: &Pair, write_order: &str) -> Result<()> {
    const RECORDS: std::ops::RangeInclusive<u64> = 101..=120;
    let (a, b) = (&pair.a, &pair.b);
    b.counters_are("f0", &format!("wo:{write_order} "))?;
    a.ok("drbdadm primary f0")?;
    flushes::write(a, "f0", RECORDS)?;
    b.power_cut()?;
    a.wait_for_drbd("f0", "cs:WFConnection ")?;
    flushes::come_back(pair, b, "f0")?;
    let found = flushes::hand_over(a, b, "f0")?;
    flushes::are_lost(&format!("the peer that had wo:{write_order}"), RECORDS, &found)
}
