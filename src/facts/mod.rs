//! What was found out about the machine, as plain data.
//!
//! Nothing here reads anything, and nothing here has a default: what could not
//! be read is [`Known::Unknown`] with the reason, and a word that this program
//! does not know is kept as `Other`. Rules refuse on what they need and cannot
//! know.

mod claim;
mod drbd;
mod expected;
mod generations;
mod handler;
mod lone;
mod node;
mod quarantine;
pub mod snapshot;
mod status;
pub mod storage;
mod window;
mod xen;

pub use claim::*;
pub use drbd::*;
pub use expected::*;
pub use generations::*;
pub use handler::*;
pub use lone::*;
pub use node::*;
pub use quarantine::*;
pub use status::*;
pub use window::*;
pub use xen::*;

use crate::target::Target;
use serde::{Deserialize, Serialize};
use std::fmt;
use storage::Devices;

/// A value, or why it could not be had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Known<T> {
    /// The value as it was read.
    Is(T),
    /// Why it could not be read: one clause, lower case, naming the file or key.
    Unknown(String),
}

impl<T> Known<T> {
    /// The value, where there is one.
    pub fn value(&self) -> Option<&T> {
        match self {
            Known::Is(value) => Some(value),
            Known::Unknown(_) => None,
        }
    }
}

/// With the whole chain of an error.
impl<T, E: fmt::Display> From<Result<T, E>> for Known<T> {
    fn from(result: Result<T, E>) -> Self {
        match result {
            Ok(value) => Known::Is(value),
            Err(error) => Known::Unknown(format!("{error:#}")),
        }
    }
}

/// Everything that was found out for one event.
#[derive(Debug, Clone, Serialize)]
pub struct Facts {
    /// This host. A remove does not ask.
    pub node: Node,
    /// The time, in seconds since 1970.
    pub now: u64,
    /// Our own backend directory; `None` when it does not exist.
    pub backend: Known<Option<Backend>>,
    /// What the disk line names, or what is wrong with that.
    pub target: Result<Target, String>,
    /// The named resource; `None` when the kernel knows none of that name.
    pub resource: Known<Option<Resource>>,
    /// The major number of DRBD's devices (/proc/devices).
    pub major: Known<u32>,
    /// Every backend device of this host that has been given a block device.
    pub vbds: Known<Vec<Vbd>>,
    /// Every other backend device of this host that has one of the resource's volumes.
    pub users: Known<Vec<User>>,
    /// Every guest of this host that has a device on which the named volume stands. Asked for an add only.
    pub lower_users: Known<Vec<LowerUser>>,
    /// Where the named volume is mounted in this domain. This and the next two
    /// are asked for an add only: whoever uses the device, a remove does not give it away.
    pub mounts: Known<Vec<String>>,
    /// Whether the named volume is swapped on in this domain.
    pub swap: Known<bool>,
    /// The devices that are stacked on the named volume (/sys/block/drbdN/holders).
    pub holders: Known<Vec<String>>,
    /// Who is seen to have the named volume open in this domain, in words. Asked for where it is
    /// Primary and no guest has it ([`Facts::is_primary_for_no_guest`]).
    pub openers: Known<Vec<String>>,
    /// What this program has recorded of the resource; `None` when nothing.
    pub claim: Known<Option<Claim>>,
    /// What this node has written of the resource since it lost the peer; `None` when nothing is recorded.
    pub lone: Known<Option<Lone>>,
    /// The window that this node has opened for a guest that moves in; `None` when there is none.
    pub window: Known<Option<Window>>,
    /// Why no guest is to be given it until somebody has looked; `None` when it is in no quarantine.
    pub quarantine: Known<Option<Quarantine>>,
    /// Whether the toolstack that called receives a live migration: its own arguments say so, while
    /// the name `…--incoming` alone could be anybody's. Asked for an add only.
    pub receiving: Known<bool>,
    /// Which guest the peer has announced with the resource; `None` when none. Asked for the add of a
    /// guest that moves in only.
    pub expected: Known<Option<Expected>>,
    /// What each disk of the guest names that moves in. The toolstack has written all of them before it calls
    /// for the first (libxl_create.c, libxl__add_disks). Asked for the add of such a guest only.
    pub own_targets: Known<Vec<Target>>,
    /// Which guests have the resource on the node that a guest moves in from, as that node says. Asked
    /// for the add of such a guest only.
    pub at_source: Known<Vec<VolumeUser>>,
    /// The block devices below the resource. A remove does not ask.
    pub devices: Devices,
    /// What each peer of the resource said of itself when it was last asked. A remove does not ask.
    pub peers: Known<Vec<PeerAnswer>>,
    /// The last flush that was tried on the volume; `None` when none was, and
    /// for an add, which tries one itself.
    pub last_flush: Known<Option<FlushProbe>>,
}

