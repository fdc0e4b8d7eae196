//! `md-flushes no` over a volatile metadata drive: the activity log is lost with
//! the power, and the resync does not know where the copies may differ.
//!
//! Before a write to a cold extent DRBD writes the extent into its activity log.
//! After a crash of the Primary all extents in the log are resynced. A record in
//! such an extent is acknowledged: the Primary's data drive has flushed it; the
//! peer's flush, which follows, is still on its way. Both nodes lose their power
//! and come back. With md-flushes the log names the extent and the peer is
//! resynced. Without, the log was in the cache of the metadata drive: DRBD calls
//! both copies UpToDate, and the peer lacks the record.
//!
//! The metadata must be on a drive of its own. On the data drive the guest's
//! flush takes the log with it, before it is acknowledged.

use crate::drive::Fault;
use crate::flushes;
use crate::node::{LIMIT, Node};
use crate::pair::Pair;
use crate::record;
use anyhow::{Result, ensure};

pub fn run(pair: &Pair) -> Result<()> {
    let found = cut_both(pair, "--md-flushes=yes")?;
    flushes::are_kept("the peer, with md-flushes", 1..=2, &found)?;
    pair.clean_up(&["f1"])?;
    let found = cut_both(pair, "--md-flushes=no")?;
    flushes::are_kept("the peer, without md-flushes, in an extent of old", 1..=1, &found)?;
    flushes::are_lost("the peer, without md-flushes, in a cold extent", 2..=2, &found)
}

/// Returns what the peer has after both nodes were cut and have come back.
fn cut_both(pair: &Pair, md_flushes: &str) -> Result<flushes::Records> {
    let (a, b) = (&pair.a, &pair.b);
    pair.connect_erased("f1")?;
    flushes::disk_options(a, "f1", md_flushes)?;
    a.ok("drbdadm primary f1")?;
    flushes::write(a, "f1", 1..=1)?;
    // That a is Primary, and the first extent, have reached the medium: only what follows is at stake.
    a.drive("vdm").write_back();
    b.drive("vdl").begin_at(2, Fault::HoldFlushes);
    flushes::write(a, "f1", 2..=2)?;
    ensure!(b.drive("vdl").holds_flush(LIMIT), "the peer was not told to flush");
    pair.both(Node::power_cut)?;

    let on_medium = |node: &Node| record::found(&node.drive("vdl").durable());
    flushes::are_kept("the cut Primary's medium", 1..=2, &on_medium(a))?;
    flushes::are_lost("the cut peer's medium", 2..=2, &on_medium(b))?;
    a.power_on()?;
    b.power_on()?;
    pair.both(|node| {
        node.wait_for_boot()?;
        node.ok("drbdadm up f1")?;
        Ok(())
    })?;
    flushes::are_equal(pair, "f1")?;
    b.ok("drbdadm primary f1")?;
    flushes::find(b, "f1")
}
