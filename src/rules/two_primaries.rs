//! Two Primaries are allowed all the time: DRBD itself would not stop a second writer.

use super::{Check, Group, Judgement, Lowering, Rule, Severity, refuse};
use crate::facts::{Connection, Facts, Known};

/// The rule.
pub const RULE: Rule = Rule {
    id: "two-primaries",
    group: Group::Replication,
    severity: Severity::Warn,
    lowering: Lowering::Anywhere,
    reason: "where two Primaries are allowed all the time, DRBD lets a second host write as soon as anything but block-drbd promotes there; a live migration does not need it, block-drbd opens the window for it and closes it",
    remedy: "take allow-two-primaries out of drbd.conf on both nodes, then run there: drbdadm adjust RESOURCE",
    check: Check::Volume(check),
};

fn check(facts: &Facts) -> Judgement {
    let Some(Some(resource)) = facts.resource.value() else { return Judgement::Pass };
    let allowed = resource.connections.iter().any(Connection::allows_two_primaries);
    let window_here = facts.window != Known::Is(None);
    if !allowed || window_here || facts.claims_one_primary() {
        return Judgement::Pass;
    }
    let name = &resource.name;
    refuse(
        format!("{name} allows two Primaries all the time"),
        format!(
            "take allow-two-primaries out of drbd.conf on both nodes, then run there: drbdadm adjust {name}; a migration opens it for its moment"
        ),
    )
}