impl Facts {
    /// Whether the guest is moving in from another node: xl calls it `…--incoming` meanwhile
    /// (xl_vmcontrol.c, create_domain), and the process that called is the one that receives it.
    pub fn moves_in(&self) -> bool {
        let name = self.backend.value().and_then(|backend| backend.as_ref()?.guest.as_deref());
        name.is_some_and(|name| name.ends_with(INCOMING))
            && self.receiving == Known::Is(true)
            && self.names_are_dom0s()
    }

    fn names_are_dom0s(&self) -> bool {
        names_are_dom0s(&self.node.xen)
    }

    /// Whether `user` is the disk of our own guest in another domain that is to be given the volume here:
    /// another of its disks would write to what it takes for the first.
    pub fn has_our_disk(&self, user: &User) -> bool {
        let own = self.backend.value().and_then(Option::as_ref);
        own.is_some_and(|own| own.devid == user.devid) && self.is_of_our_guest(user)
    }

    /// Whether `user` is a device of our own guest in another domain: of its other half, while the
    /// guest moves within this host, or of its stub domain.
    pub fn is_of_our_guest(&self, user: &User) -> bool {
        let Some(Some(backend)) = self.backend.value() else { return false };
        let is_stub = self.names_are_dom0s() && backend.identity().is_stub_of(&user.identity());
        is_stub || self.is_other_half(user)
    }

    /// Whether `user` is a device of the half that our own guest leaves, as it moves within this host.
    pub fn is_other_half(&self, user: &User) -> bool {
        let Some(Some(backend)) = self.backend.value() else { return false };
        self.moves_in() && backend.identity().is_half_of(&user.identity())
    }

    /// The connection over which the guest moves in: its peer has the named volume Primary.
    pub fn source(&self) -> Option<&Connection> {
        let number = self.volume()?.number;
        let resource = self.resource.value()?.as_ref()?;
        let mut connections = resource.connections.iter();
        connections.find(|connection| self.moves_in() && connection.has_primary(number))
    }

    /// The announcement of the guest that moves in with the named volume, where there is one that holds.
    pub fn announced(&self) -> Option<&Expected> {
        let own = self.backend.value()?.as_ref()?.identity();
        let expected = self.expected.value()?.as_ref()?;
        expected.holds(&own, self.volume()?, self.now).then_some(expected)
    }

    /// Whether the guest is known to end on this host: not the half of one that xl has moved to another
    /// (it renames the half that stays, xl_migrate.c), not one that has not arrived and may run where
    /// it was to come from, and not one of which nothing is known.
    pub fn ends_here(&self) -> bool {
        let name = self.backend.value().and_then(|backend| backend.as_ref()?.guest.as_deref());
        name.is_some_and(|name| !name.ends_with(MIGRATED_AWAY) && !name.ends_with(INCOMING))
    }

    /// Whether two Primaries were not allowed when we claimed the resource: if they are now, that is
    /// the window of a migration, here or at the peer.
    pub fn claims_one_primary(&self) -> bool {
        let claim = self.claim.value().and_then(Option::as_ref);
        claim.is_some_and(|claim| claim.two_primaries == Some(false))
    }

    /// Whether the named volume is Primary here and certainly no guest of this host has it. A record of
    /// ours proves nothing of who has it open now: a guest that is gone may have left it Primary, a
    /// killed add too, and since then any program may have opened it.
    pub fn is_primary_for_no_guest(&self) -> bool {
        self.volume().is_some_and(|volume| self.is_primary(volume.minor) && self.has_no_user(volume.minor))
    }

    /// Whether the named volume has this minor and is Primary here.
    pub fn is_primary(&self, minor: u32) -> bool {
        self.volume().is_some_and(|volume| volume.minor == minor && volume.role == Role::Primary)
    }

    /// Whether it is certain that no other device of a guest of this host has this minor.
    pub fn has_no_user(&self, minor: u32) -> bool {
        let used = |users: &Vec<User>| users.iter().any(|user| user.live && user.minor == minor);
        self.users.value().is_some_and(|users| !used(users))
    }

    /// The one volume that is meant, where that is certain.
    pub fn volume(&self) -> Option<&Volume> {
        let resource = self.resource.value()?.as_ref()?;
        match (self.target.as_ref().ok()?.volume, &resource.volumes[..]) {
            (Some(number), volumes) => volumes.iter().find(|volume| volume.number == number),
            (None, [only]) => Some(only),
            (None, _) => None,
        }
    }
}
