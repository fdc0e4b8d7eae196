//! `write through` written into a queue over a volatile cache: the kernel drops
//! the guest's flush at that queue and says that it succeeded.
//!
//! It is the Primary's lower device here. DRBD's own queue goes on saying "write
//! back", so nothing above can see it. The records are acknowledged and not on
//! the medium. The peer has them, until the node comes back: it crashed as
//! Primary, so DRBD takes its copy for the newer one and resyncs the peer from it.

use crate::flushes::{self, are_kept, are_lost, audit};
use crate::pair::Pair;
use crate::record;
use anyhow::{Result, ensure};

pub fn run(pair: &Pair) -> Result<()> {
    let (a, b) = (&pair.a, &pair.b);
    let drive = a.drive("vdk");
    let lost = || audit(&drive.history(), drive.size(), 1).lost;
    pair.connect_erased("f0")?;
    a.ok("drbdadm primary f0")?;
    flushes::write(a, "f0", 1..=20)?;
    are_kept("the medium, while the queue is write back", 1..=20, &record::found(&drive.durable()))?;
    ensure!(lost().is_none(), "a record was not durable while the queue was write back");

    a.ok("echo 'write through' >/sys/block/vdk/queue/write_cache")?;
    let view = a.ok("cat /sys/block/drbd30/queue/write_cache")?;
    ensure!(view.trim() == "write back", "DRBD's queue says {view}");
    flushes::write(a, "f0", 21..=40)?;
    ensure!(lost() == Some(21), "the drive's history does not show the loss");
    b.wait_for_counters("f0", "wo:f ")?;
    are_kept("the peer, before the cut", 1..=40, &record::found(&b.drive("vdk").current()))?;
    a.power_cut()?;
    are_kept("the cut medium, before the override", 1..=20, &record::found(&drive.durable()))?;
    are_lost("the cut medium, after the override", 21..=40, &record::found(&drive.durable()))?;

    flushes::come_back(pair, a, "f0")?;
    b.ok("drbdadm primary f0")?;
    are_lost("the peer, after DRBD has resynced it from there", 21..=40, &flushes::find(b, "f0")?)
}
