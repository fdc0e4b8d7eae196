//! Only UpToDate data may become a guest's disk. What is just being resynced is for resync-target.

use super::{
    Check, Group, Judgement, Lowering, Rule, Severity, peer_unfenced, refuse, refuse_for_now,
    refuse_while_connecting, resync_target, wait_then_allow,
};
use crate::facts::{Connection, DiskState, Facts, Fencing, Resource};

/// The rule.
pub const RULE: Rule = Rule {
    id: "disk-state",
    group: Group::Replication,
    severity: Severity::Refuse,
    lowering: Lowering::Anywhere,
    reason: "a local disk that is not UpToDate is missing, old, or half of a resync: the guest would see old or mixed data, or lose its disk with the network",
    remedy: "bring the newest data here: drbdadm connect RESOURCE, and let the resync finish; or start the guest on the peer",
    check: Check::Volume(check),
};

fn check(facts: &Facts) -> Judgement {
    let (Some(Some(resource)), Some(volume)) = (facts.resource.value(), facts.volume()) else {
        return Judgement::Pass;
    };
    if resync_target::source(resource, volume).is_some() {
        return Judgement::Pass;
    }
    let name = &resource.name;
    let message = format!("the disk of {name} volume {} on this node is {}", volume.number, volume.disk);
    match &volume.disk {
        // diskless speaks of the last.
        DiskState::UpToDate | DiskState::Diskless => Judgement::Pass,
        DiskState::Attaching | DiskState::Negotiating => {
            refuse_for_now(message, format!("wait until it is UpToDate, see: drbdadm dstate {name}"))
        }
        DiskState::Detaching | DiskState::Failed => {
            refuse(message, format!("see to the disk below it, then run: drbdadm attach {name}"))
        }
        DiskState::Consistent => match (decided_by_fencing(resource), is_connecting(resource)) {
            (true, true) => wait_then_allow(message, connect(name)),
            (true, false) => Judgement::Pass,
            (false, true) => refuse_while_connecting(message, connect(name)),
            (false, false) => refuse(message, connect(name)),
        },
        DiskState::Inconsistent => refuse(
            message,
            format!(
                "start the guest where the disk is UpToDate, or let a resync bring the data here, see: drbdadm dstate {name}"
            ),
        ),
        DiskState::Outdated | DiskState::DUnknown | DiskState::Other(_) => refuse(message, connect(name)),
    }
}

/// Whether DRBD asks the fence-peer handler before it calls the disk UpToDate and promotes
/// (drbd_nl.c, drbd_set_role): when the peer is fenced, a Consistent disk is the newest.
fn decided_by_fencing(resource: &Resource) -> bool {
    let fences = |connection: &Connection| {
        let policy = connection.fencing.value();
        let asks = matches!(policy, Some(Fencing::ResourceOnly | Fencing::ResourceAndStonith));
        !connection.is_connected() && asks
    };
    !resource.connections.is_empty() && resource.connections.iter().all(fences)
}

fn is_connecting(resource: &Resource) -> bool {
    resource.connections.iter().any(|connection| peer_unfenced::is_connecting(&connection.state))
}

fn connect(name: &str) -> String {
    format!(
        "connect it to the peer that has newer data with: drbdadm connect {name}, or start the guest there"
    )
}
