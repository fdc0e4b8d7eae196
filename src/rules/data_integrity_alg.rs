//! Checksums over pages that a guest may still change.

use super::{Check, Group, Judgement, Lowering, Rule, Severity, refuse};
use crate::facts::{Facts, Known};

/// The rule.
pub const RULE: Rule = Rule {
    id: "data-integrity-alg",
    group: Group::Durability,
    severity: Severity::Warn,
    lowering: Lowering::Anywhere,
    reason: "a guest may change a page while it is being written, which DRBD then takes for damage on the wire: the connection drops and resyncs again and again; precautionary: it loses redundancy, not data",
    remedy: "remove data-integrity-alg from net { } on both nodes and run: drbdadm adjust RESOURCE",
    check: Check::Volume(check),
};

fn check(facts: &Facts) -> Judgement {
    let Some(Some(resource)) = facts.resource.value() else { return Judgement::Pass };
    let name = &resource.name;
    let algorithm = resource.connections.iter().find_map(|connection| match &connection.data_integrity {
        Known::Is(Some(algorithm)) => Some(algorithm),
        _ => None,
    });
    match algorithm {
        None => Judgement::Pass,
        Some(algorithm) => refuse(
            format!(
                "{name} checks what it receives with {algorithm}, and a guest that changes a page under way breaks the connection"
            ),
            format!("remove data-integrity-alg of {name} on both nodes and run: drbdadm adjust {name}"),
        ),
    }
}
