//! Two configurations with one `uuid`.

use super::{Check, Group, Judgement, Lowering, Rule, Severity, refuse};
use crate::guest::GuestFacts;

/// The rule. It warns: a start of either guest goes well, and each disk has rules of its own.
pub const RULE: Rule = Rule {
    id: "same-uuid",
    group: Group::Configuration,
    severity: Severity::Warn,
    lowering: Lowering::Anywhere,
    reason: "the uuid tells whether a guest that moves in is the one that has the disk at its source: two guests with one uuid cannot be told apart, and neither Xen nor xl refuses the second",
    remedy: "give each guest a uuid of its own, or leave the line out: xl makes one up",
    check: Check::Guest(check),
};

fn check(guest: &GuestFacts) -> Judgement {
    match guest.same_uuid.first() {
        None => Judgement::Pass,
        Some(other) => refuse(
            format!("{} has the uuid of {other}", guest.config.path),
            format!("leave the line uuid out of {}, or write what uuidgen prints", guest.config.path),
        ),
    }
}
