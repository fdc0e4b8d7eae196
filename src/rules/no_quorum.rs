//! Too few nodes of the resource see each other (DRBD 9).

use super::{Check, Group, Judgement, Lowering, Rule, Severity, refuse, unknown};
use crate::facts::{Facts, Known};

/// The rule.
pub const RULE: Rule = Rule {
    id: "no-quorum",
    group: Group::Replication,
    severity: Severity::Refuse,
    lowering: Lowering::Anywhere,
    reason: "without quorum the other nodes may have gone on, and DRBD 9 fails or freezes the guest's I/O",
    remedy: "bring the other nodes of the resource back, see: drbdadm status RESOURCE",
    check: Check::Volume(check),
};

fn check(facts: &Facts) -> Judgement {
    let (Some(Some(resource)), Some(volume)) = (facts.resource.value(), facts.volume()) else {
        return Judgement::Pass;
    };
    let (name, number) = (&resource.name, volume.number);
    let remedy = format!("bring the other nodes of {name} back, see: drbdadm status {name}");
    match &volume.quorum {
        Known::Is(true) => Judgement::Pass,
        Known::Is(false) => refuse(
            format!("{name} volume {number} has no quorum: too few of its nodes are connected"),
            remedy,
        ),
        Known::Unknown(why) => unknown(&format!("whether {name} volume {number} has quorum"), why, remedy),
    }
}
