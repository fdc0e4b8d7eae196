//! Replication that acknowledges before the peer's disk has the data.

use super::{Check, Group, Judgement, Lowering, Rule, Severity, refuse, unknown};
use crate::facts::{ConnectionState, Facts, Known, Protocol};

/// The rule.
pub const RULE: Rule = Rule {
    id: "protocol",
    group: Group::Durability,
    severity: Severity::Refuse,
    lowering: Lowering::Anywhere,
    reason: "with protocol A or B a write is acknowledged before the peer has it on its disk: after a failover what the guest has flushed may be missing (shown by the lab for A: flush-lost-protocol)",
    remedy: "set net { protocol C; } on both nodes and run: drbdadm adjust RESOURCE",
    check: Check::Volume(check),
};

fn check(facts: &Facts) -> Judgement {
    let Some(Some(resource)) = facts.resource.value() else { return Judgement::Pass };
    let name = &resource.name;
    for connection in &resource.connections {
        let peer = &connection.peer;
        let remedy =
            || format!("set net {{ protocol C; }} for {name} on both nodes and run: drbdadm adjust {name}");
        let where_it_is = match &connection.protocol {
            Known::Is(Protocol::C) => continue,
            Known::Is(Protocol::A) => {
                "A: a write is acknowledged while it is still in this node's send buffer"
            }
            Known::Is(Protocol::B) => "B: a write is acknowledged while the peer has it only in its memory",
            // What is not connected and not trying has no protocol; standalone speaks of it.
            Known::Unknown(_) if connection.state == ConnectionState::StandAlone => continue,
            Known::Unknown(why) => {
                return unknown(&format!("the protocol of {name} with {peer}"), why, remedy());
            }
        };
        return refuse(format!("{name} replicates to {peer} with protocol {where_it_is}"), remedy());
    }
    Judgement::Pass
}
