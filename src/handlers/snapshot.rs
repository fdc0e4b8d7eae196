//! The LVM snapshots of volumes that a resync overwrites: when an earlier one may be replaced or removed.
//!
//! A snapshot is never replaced by a worse one. A disk that is Inconsistent holds half of each copy: the
//! snapshot that was taken before it became so is the only consistent copy on this node.

use super::Snapshot;
use super::drbd::Subject;
use crate::facts::snapshot::name;
use crate::facts::{DiskState, Known};
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
        Some(DiskState::UpToDate | DiskState::Outdated | DiskState::Consistent) if may_go(subject) => {
            Some(Earlier::Replaced)
        }
        _ => Some(Earlier::Stays),
    }
}

/// Whether snapshots may be removed: not while somebody is still to look at the resource.
pub fn may_go(subject: &Subject) -> bool {
    subject.facts.quarantine == Known::Is(None)
}

/// What the snapshots of the volumes that DRBD names are called.
pub fn names(subject: &Subject) -> Vec<String> {
    subject.event.minors.iter().map(|&minor| name(subject.resource, minor)).collect()
}
