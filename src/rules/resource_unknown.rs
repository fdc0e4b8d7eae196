//! A resource that is configured in a file but not brought up has no device.

use super::{Check, Group, Judgement, Lowering, Rule, Severity, refuse, unknown};
use crate::facts::{Facts, Known};

/// The rule.
pub const RULE: Rule = Rule {
    id: "resource-unknown",
    group: Group::Use,
    severity: Severity::Refuse,
    lowering: Lowering::Never,
    reason: "DRBD's kernel module must know the resource: the file alone gives no device",
    remedy: "run: drbdadm up RESOURCE",
    check: Check::Volume(check),
};

fn check(facts: &Facts) -> Judgement {
    let Ok(target) = &facts.target else { return Judgement::Pass };
    let name = &target.resource;
    match &facts.resource {
        Known::Is(Some(_)) => Judgement::Pass,
        Known::Is(None) => {
            refuse(format!("DRBD has no resource {name} up"), format!("run: drbdadm up {name}"))
        }
        Known::Unknown(why) => {
            unknown("the state of the resource", why, "make DRBD answer, then start the guest again".into())
        }
    }
}
