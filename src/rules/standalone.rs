//! StandAlone means that this node has stopped trying to reach its peer: after a
//! split brain, or because somebody said so. Nothing replicates.
//!
//! A split brain has no rule of its own, because DRBD tells it to its handler and
//! to the kernel log, and to nobody who asks later.

use super::{Check, Group, Judgement, Lowering, Rule, Severity, refuse};
use crate::facts::{ConnectionState, Facts};

/// The rule.
pub const RULE: Rule = Rule {
    id: "standalone",
    group: Group::Replication,
    severity: Severity::Refuse,
    lowering: Lowering::Anywhere,
    reason: "a StandAlone resource replicates nothing, and what is written to it splits the data from the peer's",
    remedy: "look for a split brain with dmesg; when there is none run: drbdadm connect RESOURCE",
    check: Check::Volume(check),
};

fn check(facts: &Facts) -> Judgement {
    let Some(Some(resource)) = facts.resource.value() else { return Judgement::Pass };
    let name = &resource.name;
    let alone = |state: &ConnectionState| {
        matches!(state, ConnectionState::StandAlone | ConnectionState::Disconnecting)
    };
    match resource.connections.iter().find(|connection| alone(&connection.state)) {
        None => Judgement::Pass,
        Some(connection) => refuse(
            format!("{name} is {} from {}", connection.state, connection.peer),
            format!(
                "look for a split brain with: dmesg | grep {name}; when there is none run: drbdadm connect {name}"
            ),
        ),
    }
}
