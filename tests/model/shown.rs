//! What DRBD tells of the resource on a node, in the values of the model and as the program's own
//! [`Resource`].

use crate::drbd::{Disk, Drbd, Fencing, Link};
use block_drbd::facts::{
    self, Connection, ConnectionState, DiskState, Facts, Generations, HandlerEntry, Known, Lone, Program,
    ProgramKind, ReplicationState, Resource, Role,
};

/// What DRBD tells of the resource on one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shown {
    pub primary: bool,
    pub disk: Disk,
    pub link: Link,
    pub peer_primary: bool,
    pub peer_disk: Disk,
    pub two_primaries: bool,
    pub generation: u8,
    pub bitmap: u8,
    pub frozen: bool,
}

impl Shown {
    pub fn of(drbd: &Drbd) -> Shown {
        Shown {
            primary: drbd.primary,
            disk: drbd.disk,
            link: drbd.link,
            peer_primary: drbd.peer_primary,
            peer_disk: drbd.peer_disk,
            two_primaries: drbd.two_primaries,
            generation: drbd.generation,
            bitmap: drbd.bitmap,
            frozen: drbd.frozen,
        }
    }
}

/// The resource of the recorded machine.
pub fn of_machine(facts: &mut Facts) -> &mut Resource {
    match &mut facts.resource {
        Known::Is(Some(resource)) => resource,
        other => panic!("{other:?}"),
    }
}

/// As drbd.conf has it: the policy, and this program for its handler.
pub fn set_fencing(resource: &mut Resource, fencing: Fencing) {
    let path = "/usr/sbin/block-drbd";
    let fence_peer = HandlerEntry {
        event: "fence-peer".into(),
        command: format!("{path} handler fence-peer"),
        program: Known::Is(Program { path: path.into(), kind: ProgramKind::Executable }),
        place: "/etc/drbd.conf:2:3".into(),
    };
    resource.handlers = Known::Is(vec![fence_peer]);
    resource.connections[0].fencing = Known::Is(match fencing {
        Fencing::DontCare => facts::Fencing::DontCare,
        Fencing::ResourceOnly => facts::Fencing::ResourceOnly,
        Fencing::ResourceAndStonith => facts::Fencing::ResourceAndStonith,
    });
}

/// Puts what DRBD shows into a resource that was recorded connected.
pub fn show(resource: &mut Resource, shown: &Shown) {
    let role = |primary| if primary { Role::Primary } else { Role::Secondary };
    resource.role = role(shown.primary);
    resource.suspended.fencing = shown.frozen;
    resource.needs_quorum = Known::Is(false);
    let volume = &mut resource.volumes[0];
    volume.role = role(shown.primary);
    volume.disk = disk(shown.disk);
    volume.quorum = Known::Is(true);
    volume.generations = Known::Is(Generations {
        current_uuid: uuid(shown.generation) | u64::from(shown.primary),
        bitmap_uuid: uuid(shown.bitmap),
        disk_flags: 0,
    });
    let Connection { state, peer_role, protocol, two_primaries, peer_volumes, .. } =
        &mut resource.connections[0];
    *two_primaries = Known::Is(shown.two_primaries);
    *peer_role = role(shown.peer_primary);
    *state = match shown.link {
        Link::Connected => ConnectionState::Connected,
        Link::Connecting => ConnectionState::Connecting,
        Link::StandAlone => ConnectionState::StandAlone,
    };
    if shown.link != Link::Connected {
        *peer_role = Role::Unknown;
    }
    if shown.link == Link::StandAlone {
        *protocol = Known::Unknown("it is not connected".into());
        *two_primaries = Known::Unknown("it is not connected".into());
    }
    peer_volumes[0].role = peer_role.clone();
    peer_volumes[0].disk = disk(shown.peer_disk);
    peer_volumes[0].replication = match (shown.link, shown.disk, shown.peer_disk) {
        (Link::Connected, Disk::Inconsistent, _) => ReplicationState::SyncTarget,
        (Link::Connected, _, Disk::Inconsistent) => ReplicationState::SyncSource,
        (Link::Connected, ..) => ReplicationState::Established,
        _ => ReplicationState::Off,
    };
}

fn disk(disk: Disk) -> DiskState {
    match disk {
        Disk::UpToDate => DiskState::UpToDate,
        Disk::Consistent => DiskState::Consistent,
        Disk::Outdated => DiskState::Outdated,
        Disk::Inconsistent => DiskState::Inconsistent,
        Disk::Unknown => DiskState::DUnknown,
    }
}

/// The lowest bit of a generation tells whether the node is Primary with it; 4 is that of a disk
/// without data (drbd_int.h, UUID_JUST_CREATED).
pub fn uuid(generation: u8) -> u64 {
    u64::from(generation) << 8
}

/// The generation in a record.
pub fn generation(lone: &Lone) -> u8 {
    (lone.volumes[0].current_uuid >> 8) as u8
}
