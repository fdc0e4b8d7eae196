//! A peer with `wo:d` over a volatile cache: as with `wo:n`.
//!
//! With `disk-flushes no` the peer waits for the writes of an epoch and answers
//! the barrier. The drive has then taken them, into its cache.

use super::flush_lost_write_order_none::lose_behind_the_barrier;
use crate::flushes;
use crate::pair::Pair;
use anyhow::Result;

pub fn run(pair: &Pair) -> Result<()> {
    pair.connect_erased("f0")?;
    flushes::disk_options(&pair.b, "f0", "--disk-flushes=no")?;
    lose_behind_the_barrier(pair, "d")
}
