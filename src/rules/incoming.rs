//! A guest that moves in gets the disk that it left. The peer still has it Primary then: two
//! Primaries for a moment, so everything that makes the moment harmless must hold.

use super::resource_shared;
use super::{Check, Group, Judgement, Lowering, Rule, Severity, refuse, refuse_for_now, unknown};
use crate::facts::{Connection, DiskState, Facts, Known, Protocol, Resource, Role, Volume, VolumeUser, vdev};
use crate::target::Target;

/// The rule.
pub const RULE: Rule = Rule {
    id: "incoming",
    group: Group::Replication,
    severity: Severity::Refuse,
    lowering: Lowering::Never,
    reason: "during a live migration both nodes are Primary for a moment: without a connection, equal disks and protocol C what the source has written is not what the destination reads; and a running guest may get no other disk than the one that it left",
    remedy: "connect the resource, let the resync finish, use protocol C, then migrate again: the guest goes on where it is",
    check: Check::Volume(check),
};

fn check(facts: &Facts) -> Judgement {
    let (Some(Some(resource)), Some(volume)) = (facts.resource.value(), facts.volume()) else {
        return Judgement::Pass;
    };
    if !facts.moves_in() {
        return Judgement::Pass;
    }
    match facts.source() {
        Some(peer) => from_peer(facts, resource, volume, peer),
        None if is_here(facts, volume) => Judgement::Pass,
        None => from_nowhere(facts, resource, volume),
    }
}

/// Whether the guest moves within this host, and its other half has the volume as the same disk.
fn is_here(facts: &Facts, volume: &Volume) -> bool {
    let mut users = facts.users.value().into_iter().flatten();
    volume.role == Role::Primary
        && users.any(|user| {
            user.live && user.minor == volume.minor && facts.has_our_disk(user) && facts.is_other_half(user)
        })
}

fn from_peer(facts: &Facts, resource: &Resource, volume: &Volume, peer: &Connection) -> Judgement {
    let vm = facts.backend.value().and_then(|backend| backend.as_ref()?.vm.as_ref());
    let name = &resource.name;
    match (vm, &facts.window) {
        (None, _) => unknown(
            "which guest moves in",
            "xenstore has no vm node for it",
            format!("end the migration and start the guest again; {name} is not touched"),
        ),
        (Some(_), Known::Unknown(why)) => unknown(
            "whether another guest is moving in",
            why,
            format!("end what window there may be with: block-drbd release {name}; then migrate again"),
        ),
        (Some(vm), Known::Is(Some(window))) if window.vm != *vm => refuse_for_now(
            format!("another guest (domain {}) is moving in on {name}", window.domid),
            format!("see what that is with: block-drbd status; then run: block-drbd release {name}"),
        ),
        (Some(_), _) => {
            let against = [
                another_guest(facts, volume, peer),
                stays_open(facts, name),
                stays_primary(facts, name, peer),
            ];
            let against = against.into_iter().find(|judgement| *judgement != Judgement::Pass);
            against.unwrap_or_else(|| obstacle(resource, peer))
        }
    }
}

/// A window ends when one node has no volume Primary any more: another guest here, on another volume of
/// the resource, would keep it open.
fn stays_open(facts: &Facts, resource: &str) -> Judgement {
    match resource_shared::other_guest(facts) {
        None => Judgement::Pass,
        Some(user) => refuse(
            format!(
                "{} has another volume of {resource} here, so that both nodes would stay Primary",
                user.called()
            ),
            format!("shut it down with: xl shutdown {}, then migrate again", user.domid),
        ),
    }
}

/// The same at the source: it has a volume Primary on which the guest that moves in has no disk.
fn stays_primary(facts: &Facts, resource: &str, peer: &Connection) -> Judgement {
    let own = match &facts.own_targets {
        Known::Is(targets) => targets,
        Known::Unknown(why) => {
            let remedy = "see that xenstored runs, then migrate again".into();
            return unknown("which disks the guest has that moves in", why, remedy);
        }
    };
    let has = |number: u32| {
        let names = |target: &Target| target.volume.is_none_or(|volume| volume == number);
        own.iter().any(|target| target.resource == resource && names(target))
    };
    let other = peer.peer_volumes.iter().find(|volume| volume.role == Role::Primary && !has(volume.number));
    match other {
        None => Judgement::Pass,
        Some(volume) => refuse(
            format!(
                "{} has volume {} of {resource} Primary, too, and the guest that moves in has no disk on it: both nodes would stay Primary",
                peer.peer, volume.number
            ),
            format!(
                "shut down on {} the guest that has it, see there: block-drbd status; then migrate again",
                peer.peer
            ),
        ),
    }
}

