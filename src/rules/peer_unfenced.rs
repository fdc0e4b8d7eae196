//! The peer cannot be seen, and nothing keeps it from being Primary as well: the
//! way into a split brain. After a power cut of both nodes, or with the link
//! cut, each of them would start the guest and write on its own.

use super::{
    Check, Group, Judgement, Lowering, Rule, Severity, refuse, refuse_while_connecting, unknown,
    wait_then_allow,
};
use crate::facts::{
    Connection, ConnectionState, DiskState, Facts, Fencing, Known, Resource, Role, Source, Volume,
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "peer-unfenced",
    group: Group::Replication,
    severity: Severity::Refuse,
    lowering: Lowering::ForOneResource,
    reason: "a peer that is neither connected nor known to be outdated may be Primary too, or become so: without a fencing policy DRBD promotes both, and the data splits",
    remedy: "bring the peer or the link to it back; for good, set fencing resource-only with a fence-peer handler on both nodes; where there can be no fencing, lower the rule for this one resource",
    check: Check::Volume(check),
};

fn check(facts: &Facts) -> Judgement {
    let (Some(Some(resource)), Some(volume)) = (facts.resource.value(), facts.volume()) else {
        return Judgement::Pass;
    };
    // Where DRBD promotes only with quorum, the nodes out of sight have none; no-quorum speaks of this one.
    let by_quorum = resource.needs_quorum == Known::Is(true);
    if by_quorum || !would_be_promoted(volume) || goes_on(facts, volume) {
        return Judgement::Pass;
    }
    let unfenced = resource.connections.iter().filter(|connection| may_be_promoted(connection, volume));
    let mut found = unfenced.map(|connection| judge(facts, resource, connection));
    found.find(|judgement| *judgement != Judgement::Pass).unwrap_or(Judgement::Pass)
}

/// Whether DRBD itself would promote it without the peer: not with older or mixed data
/// (drbd_state.c, is_valid_state), of which disk-state and diskless speak.
pub(super) fn would_be_promoted(volume: &Volume) -> bool {
    matches!(volume.disk, DiskState::UpToDate | DiskState::Consistent | DiskState::Other(_))
}

/// Whether this node has written without the peer already, so that one more promotion adds no
/// fork: a guest of this host is doing it, or did until it ended and nothing has happened since.
fn goes_on(facts: &Facts, volume: &Volume) -> bool {
    let mut users = facts.users.value().into_iter().flatten();
    let in_use = volume.role == Role::Primary && users.any(|user| user.live && user.minor == volume.minor);
    let lone = facts.lone.value().and_then(|lone| lone.as_ref());
    in_use || lone.is_some_and(|lone| lone.holds(volume))
}

/// Whether the peer is out of sight, and not known to have data that DRBD does not promote. Without a connection
/// 8.4 remembers Inconsistent and Outdated, and calls everything else DUnknown (drbd_state.c, sanitize_state).
fn may_be_promoted(connection: &Connection, volume: &Volume) -> bool {
    let stale = |disk: &DiskState| matches!(disk, DiskState::Outdated | DiskState::Inconsistent);
    let peer = connection.peer_volume(volume.number);
    !connection.is_connected() && !peer.is_some_and(|peer| stale(&peer.disk))
}

fn judge(facts: &Facts, resource: &Resource, connection: &Connection) -> Judgement {
    let (name, peer) = (&resource.name, &connection.peer);
    let connecting = is_connecting(&connection.state);
    let remedy = remedy(resource, peer, connecting);
    let policy = format!("whether {peer}, which is not connected, is kept from being Primary too");
    match &connection.fencing {
        Known::Is(Fencing::ResourceOnly | Fencing::ResourceAndStonith) => {
            return fenced(resource, connection);
        }
        Known::Is(Fencing::DontCare) => {}
        Known::Is(Fencing::Other(word)) => {
            return unknown(&policy, &format!("the fencing policy of {name} is {word}"), remedy);
        }
        Known::Unknown(why) => {
            return unknown(&policy, &format!("the fencing policy of {name}: {why}"), remedy);
        }
    }
    let lone = match &facts.lone {
        Known::Unknown(why) => format!(" ({why})"),
        Known::Is(_) => String::new(),
    };
    let message = format!(
        "{name} is not connected to {peer} ({}), and nothing keeps {peer} from being Primary too{lone}",
        connection.state
    );
    match connecting {
        true => refuse_while_connecting(message, remedy),
        false => refuse(message, remedy),
    }
}

/// The add promotes the volume, also one that was Primary for no guest: that is made Secondary first. So DRBD
/// asks the fence-peer handler, and promotes only where that has kept the peer from being Primary
/// (drbd_nl.c, drbd_set_role). A peer that can be reached tells DRBD more than a handler can: it is waited
/// for before DRBD asks that.
fn fenced(resource: &Resource, connection: &Connection) -> Judgement {
    let (name, peer, state) = (&resource.name, &connection.peer, &connection.state);
    match is_connecting(state) {
        true => wait_then_allow(
            format!(
                "{name} is not connected to {peer} ({state}): a start waits for {peer}, and then DRBD asks the fence-peer handler whether it may promote {name}"
            ),
            format!("bring {peer} back (there: drbdadm up {name}) or the link to it"),
        ),
        false => Judgement::Pass,
    }
}

/// Whether the connection is being made, or made anew after a failure.
pub(super) fn is_connecting(state: &ConnectionState) -> bool {
    use ConnectionState as S;
    match state {
        S::Connecting
        | S::Unconnected
        | S::Timeout
        | S::BrokenPipe
        | S::NetworkFailure
        | S::ProtocolError
        | S::TearDown => true,
        S::StandAlone | S::Disconnecting | S::Connected | S::Other(_) => false,
    }
}

fn remedy(resource: &Resource, peer: &str, connecting: bool) -> String {
    let name = &resource.name;
    // The policy has moved with DRBD 9.
    let section = if resource.source == Source::Drbdsetup { "net" } else { "disk" };
    let now = match connecting {
        true => format!("bring {peer} back (there: drbdadm up {name}) or the link to it"),
        false => format!("run: drbdadm connect {name}"),
    };
    format!(
        "{now}; for good, set {section} {{ fencing resource-only; }} and a fence-peer handler for {name} on both nodes and run: drbdadm adjust {name}; where there can be no fencing, and whoever starts the guest makes sure that {peer} does not run it, write in /etc/xen/block-drbd.toml: [resources.\"{name}\".rules] peer-unfenced = {{ severity = \"warn\", reason = \"WHY\" }}"
    )
}
