//! The LVM snapshots of volumes that a resync overwrites: when an earlier one may be replaced or removed.
//!
//! A snapshot is never replaced by a worse one. A disk that is Inconsistent holds half of each copy: the
//! snapshot that was taken before it became so is the only consistent copy on this node.
//!
//! DRBD 8.4 calls the handlers for each volume alone. The volumes of a resource belong together, so
//! their snapshots do too: only those of one moment are a consistent copy.

use super::Snapshot;
use super::drbd::Subject;
use crate::facts::snapshot::name;
use crate::facts::{DiskState, Known, ReplicationState, Resync};
use serde::Serialize;

/// What becomes of an earlier snapshot of the same name when one is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Earlier {
    /// It is removed: what is on the disk now is consistent, and newer.
    Replaced,
    /// It stays, and no other is taken.
    Stays,
}

/// The snapshots to take of the volumes that DRBD names; `None` where DRBD does not name a device for
/// each minor. A disk that is Inconsistent has none: what is on it is worth no snapshot.
pub fn of(subject: &Subject) -> Option<Vec<Snapshot>> {
    let (minors, disks) = (&subject.event.minors, &subject.event.disks);
    if minors.is_empty() || minors.len() != disks.len() {
        return None;
    }
    let snapshot = |(&minor, origin): (&u32, &String)| {
        let (name, origin) = (name(subject.resource, minor), origin.clone());
        earlier(subject, minor).map(|earlier| Snapshot { name, origin, earlier })
    };
    Some(minors.iter().zip(disks).filter_map(snapshot).collect())
}

/// What becomes of an earlier snapshot of the minor; `None` where none is to be taken.
fn earlier(subject: &Subject, minor: u32) -> Option<Earlier> {
    let disk = subject.facts.disks.value().and_then(|disks| disks.get(&minor));
    match disk {
        Some(DiskState::Inconsistent) => None,
        Some(DiskState::UpToDate | DiskState::Outdated | DiskState::Consistent)
            if !is_set_aside(subject) && all(subject, is_whole) =>
        {
            Some(Earlier::Replaced)
        }
        _ => Some(Earlier::Stays),
    }
}

/// The snapshots that a resync leaves behind, of all volumes of the resource; or, as a clause, why they stay.
pub fn removable(subject: &Subject) -> Result<Vec<String>, String> {
    if is_set_aside(subject) {
        return Err("as long as the quarantine".into());
    }
    match &subject.facts.resyncs {
        Known::Is(resyncs) if all(subject, is_done) => {
            Ok(resyncs.keys().map(|&minor| name(subject.resource, minor)).collect())
        }
        Known::Is(_) => Err("until no volume of the resource is overwritten any more".into()),
        Known::Unknown(why) => Err(format!("because the other volumes of the resource are not known: {why}")),
    }
}

/// Whether somebody is still to look at the resource, or may be.
fn is_set_aside(subject: &Subject) -> bool {
    subject.facts.quarantine != Known::Is(None)
}

/// Whether all volumes of the resource are known and like this.
fn all(subject: &Subject, like: fn(&Resync) -> bool) -> bool {
    subject.facts.resyncs.value().is_some_and(|resyncs| resyncs.values().all(like))
}

/// Whether a disk is one consistent copy, of whatever age.
fn is_whole(volume: &Resync) -> bool {
    use ReplicationState::{Other, PausedSyncT, SyncTarget};
    matches!(volume.disk, DiskState::UpToDate | DiskState::Outdated | DiskState::Consistent)
        && !matches!(volume.replication, SyncTarget | PausedSyncT | Other(_))
}

/// Whether no resync is under way to a disk, and it waits for none.
fn is_done(volume: &Resync) -> bool {
    use ReplicationState::{Behind, StartingSyncT, WFBitMapT, WFSyncUUID};
    is_whole(volume)
        && volume.disk == DiskState::UpToDate
        && !matches!(volume.replication, StartingSyncT | WFBitMapT | WFSyncUUID | Behind)
}

/// What the snapshots of the volumes that DRBD names are called.
pub fn names(subject: &Subject) -> Vec<String> {
    subject.event.minors.iter().map(|&minor| name(subject.resource, minor)).collect()
}