/// What the source itself says of who has the resource there: another guest keeps it Primary, and another
/// disk of the same guest has other data than this one.
fn another_guest(facts: &Facts, volume: &Volume, peer: &Connection) -> Judgement {
    let (Known::Is(users), Known::Is(Some(own))) = (&facts.at_source, &facts.backend) else {
        return Judgement::Pass;
    };
    let (number, peer) = (volume.number, &peer.peer);
    let name = facts.target.as_ref().map_or("the resource", |target| &target.resource);
    let remedy = format!("see on {peer} who has it with: block-drbd status; the guest goes on where it is");
    if let Some(other) = users.iter().find(|user| own.identity().is_another_guest(&user.identity())) {
        let guest = other.guest.as_deref().unwrap_or("without a name");
        return refuse(
            format!(
                "guest {guest} (domain {}) has volume {} of {name} on {peer}, and it is not the guest that moves in",
                other.domid, other.volume
            ),
            remedy,
        );
    }
    let here: Vec<&VolumeUser> = users.iter().filter(|user| user.volume == number).collect();
    if here.is_empty() {
        return refuse(
            format!("no guest of {peer} has volume {number} of {name}, so that none can bring it from there"),
            remedy,
        );
    }
    match here.iter().find_map(|user| user.devid.filter(|devid| *devid != own.devid)) {
        None => Judgement::Pass,
        Some(devid) => refuse(
            format!(
                "volume {number} of {name} is to be {} of the guest that moves in, and it is its {} on {peer}",
                vdev(own.devid),
                vdev(devid)
            ),
            OTHER_DISK.into(),
        ),
    }
}

/// What to do about a guest that comes from another disk.
const OTHER_DISK: &str = "compare its disk lines on both hosts (xl migrate -C changes them), then migrate again: the guest goes on where it is";

/// A guest that moves runs on its disk until it has arrived: xl keeps the disk Primary at the
/// source meanwhile. Where no node has this volume Primary, the guest has left another disk, and
/// would write over this one what its kernel knows of that one.
fn from_nowhere(facts: &Facts, resource: &Resource, volume: &Volume) -> Judgement {
    // Where the peer cannot be seen it may be the source, and what it has written since is not here.
    if let Some(lost) = resource.connections.iter().find(|connection| !connection.is_connected()) {
        return obstacle(resource, lost);
    }
    let guest = facts.backend.value().and_then(|backend| backend.as_ref()?.guest.as_deref());
    refuse(
        format!(
            "guest {} moves in, but no node has volume {} of {} Primary for it: it comes from another disk",
            guest.unwrap_or("without a name"),
            volume.number,
            resource.name
        ),
        OTHER_DISK.into(),
    )
}

/// What stands against two Primaries of a resource for the moment of a migration.
pub fn obstacle(resource: &Resource, peer: &Connection) -> Judgement {
    let (name, other) = (&resource.name, &peer.peer);
    if !peer.is_connected() {
        return refuse(
            format!("{name} is {} from {other}, and a guest moves over a connection only", peer.state),
            format!("run: drbdadm connect {name}; then migrate again"),
        );
    }
    let here = resource.volumes.iter().map(|volume| ("this node", volume.number, &volume.disk));
    let there = peer.peer_volumes.iter().map(|volume| (other.as_str(), volume.number, &volume.disk));
    if let Some((node, volume, disk)) = here.chain(there).find(|(.., disk)| **disk != DiskState::UpToDate) {
        return refuse(
            format!(
                "the disk of {name} volume {volume} on {node} is {disk}, and a guest moves between equal disks only"
            ),
            format!("wait until both are UpToDate, see: drbdadm dstate {name}; then migrate again"),
        );
    }
    match &peer.protocol {
        Known::Is(Protocol::C) => Judgement::Pass,
        Known::Is(protocol) => refuse(
            format!("{name} uses protocol {protocol:?}, and a guest moves with protocol C only"),
            format!(
                "write protocol C for {name} in drbd.conf on both nodes and run there: drbdadm adjust {name}"
            ),
        ),
        Known::Unknown(why) => unknown(
            &format!("the protocol of {name}"),
            why,
            format!("see what is in force with: drbdsetup show {name}"),
        ),
    }
}
