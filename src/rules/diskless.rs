//! A volume without a disk here, or without one on the peer.

use super::{Check, Group, Judgement, Lowering, Rule, Severity, refuse};
use crate::facts::{DiskState, Facts};

/// The rule.
pub const RULE: Rule = Rule {
    id: "diskless",
    group: Group::Durability,
    severity: Severity::Refuse,
    lowering: Lowering::Anywhere,
    reason: "a diskless Primary answers a flush at once and does nothing: what the guest has flushed is in the peer's cache only (shown by the lab: flush-lost-diskless)",
    remedy: "see to the disk below the volume, then run: drbdadm attach RESOURCE",
    check: Check::Volume(check),
};

fn check(facts: &Facts) -> Judgement {
    let (Some(Some(resource)), Some(volume)) = (facts.resource.value(), facts.volume()) else {
        return Judgement::Pass;
    };
    let (name, number) = (&resource.name, volume.number);
    if volume.disk == DiskState::Diskless {
        return refuse(
            format!("{name} volume {number} has no disk on this node, so that a flush does nothing"),
            format!("see to the disk below it, then run: drbdadm attach {name}"),
        );
    }
    let without_disk = resource.connections.iter().find(|connection| {
        let volume = connection.peer_volume(number);
        connection.is_connected() && volume.is_some_and(|volume| volume.disk == DiskState::Diskless)
    });
    match without_disk {
        None => Judgement::Pass,
        Some(connection) => refuse(
            format!(
                "{name} volume {number} has no disk on the peer {}: there is no second copy",
                connection.peer
            ),
            format!("on {} see to the disk below it, then run: drbdadm attach {name}", connection.peer),
        )
        .at_most(Severity::Warn),
    }
}
