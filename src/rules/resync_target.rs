//! This node is being brought up to date: what it does not have yet the guest
//! would read from the peer, as long as the link holds.

use super::{Check, Group, Judgement, Lowering, Rule, Severity, refuse, refuse_while_connecting};
use crate::facts::{Connection, DiskState, Facts, ReplicationState, Resource, Volume};

/// The rule.
pub const RULE: Rule = Rule {
    id: "resync-target",
    group: Group::Replication,
    severity: Severity::Refuse,
    lowering: Lowering::Anywhere,
    reason: "a guest on a disk that is still being resynced reads from the peer what is not here yet, and sees I/O errors, or freezes, when the link or the peer fails",
    remedy: "wait until the resync is finished, see: drbdadm status RESOURCE; or start the guest on the peer",
    check: Check::Volume(check),
};

fn check(facts: &Facts) -> Judgement {
    let (Some(Some(resource)), Some(volume)) = (facts.resource.value(), facts.volume()) else {
        return Judgement::Pass;
    };
    let Some((connection, replication)) = source(resource, volume) else { return Judgement::Pass };
    let (name, peer) = (&resource.name, &connection.peer);
    let message = format!(
        "{name} volume {} on this node is {}, and is being resynced from {peer} ({replication}): until that is done the guest depends on the link to {peer}",
        volume.number, volume.disk
    );
    if *replication == ReplicationState::PausedSyncT {
        return refuse(
            message,
            format!("run on both nodes: drbdadm resume-sync {name}; or start the guest on {peer}"),
        );
    }
    // After a short absence it takes seconds.
    refuse_while_connecting(
        message,
        format!("wait until it is finished, see: drbdadm status {name}; or start the guest on {peer}"),
    )
}

/// The connection whose UpToDate peer the volume is being resynced from, and how far that has come.
pub(super) fn source<'a>(
    resource: &'a Resource,
    volume: &Volume,
) -> Option<(&'a Connection, &'a ReplicationState)> {
    use ReplicationState as S;
    if !matches!(volume.disk, DiskState::Inconsistent | DiskState::Outdated) {
        return None;
    }
    resource.connections.iter().find_map(|connection| {
        let peer = connection.peer_volume(volume.number)?;
        let is_target = matches!(
            peer.replication,
            S::StartingSyncT | S::WFBitMapT | S::WFSyncUUID | S::SyncTarget | S::PausedSyncT
        );
        (is_target && peer.disk == DiskState::UpToDate).then_some((connection, &peer.replication))
    })
}
