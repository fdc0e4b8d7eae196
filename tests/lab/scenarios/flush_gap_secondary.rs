//! What the DRBD 8.4 of the Linux kernel does not promise in the safest
//! configuration (protocol C, `wo:f`, md-flushes on): that a record survives the
//! power cut of the Secondary alone, in the moment in which that one flushes it.
//!
//! The Secondary answers the barrier of an epoch as soon as the epoch's writes
//! are in its drive's cache, and flushes afterwards: `receive_Barrier()` calls
//! `drbd_may_finish_epoch()`, which sends P_BARRIER_ACK, before `drbd_flush()`
//! (drivers/block/drbd/drbd_receiver.c of Linux 6.1). With the answer the Primary
//! forgets the epoch. A cut between the two is therefore as with `wo:n`: no block
//! is marked out of sync, both copies are called UpToDate, and the record is not
//! there after the hand-over. What `wo:f` bounds is how much: no later write is
//! received before the flush has ended, so it is the one epoch. DRBD 9 answers
//! after the flush (DE_BARRIER_IN_NEXT_EPOCH_DONE in its `drbd_may_finish_epoch()`);
//! that was read, not run.

use crate::drive::Fault;
use crate::flushes::{self, are_kept, are_lost};
use crate::node::LIMIT;
use crate::pair::Pair;
use anyhow::{Result, ensure};

pub fn run(pair: &Pair) -> Result<()> {
    let (a, b) = (&pair.a, &pair.b);
    pair.connect_erased("f0")?;
    pair.both(|node| node.counters_are("f0", "wo:f "))?;
    a.ok("drbdadm primary f0")?;
    flushes::write(a, "f0", 1..=20)?;
    b.drive("vdk").begin_at(21, Fault::HoldFlushes);
    flushes::write(a, "f0", 21..=21)?;
    ensure!(b.drive("vdk").holds_flush(LIMIT), "the peer was not told to flush");
    b.power_cut()?;
    a.wait_for_drbd("f0", "cs:WFConnection ")?;
    flushes::come_back(pair, b, "f0")?;
    let found = flushes::hand_over(a, b, "f0")?;
    are_kept("the cut Secondary, flushed", 1..=20, &found)?;
    are_lost("the cut Secondary, in the gap", 21..=21, &found)
}
