//! A resource may have several volumes, each a disk of its own.

use super::{Check, Group, Judgement, Lowering, Rule, Severity, refuse};
use crate::facts::Facts;

/// The rule.
pub const RULE: Rule = Rule {
    id: "volume",
    group: Group::Use,
    severity: Severity::Refuse,
    lowering: Lowering::Never,
    reason: "one disk of a guest is one volume: which one must be certain",
    remedy: "name the volume in the disk line: target=RESOURCE/VOLUME",
    check: Check::Volume(check),
};

fn check(facts: &Facts) -> Judgement {
    let (Ok(target), Some(Some(resource))) = (&facts.target, facts.resource.value()) else {
        return Judgement::Pass;
    };
    if facts.volume().is_some() {
        return Judgement::Pass;
    }
    let name = &target.resource;
    let numbers: Vec<String> = resource.volumes.iter().map(|volume| volume.number.to_string()).collect();
    match (target.volume, numbers.first()) {
        (_, None) => refuse(format!("{name} has no volume"), format!("run: drbdadm up {name}")),
        (Some(number), Some(first)) => refuse(
            format!("{name} has no volume {number}, its volumes are {}", numbers.join(", ")),
            format!("write target={name}/{first} in the disk line"),
        ),
        (None, Some(first)) => refuse(
            format!("{name} has the volumes {} and the disk line names none", numbers.join(", ")),
            format!("write target={name}/{first}, or the one you mean, in the disk line"),
        ),
    }
}
