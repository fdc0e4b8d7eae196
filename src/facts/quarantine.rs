//! What a handler of DRBD has set aside, and what it looks at.

use super::{DiskState, Known, OwnGenerations, ReplicationState, User};
use crate::clock::utc;
use crate::event::drbd::EventName;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// What is done to the guests that use a volume to which something bad has happened. The resource
/// is put in quarantine in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Act {
    /// Nothing: it is only recorded.
    Record,
    /// They are paused: they write nothing, and keep what is in their memory.
    Pause,
    /// They are asked to shut down, and go on until they have.
    Shutdown,
    /// They are paused at once, and destroyed.
    Destroy,
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Act::Record => "record",
            Act::Pause => "pause",
            Act::Shutdown => "shutdown",
            Act::Destroy => "destroy",
        })
    }
}

/// A resource that no guest is given until an administrator has looked at it, in
/// `/var/lib/block-drbd/quarantine/RES.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quarantine {
    /// The version of this format: 1.
    pub version: u32,
    /// The resource.
    pub resource: String,
    /// What happened first.
    pub event: EventName,
    /// When, in seconds since 1970.
    pub when: u64,
    /// The host on which it happened.
    pub node: String,
    /// Why that is a reason: one clause.
    pub reason: String,
    /// The guests that used it then, as words; or why they are not known.
    pub guests: Known<Vec<String>>,
    /// What was to be done to them.
    pub act: Act,
    /// What happened to the resource since, the last [`Quarantine::MOST_LATER`].
    pub later: Vec<Later>,
}

/// Something that happened to a resource in quarantine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Later {
    /// What.
    pub event: EventName,
    /// When, in seconds since 1970.
    pub when: u64,
}

impl Quarantine {
    /// How many later events are kept.
    pub const MOST_LATER: usize = 16;

    /// Where the record of `resource` stands. The name has been checked by [`crate::target::Target::parse`].
    pub fn path(resource: &str) -> String {
        format!("/var/lib/block-drbd/quarantine/{resource}.json")
    }

    /// What happened, when, where and to whom: `split-brain on a at …: r0 has split …; …`.
    pub fn story(&self) -> String {
        let guests = match &self.guests {
            Known::Is(guests) if guests.is_empty() => "no guest used it".to_string(),
            Known::Is(guests) => format!("{} used it (act: {})", guests.join(", "), self.act),
            Known::Unknown(_) => "who used it is not known".into(),
        };
        let later: Vec<String> =
            self.later.iter().map(|later| format!("{} at {}", later.event, utc(later.when))).collect();
        let later =
            if later.is_empty() { String::new() } else { format!("; since then {}", later.join(", ")) };
        let Quarantine { event, node, resource, reason, .. } = self;
        format!("{event} on {node} at {}: {resource} {reason}; {guests}{later}", utc(self.when))
    }

    /// The same, with something that happened since.
    pub fn with(mut self, event: EventName, when: u64) -> Self {
        self.later.push(Later { event, when });
        let surplus = self.later.len().saturating_sub(Self::MOST_LATER);
        self.later.drain(..surplus);
        self
    }
}

/// What fence-peer has established of a peer, in `/run/block-drbd/fenced/RES.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fenced {
    /// The version of this format: 1.
    pub version: u32,
    /// The resource.
    pub resource: String,
    /// The peer, where its name is known.
    pub peer: Option<String>,
    /// What DRBD was answered.
    pub code: i32,
    /// How that was established: one clause.
    pub how: String,
    /// When, in seconds since 1970.
    pub when: u64,
}

impl Fenced {
    /// Where the record of `resource` stands. The name has been checked by [`crate::target::Target::parse`].
    pub fn path(resource: &str) -> String {
        format!("/run/block-drbd/fenced/{resource}.json")
    }
}

/// A volume of this node that DRBD names when it asks about the peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnVolume {
    /// Its number within the resource.
    pub number: u32,
    /// Its generations, where DRBD shows them without being asked for; unknown where what it shows
    /// cannot be understood.
    pub generations: Known<Option<OwnGenerations>>,
}

/// How far a resync is with a volume of this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resync {
    /// What is replicated (cs: of /proc/drbd).
    pub replication: ReplicationState,
    /// The local disk.
    pub disk: DiskState,
}

/// Everything that a handler of DRBD looks at. DRBD itself is not asked: it waits for the handler.
#[derive(Debug, Clone)]
pub struct HandlerFacts {
    /// When, in seconds since 1970.
    pub now: u64,
    /// This host's name.
    pub host: Known<String>,
    /// The resource that the event is about.
    pub resource: Known<String>,
    /// The backend devices of this host that have one of its volumes.
    pub users: Known<Vec<User>>,
    /// The local disks of the minors that DRBD names, by minor, from /proc/drbd; never empty. Looked at
    /// before a resync only.
    pub disks: Known<BTreeMap<u32, DiskState>>,
    /// Every volume of the resource on this host, by minor, from /proc/drbd. Looked at before and after a
    /// resync only.
    pub resyncs: Known<BTreeMap<u32, Resync>>,
    /// The volumes that DRBD names, with their generations; never empty. Looked at for fence-peer only.
    pub volumes: Known<Vec<OwnVolume>>,
    /// What is recorded of its quarantine.
    pub quarantine: Known<Option<Quarantine>>,
    /// What is recorded of its peer.
    pub fenced: Known<Option<Fenced>>,
}

impl HandlerFacts {
    /// The guests that may have one of the volumes open; never this domain itself.
    pub fn guests(&self) -> impl Iterator<Item = &User> {
        self.users.value().into_iter().flatten().filter(|user| user.live && user.domid != 0)
    }
}
