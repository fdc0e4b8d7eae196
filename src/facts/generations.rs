//! The generations of the data on a disk, and what those of two nodes say about whose data is newer.
//!
//! DRBD compares the same numbers when two nodes connect (drbd_receiver.c, drbd_uuid_compare).

use serde::{Deserialize, Serialize};

/// The current generation of a disk that has never had data (drbd_int.h, UUID_JUST_CREATED).
const JUST_CREATED: u64 = 4;

/// What DRBD adds to the bitmap generation at the begin of a resync (drbd_int.h, UUID_NEW_BM_OFFSET). The
/// target gets the sum as its current generation, unless the link is lost just then.
const RESYNC_OFFSET: u64 = 0x0001_0000_0000_0000;

/// The generation identifiers of an attached disk, out of its meta data.
///
/// With the peer's they tell whose data is newer, or that both have gone on alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Generations {
    /// Of the data. Its lowest bit tells that this node is or was Primary with it
    /// (8.4: STATE_INFO uuids[UI_CURRENT]).
    #[serde(with = "hex")]
    pub current_uuid: u64,
    /// Of the data when the peer was lost: the bitmap has what has changed since.
    /// 0: the peer has everything (8.4: STATE_INFO uuids[UI_BITMAP]).
    #[serde(with = "hex")]
    pub bitmap_uuid: u64,
    /// `enum mdf_flag` (8.4: STATE_INFO disk_flags).
    pub disk_flags: u32,
}

impl Generations {
    /// Whether the data is of generation `current_uuid`, whoever is Primary with it: a promotion
    /// sets the lowest bit, and a demotion clears it (drbd_nl.c, drbd_set_role).
    pub fn is_of(&self, current_uuid: u64) -> bool {
        same(self.current_uuid, current_uuid)
    }

    /// Whether a peer of generations `peer` is known to have written what this disk lacks, however
    /// long ago the peer told them.
    ///
    /// A peer that goes on alone keeps in its bitmap generation from where it went on. Where that is
    /// this disk's current generation still, this disk has got nothing of it; a resync gives this disk
    /// another current generation, and no generation comes twice. Where both bitmap generations are
    /// the same, both nodes went on from there.
    pub fn lack_what(&self, peer: &Generations) -> Option<WroteAlone> {
        if peer.bitmap_uuid == 0 || self.is_of(peer.current_uuid) {
            return None;
        }
        let went_on_from_here = self.is_of(peer.bitmap_uuid)
            || same(self.current_uuid.wrapping_add(RESYNC_OFFSET), peer.bitmap_uuid);
        match () {
            () if went_on_from_here => Some(WroteAlone::Peer),
            () if same(self.bitmap_uuid, peer.bitmap_uuid) => Some(WroteAlone::Both),
            () => None,
        }
    }
}

/// Who is known to have written without the other node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WroteAlone {
    /// The peer: its data is newer.
    Peer,
    /// Both nodes: the data has split.
    Both,
}

/// The generations of a disk of this node, as DRBD's module shows them in debugfs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnGenerations {
    /// Of the data (UI_CURRENT).
    pub current_uuid: u64,
    /// Of the data when the peer was lost; 0 when the peer has everything (UI_BITMAP).
    pub bitmap_uuid: u64,
    /// The two before that, the newer one first; 0 where there is none (UI_HISTORY_START, UI_HISTORY_END).
    pub history: [u64; 2],
}

/// What the data of a peer's disk is to the data here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// All of it is here.
    Included,
    /// The generations do not tell: all of it may be here, or none.
    Unsettled,
    /// The peer has written what this node lacks.
    PeerWroteAlone,
    /// The same, and whether this node has written alone, too, is not known.
    PeerWroteAtLeast,
    /// Each node has written what the other lacks.
    BothWroteAlone,
}

impl Standing {
    /// Of a peer's disk with the generations `peer`, against `own` where those can be read.
    pub fn of(peer: &Generations, own: Option<&OwnGenerations>) -> Standing {
        match own {
            None if peer.bitmap_uuid == 0 => Standing::Included,
            None => Standing::PeerWroteAtLeast,
            Some(own) if peer.bitmap_uuid == 0 => match own.include(peer.current_uuid) {
                true => Standing::Included,
                false => Standing::Unsettled,
            },
            // The peer was the source of a resync and has missed its end (drbd_uuid_compare knows the case).
            Some(own) if same(own.current_uuid, peer.current_uuid) => Standing::Unsettled,
            Some(own) if own.bitmap_uuid != 0 => Standing::BothWroteAlone,
            Some(_) => Standing::PeerWroteAlone,
        }
    }
}

