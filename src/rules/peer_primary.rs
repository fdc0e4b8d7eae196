//! The peer is Primary: two hosts would write the same blocks.

use super::{Check, Group, Judgement, Lowering, Rule, Severity, refuse_for_now};
use crate::facts::{Facts, Role};

/// The rule.
pub const RULE: Rule = Rule {
    id: "peer-primary",
    group: Group::Replication,
    severity: Severity::Refuse,
    lowering: Lowering::Never,
    reason: "a resource that is Primary on another node is in use there, and a second writer destroys the data",
    remedy: "shut down the guest on the other node, or if there is none run there: drbdadm secondary RESOURCE",
    check: Check::Volume(check),
};

fn check(facts: &Facts) -> Judgement {
    let Some(Some(resource)) = facts.resource.value() else { return Judgement::Pass };
    // It comes from there: `incoming` says whether it may.
    if facts.moves_in() {
        return Judgement::Pass;
    }
    let Some(connection) =
        resource.connections.iter().find(|connection| connection.peer_role == Role::Primary)
    else {
        return Judgement::Pass;
    };
    let (name, peer) = (&resource.name, &connection.peer);
    // It may be demoting at this very moment: a guest that has just been shut down there.
    refuse_for_now(
        format!("{name} is Primary on the peer {peer}, where a guest may be writing"),
        format!("shut that guest down, or if there is none run on {peer}: drbdadm secondary {name}"),
    )
}
