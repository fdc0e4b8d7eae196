//! The peer is Primary, or a window lets it become so: two hosts would write the same blocks.

use super::{Check, Group, Judgement, Lowering, Rule, Severity, refuse_for_now, unknown};
use crate::facts::{Connection, Facts, Known, Resource, Role};

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
    let mut connections = resource.connections.iter();
    match connections.find(|connection| connection.peer_role == Role::Primary) {
        Some(connection) => is_primary(resource, connection),
        None => could_be(facts, resource),
    }
}

fn is_primary(resource: &Resource, connection: &Connection) -> Judgement {
    let (name, peer) = (&resource.name, &connection.peer);
    // It may be demoting at this very moment: a guest that has just been shut down there.
    refuse_for_now(
        format!("{name} is Primary on the peer {peer}, where a guest may be writing"),
        format!("shut that guest down, or if there is none run on {peer}: drbdadm secondary {name}"),
    )
}

/// The window of a migration that is over, but not closed yet, lets the peer become Primary beside this start.
fn could_be(facts: &Facts, resource: &Resource) -> Judgement {
    let mut connections = resource.connections.iter();
    let Some(connection) = connections.find(|connection| connection.allows_two_primaries()) else {
        return Judgement::Pass;
    };
    let (name, peer) = (&resource.name, &connection.peer);
    let release = format!("run: block-drbd release {name}; then start the guest again");
    match &facts.window {
        Known::Is(None) => Judgement::Pass,
        Known::Is(Some(window)) => refuse_for_now(
            format!(
                "{name} may still be Primary on {peer} too: the window is open in which domain {} moved in",
                window.domid
            ),
            release,
        ),
        Known::Unknown(why) => {
            unknown(&format!("whether a migration lets {peer} be Primary of {name} too"), why, release)
        }
    }
}