impl OwnGenerations {
    /// Whether the data here is of generation `current_uuid`, or has come from it: where DRBD would
    /// make this node the source of a resync (drbd_uuid_compare, results 0, 1 and 2).
    fn include(&self, current_uuid: u64) -> bool {
        let bitmap = Some(self.bitmap_uuid).filter(|bitmap| *bitmap != 0);
        let earlier = bitmap.into_iter().flat_map(|bitmap| [bitmap, bitmap.wrapping_sub(RESYNC_OFFSET)]);
        let known = [self.current_uuid].into_iter().chain(earlier).chain(self.history);
        // 0 stands for no generation: a disk of that one has no data, and no known one is that.
        [0, JUST_CREATED].contains(&current_uuid)
            || known.filter(|known| *known != 0).any(|known| same(known, current_uuid))
    }
}

/// Whether two are the same generation: the lowest bit is about the role.
fn same(one: u64, other: u64) -> bool {
    one | 1 == other | 1
}

/// A generation as DRBD prints it: many readers of JSON keep only 53 bits of a number.
mod hex {
    use serde::de::{Deserialize, Deserializer, Error};
    use serde::ser::Serializer;

    pub fn serialize<S: Serializer>(uuid: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{uuid:016X}"))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        u64::from_str_radix(&String::deserialize(deserializer)?, 16).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATER: u64 = 0xA0A0_0000_0000_0010;
    const EARLIER: u64 = 0xB0B0_0000_0000_0020;
    const ALONE: u64 = 0xC0C0_0000_0000_0030;

    fn told(current_uuid: u64, bitmap_uuid: u64) -> Generations {
        Generations { current_uuid, bitmap_uuid, disk_flags: 0 }
    }

    fn own(current_uuid: u64, bitmap_uuid: u64, history: [u64; 2]) -> Option<OwnGenerations> {
        Some(OwnGenerations { current_uuid, bitmap_uuid, history })
    }

    #[test]
    #[rustfmt::skip]
    fn what_a_peers_data_is_to_the_data_here() {
        use Standing::*;
        let (quiet, went_on) = (own(LATER, 0, [EARLIER, 0]), own(LATER | 1, EARLIER, [0, 0]));
        let resync = own(LATER, EARLIER + RESYNC_OFFSET, [EARLIER, 0]);
        for (peer, own, standing) in [
            (told(LATER, 0), quiet, Included),
            (told(LATER | 1, 0), quiet, Included), // it was Primary
            (told(LATER, 0), None, Included),
            (told(EARLIER, 0), went_on, Included), // this node has gone on alone from there
            (told(EARLIER | 1, 0), went_on, Included),
            (told(EARLIER, 0), quiet, Included), // long ago
            (told(EARLIER + RESYNC_OFFSET, 0), resync, Included), // half of a resync
            (told(EARLIER, 0), own(LATER, EARLIER + RESYNC_OFFSET, [0, 0]), Included), // it has not begun there
            (told(JUST_CREATED, 0), quiet, Included), // a new disk
            (told(0, 0), quiet, Included),
            (told(ALONE, 0), quiet, Unsettled),
            (told(ALONE, 0), went_on, Unsettled),
            (told(RESYNC_OFFSET, 0), quiet, Unsettled),
            (told(0_u64.wrapping_sub(RESYNC_OFFSET), 0), quiet, Unsettled), // no resync has begun
            (told(LATER, EARLIER), quiet, Unsettled), // the end of a resync was missed there
            (told(ALONE, LATER), quiet, PeerWroteAlone),
            (told(ALONE | 1, LATER), quiet, PeerWroteAlone),
            (told(ALONE, LATER), None, PeerWroteAtLeast),
            (told(ALONE, 0xD0), quiet, PeerWroteAlone),
            (told(ALONE, EARLIER), went_on, BothWroteAlone),
            (told(ALONE, 0xD0), went_on, BothWroteAlone),
        ] {
            assert_eq!(Standing::of(&peer, own.as_ref()), standing, "{peer:x?} {own:x?}");
        }
    }

    #[test]
    #[rustfmt::skip]
    fn what_is_lacked_of_what_a_peer_told_once() {
        for (own, peer, lacks) in [
            (told(LATER, 0), told(ALONE, LATER), Some(WroteAlone::Peer)),
            (told(LATER, 0), told(ALONE | 1, LATER | 1), Some(WroteAlone::Peer)), // it is Primary
            (told(LATER, 0), told(ALONE, LATER + RESYNC_OFFSET), Some(WroteAlone::Peer)), // a resync was to begin
            (told(EARLIER, LATER), told(ALONE, LATER), Some(WroteAlone::Both)),
            (told(ALONE, 0), told(ALONE, LATER), None), // resynced since
            (told(ALONE | 1, 0), told(ALONE, LATER), None),
            (told(0xD0, ALONE), told(ALONE, LATER), None), // and gone on from there
            (told(0xD0, 0), told(ALONE, LATER), None), // and resynced again
            (told(EARLIER, LATER + RESYNC_OFFSET), told(ALONE, LATER), None), // the peer's is thrown away
            (told(LATER, 0), told(LATER, 0), None),
            (told(LATER, 0), told(EARLIER, 0), None),
            (told(LATER, EARLIER), told(EARLIER, 0), None),
        ] {
            assert_eq!(own.lack_what(&peer), lacks, "{own:x?} {peer:x?}");
        }
    }
}
