//! What the durability rules look at: one node's half of a volume, and what is
//! known of a peer at all.

use crate::config::Settings;
use crate::facts::storage::{Cache, Devices, Walk, leaves};
use crate::facts::{
    Connection, DiskOptions, DiskState, Facts, Fencing, Known, Node, PeerAnswer, Resource, Volume,
};

/// The first kernel with flush requests in the place of barriers.
pub const FIRST_FLUSHES: [u32; 3] = [2, 6, 37];

/// One node's half of a volume.
pub struct Side<'a> {
    /// Whether it is this node's.
    pub here: bool,
    /// The node's name.
    pub name: &'a str,
    /// The node.
    pub node: &'a Node,
    /// Its block devices.
    pub devices: &'a Devices,
    /// The resource as it is there.
    pub resource: &'a Resource,
    /// The volume as it is there.
    pub volume: &'a Volume,
}

/// What some disks lose in a power cut.
pub enum Loss {
    /// Nothing.
    Nothing,
    /// These lose what was not flushed.
    Of(String),
    /// It cannot be told: why.
    Unknown(String),
}

impl<'a> Side<'a> {
    /// This node's half, and that of each peer that has told of the volume.
    pub fn all(facts: &'a Facts) -> Vec<Side<'a>> {
        let (Some(Some(resource)), Some(volume)) = (facts.resource.value(), facts.volume()) else {
            return Vec::new();
        };
        let (node, devices) = (&facts.node, &facts.devices);
        let own = Side { here: true, name: node.name(), node, devices, resource, volume };
        let peers = facts.peers.value().into_iter().flatten();
        let theirs = peers.filter_map(|answer| Side::of_peer(answer, &resource.name, volume.number));
        std::iter::once(own).chain(theirs).collect()
    }

    /// The half of the peer that gave `answer`.
    pub fn of_peer(answer: &'a PeerAnswer, resource: &str, volume: u32) -> Option<Side<'a>> {
        let facts = &answer.facts;
        let resource = facts.resources.value()?.iter().find(|other| other.name == resource)?;
        let volume = resource.volumes.iter().find(|other| other.number == volume)?;
        Some(Side {
            here: false,
            name: &answer.peer,
            node: &facts.node,
            devices: &facts.devices,
            resource,
            volume,
        })
    }

    /// Whether a disk is attached, so that its options and its stack matter.
    pub fn has_disk(&self) -> bool {
        self.volume.disk != DiskState::Diskless
    }

    /// The disk options, where a disk is attached and they are known.
    pub fn options(&self) -> Option<&DiskOptions> {
        self.volume.options.value().filter(|_| self.has_disk())
    }

    /// What is done there when the peer is lost, where that is anything: the gravest policy of its connections.
    pub fn fencing(&self) -> Option<&Fencing> {
        let policies = self.resource.connections.iter().filter_map(|peer| peer.fencing.value());
        let fencing: Vec<&Fencing> = policies.filter(|policy| **policy != Fencing::DontCare).collect();
        let gravest = fencing.iter().find(|policy| ***policy == Fencing::ResourceAndStonith);
        gravest.or(fencing.first()).copied()
    }

    /// Why it is not known of a connection what is done when its peer is lost.
    pub fn fencing_unknown(&self) -> Option<&str> {
        self.resource.connections.iter().find_map(|peer| match &peer.fencing {
            Known::Unknown(why) => Some(why.as_str()),
            Known::Is(_) => None,
        })
    }

    /// What a power cut loses of the data.
    pub fn loses_data(&self) -> Loss {
        self.loses(&self.volume.data)
    }

    /// What a power cut loses of the meta data.
    pub fn loses_meta_data(&self) -> Loss {
        self.loses(&self.volume.meta)
    }

    fn loses(&self, root: &Known<String>) -> Loss {
        let root = match root {
            Known::Is(root) => root,
            Known::Unknown(why) => return Loss::Unknown(why.clone()),
        };
        let Walk { found: disks, unknown: below } = leaves(self.devices, root);
        let volatile: Vec<&str> =
            disks.iter().filter(|(_, disk)| disk.cache() == Cache::Volatile).map(|(name, _)| *name).collect();
        let unknown = below.or_else(|| {
            disks.iter().find_map(|(name, disk)| match disk.cache() {
                Cache::Unknown(why) => Some(format!("the cache of {name}: {why}")),
                _ => None,
            })
        });
        match (volatile.is_empty(), unknown) {
            (false, _) => Loss::Of(volatile.join(", ")),
            (true, Some(why)) => Loss::Unknown(why),
            (true, None) => Loss::Nothing,
        }
    }

    /// The numbers at the beginning of the kernel's release: `6.1.0-53-amd64` is 6, 1, 0.
    pub fn kernel(&self) -> Option<[u32; 3]> {
        version(self.node.kernel.value()?)
    }

    /// The numbers of DRBD's version.
    pub fn drbd(&self) -> Option<[u32; 3]> {
        version(self.node.drbd.value()?)
    }
}

/// The first three numbers; one that is left out is 0.
fn version(text: &str) -> Option<[u32; 3]> {
    let mut numbers = text.split(|letter: char| !letter.is_ascii_digit()).map(str::parse::<u32>);
    let first = numbers.next()?.ok()?;
    let mut next = || numbers.next().and_then(Result::ok).unwrap_or(0);
    Some([first, next(), next()])
}

/// A connection, and what its peer said when it was last asked.
pub struct Peer<'a> {
    /// The connection.
    pub connection: &'a Connection,
    /// The resource.
    pub resource: &'a str,
    /// What the peer said; why that cannot be read; `None` when it was never asked.
    pub answer: Result<Option<&'a PeerAnswer>, &'a str>,
    /// Whether what it said has the volume.
    pub has_volume: bool,
    /// How old that is, in seconds; `None` when it comes from the future.
    pub age: Option<u64>,
    /// How old it may be, in seconds.
    pub oldest: u64,
}

impl<'a> Peer<'a> {
    /// One for each connection of the resource.
    pub fn all(facts: &'a Facts, settings: &Settings) -> Vec<Peer<'a>> {
        let (Some(Some(resource)), Some(volume)) = (facts.resource.value(), facts.volume()) else {
            return Vec::new();
        };
        let peer = |connection: &'a Connection| {
            let answer = match &facts.peers {
                Known::Is(answers) => Ok(answers.iter().find(|answer| answer.is_of(connection))),
                Known::Unknown(why) => Err(why.as_str()),
            };
            let told = answer.ok().flatten();
            Peer {
                connection,
                resource: &resource.name,
                answer,
                has_volume: told
                    .is_some_and(|told| Side::of_peer(told, &resource.name, volume.number).is_some()),
                age: told.and_then(|told| facts.now.checked_sub(told.at)),
                oldest: settings.oldest_peer_facts(),
            }
        };
        resource.connections.iter().map(peer).collect()
    }

    /// The peer's name: its host's, where it has told.
    pub fn name(&self) -> &'a str {
        match self.answer {
            Ok(Some(answer)) => &answer.peer,
            _ => &self.connection.peer,
        }
    }
}
