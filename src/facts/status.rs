//! What `block-drbd status` looks at: every resource with everybody who has to do with it.

use super::{Claim, FlushProbe, Known, Lone, Quarantine, Resource, Role, User, Volume, Window};

/// This host.
pub struct HostStatus {
    /// Its name (/proc/sys/kernel/hostname).
    pub host: Known<String>,
    /// When it was looked at, in seconds since 1970.
    pub at: u64,
    /// Its hypervisor: major, minor (/sys/hypervisor/version).
    pub xen: Known<(u32, u32)>,
    /// Its resources, and those of which only a record is left.
    pub resources: Vec<ResourceStatus>,
    /// Whether the directories of the claims, the windows and the quarantine could be listed: the unit, or why not.
    pub listed: [Record<()>; 3],
}

/// A record of our own, as far as it can be relied on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record<T> {
    /// What it says; `None` where there is none.
    Is(Option<T>),
    /// It is there, and nothing may be built on it.
    Bad {
        /// One clause that names the file.
        why: String,
        /// What to do about it: one clause with the command.
        remedy: String,
    },
    /// It could not be looked at: one clause that names the file.
    Unknown(String),
}

/// One resource.
pub struct ResourceStatus {
    /// Its name.
    pub name: String,
    /// What DRBD says of it; `None` when DRBD has none of that name up.
    pub resource: Option<Resource>,
    /// The backend devices of this host that have one of its volumes.
    pub users: Known<Vec<User>>,
    /// Of those users that are on the way here by a live migration: since when.
    pub incoming: Vec<Incoming>,
    /// What is recorded of its promotion.
    pub claim: Record<Claim>,
    /// Since when the claim says so, in seconds since 1970.
    pub claimed: Option<u64>,
    /// The window that is open here for a guest that moves in.
    pub window: Record<Window>,
    /// What this node has written of it since it lost the peer.
    pub lone: Record<Lone>,
    /// Why no guest is given it.
    pub quarantine: Record<Quarantine>,
    /// Its volumes, in the order of the resource's.
    pub volumes: Vec<VolumeStatus>,
}

/// One volume.
pub struct VolumeStatus {
    /// Who has it in this domain itself: mount points, swap, stacked devices, as words.
    /// Only asked for where it is Primary.
    pub dom0: Known<Vec<String>>,
    /// The last flush that was tried on it.
    pub flush: Record<FlushProbe>,
}

/// A guest that a live migration has brought here and not yet started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    /// The guest.
    pub domid: u32,
    /// When its memory had arrived, in seconds since 1970 (`/vm/UUID/start_time`, which libxl
    /// writes then: libxl_create.c, domcreate_stream_done).
    pub since: Known<u64>,
}

impl ResourceStatus {
    /// The volumes that are Primary here.
    pub fn primary(&self) -> Vec<&Volume> {
        let volumes = self.resource.iter().flat_map(|resource| &resource.volumes);
        volumes.filter(|volume| volume.role == Role::Primary).collect()
    }

    /// Its volumes with what was found out about each.
    pub fn volumes(&self) -> impl Iterator<Item = (&Volume, &VolumeStatus)> {
        let volumes = self.resource.iter().flat_map(|resource| &resource.volumes);
        volumes.zip(&self.volumes)
    }

    /// The users that may have a device open; none where that is unknown.
    pub fn live(&self) -> impl Iterator<Item = &User> {
        self.users.value().into_iter().flatten().filter(|user| user.live)
    }

    /// The minors that are still Primary because of us and that nobody uses: a pending release.
    pub fn pending(&self) -> Vec<u32> {
        let Record::Is(Some(claim)) = &self.claim else { return Vec::new() };
        if self.users.value().is_none() || self.live().next().is_some() {
            return Vec::new();
        }
        let minors = self.primary().into_iter().map(|volume| volume.minor);
        minors.filter(|minor| claim.promoted.contains(minor)).collect()
    }
}

impl<T> Record<T> {
    /// What it says, where it says something that can be relied on.
    pub fn value(&self) -> Option<&T> {
        match self {
            Record::Is(Some(record)) => Some(record),
            _ => None,
        }
    }
}
