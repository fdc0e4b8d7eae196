//! What this program records of a node that has gone on without its peer.

use super::{Known, Volume};
use serde::{Deserialize, Serialize};

/// Which data this node has written since it lost the peer, in `/run/block-drbd/lone/RES.json`.
///
/// Written when a guest ends on a resource that is not connected. While this holds, the same
/// guest may start here again: what could fork has forked, and this node has that side of it.
/// It must not survive a boot, after which the peer may have gone on: so it is in `/run`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lone {
    /// The version of this format: 1.
    pub version: u32,
    /// The resource.
    pub resource: String,
    /// Its volumes that were written.
    pub volumes: Vec<LoneVolume>,
}

/// A volume in a [`Lone`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoneVolume {
    /// Its minor.
    pub minor: u32,
    /// The generation of its data ([`super::Generations::current_uuid`]), the lowest bit cleared.
    pub current_uuid: u64,
}

impl Lone {
    /// Where the record of `resource` stands. The name has been checked by [`crate::target::Target::parse`].
    pub fn path(resource: &str) -> String {
        format!("/run/block-drbd/lone/{resource}.json")
    }

    /// Whether `volume` still has the data that was recorded, and the peer lacks some of it.
    ///
    /// A promotion without the peer makes a new generation only where the bitmap has none yet
    /// (drbd_nl.c, drbd_set_role); a resync that the peer has finished clears that of the bitmap.
    pub fn holds(&self, volume: &Volume) -> bool {
        let Known::Is(now) = volume.generations else { return false };
        let recorded = self.volumes.iter().find(|recorded| recorded.minor == volume.minor);
        now.bitmap_uuid != 0 && recorded.is_some_and(|recorded| now.is_of(recorded.current_uuid))
    }
}
