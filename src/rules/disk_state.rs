//! Only UpToDate data may become a guest's disk.

use super::{Check, Group, Judgement, Rule, Severity, refuse, refuse_for_now};
use crate::facts::{DiskState, Facts};

/// The rule.
pub const RULE: Rule = Rule {
    id: "disk-state",
    group: Group::Replication,
    severity: Severity::Refuse,
    fixed: false,
    reason: "a local disk that is not UpToDate is missing, old, or half of a resync: the guest would see old or mixed data, or lose its disk with the network",
    remedy: "bring the newest data here: drbdadm connect RESOURCE, and let the resync finish; or start the guest on the peer",
    check: Check::Volume(check),
};

fn check(facts: &Facts) -> Judgement {
    let (Some(Some(resource)), Some(volume)) = (facts.resource.value(), facts.volume()) else {
        return Judgement::Pass;
    };
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
        DiskState::Inconsistent => refuse(
            message,
            format!("let the resync finish (see: drbdadm dstate {name}) or start the guest on the peer"),
        ),
        DiskState::Outdated | DiskState::Consistent | DiskState::DUnknown | DiskState::Other(_) => refuse(
            message,
            format!(
                "connect it to the peer that has newer data with: drbdadm connect {name}, or start the guest there"
            ),
        ),
    }
}
