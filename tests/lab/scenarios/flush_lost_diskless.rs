//! A diskless Primary: the guest's flush does nothing and is acknowledged.
//!
//! DRBD sends no flush to the peer, it only closes the epoch; the local disk,
//! for which it would have waited, is not there. The one copy is in the peer's
//! volatile cache until the peer gets round to the barrier. Its power goes in
//! that moment, and the record is gone.

use crate::drive::Fault;
use crate::flushes::{self, are_kept, are_lost};
use crate::node::LIMIT;
use crate::pair::Pair;
use anyhow::{Result, ensure};

pub fn run(pair: &Pair) -> Result<()> {
    let (a, b) = (&pair.a, &pair.b);
    pair.connect_erased("f0")?;
    a.ok("drbdadm primary f0 && drbdadm detach f0")?;
    a.wait_for_drbd("f0", "ro:Primary/Secondary ds:Diskless/UpToDate")?;
    flushes::write(a, "f0", 1..=20)?;
    b.drive("vdk").begin_at(21, Fault::HoldFlushes);
    flushes::write(a, "f0", 21..=21)?;
    ensure!(b.drive("vdk").holds_flush(LIMIT), "the peer was not told to flush");
    a.drbd_is("f0", "cs:Connected ro:Primary/Secondary ds:Diskless/UpToDate")?;
    b.power_cut()?;
    a.wait_for_drbd("f0", "cs:WFConnection ")?;

    b.power_on()?;
    b.wait_for_boot()?;
    b.ok("drbdadm up f0")?;
    a.wait_for_drbd("f0", "cs:Connected ro:Primary/Secondary ds:Diskless/UpToDate")?;
    let found = flushes::find(a, "f0")?;
    are_kept("the only copy, flushed", 1..=20, &found)?;
    are_lost("the only copy, not flushed", 21..=21, &found)
}
