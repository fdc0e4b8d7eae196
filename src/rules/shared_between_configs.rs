//! Two configurations on one volume. `resource-shared` is about two volumes of one resource.

use super::{Check, Group, Judgement, Lowering, Rule, Severity, refuse};
use crate::guest::GuestFacts;

/// The rule.
pub const RULE: Rule = Rule {
    id: "shared-between-configs",
    group: Group::Configuration,
    severity: Severity::Warn,
    lowering: Lowering::Anywhere,
    reason: "of two guests on one volume only one can ever run, and somebody will try to start the other",
    remedy: "give each guest a resource of its own, or remove the old configuration",
    check: Check::Guest(check),
};

fn check(guest: &GuestFacts) -> Judgement {
    match guest.others.iter().find(|other| other.same_volume) {
        None => Judgement::Pass,
        Some(other) => {
            refuse(format!("{} is a disk of {} too", other.resource, other.path), RULE.remedy.into())
        }
    }
}
