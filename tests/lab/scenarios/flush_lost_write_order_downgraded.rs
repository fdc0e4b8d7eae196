//! A peer whose disk failed one flush: DRBD falls to `wo:d` although
//! `disk-flushes yes` is configured, and stays there; then as with `wo:d`.
//!
//! The fall is one line in the peer's kernel log. The Primary and its guest see
//! nothing of it.

use super::flush_lost_write_order_none::lose_behind_the_barrier;
use crate::drive::Fault;
use crate::flushes;
use crate::pair::Pair;
use anyhow::Result;

pub fn run(pair: &Pair) -> Result<()> {
    let (a, b) = (&pair.a, &pair.b);
    pair.connect_erased("f0")?;
    b.counters_are("f0", "wo:f ")?;
    a.ok("drbdadm primary f0")?;
    b.drive("vdk").begin_at(1, Fault::FailNextFlush);
    flushes::write(a, "f0", 1..=1)?;
    b.wait_for_counters("f0", "wo:d ")?;
    b.ok("dmesg | grep 'local disk FLUSH FAILED'")?;
    pair.both(|node| node.drbd_is("f0", "cs:Connected .* ds:UpToDate/UpToDate "))?;
    lose_behind_the_barrier(pair, "d")
}
