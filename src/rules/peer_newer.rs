//! The peer has written without this node, and said so when it was last asked. Without a connection DRBD
//! itself does not know it: a disk that was UpToDate when the peer was lost may be called UpToDate still.
//!
//! What the peer said may be old. It counts as long as this disk has the generation from where the peer
//! went on; a resync gives it another one. While the peer is connected, the states that DRBD shows decide.

use super::peer_unfenced::{is_connecting, would_be_promoted};
use super::{Check, Group, Judgement, Lowering, Rule, Severity, refuse, refuse_while_connecting, unknown};
use crate::clock::utc;
use crate::facts::{Facts, Generations, Known, PeerAnswer, Resource, Volume, WroteAlone};

/// The rule. An administrator may lower it: the peer with the newer data may have burnt.
pub const RULE: Rule = Rule {
    id: "peer-newer",
    group: Group::Replication,
    severity: Severity::Refuse,
    lowering: Lowering::ForOneResource,
    reason: "a guest on the older copy does not see what it was told is written, and what it writes there splits the data from the peer's",
    remedy: "start the guest on the peer, or connect the nodes and let the resync finish: drbdadm connect RESOURCE; then run: block-drbd check RESOURCE",
    check: Check::Volume(check),
};

fn check(facts: &Facts) -> Judgement {
    let (Some(Some(resource)), Some(volume)) = (facts.resource.value(), facts.volume()) else {
        return Judgement::Pass;
    };
    let is_connected = resource.connections.iter().all(|connection| connection.is_connected());
    if is_connected || !would_be_promoted(volume) {
        return Judgement::Pass;
    }
    // Where the answers cannot be read, peer-durability-unknown says so.
    let answers =
        facts.peers.value().into_iter().flatten().filter(|answer| !is_of_connected(resource, answer));
    let mut judged = answers.map(|answer| judge(resource, volume, answer));
    judged.find(|judgement| *judgement != Judgement::Pass).unwrap_or(Judgement::Pass)
}

/// Whether the peer that gave the answer is connected now.
fn is_of_connected(resource: &Resource, answer: &PeerAnswer) -> bool {
    resource.connections.iter().any(|connection| connection.is_connected() && answer.is_of(connection))
}

fn judge(resource: &Resource, volume: &Volume, answer: &PeerAnswer) -> Judgement {
    let Some(told) = told(resource, volume, answer) else { return Judgement::Pass };
    let (name, number, peer) = (&resource.name, volume.number, &answer.peer);
    let remedy = format!(
        "start the guest on {peer}, or connect the nodes and let the resync finish: drbdadm connect {name}; then run: block-drbd check {name}"
    );
    let own = match &volume.generations {
        Known::Is(own) => own,
        Known::Unknown(why) => {
            let what =
                format!("whether {peer} has newer data of {name} volume {number}, as it has written alone,");
            return unknown(&what, why, remedy);
        }
    };
    let when = utc(answer.at);
    let (message, remedy) = match own.lack_what(told) {
        None => return Judgement::Pass,
        Some(WroteAlone::Peer) => (
            format!(
                "{peer} has newer data of {name} volume {number}: it has written without this node, as it said at {when}"
            ),
            remedy,
        ),
        Some(WroteAlone::Both) => (
            format!(
                "{name} volume {number} has split: this node and {peer} have both written without the other, as {peer} said at {when}"
            ),
            format!(
                "decide which copy stays, see: man drbdadm, connect --discard-my-data; then run: block-drbd check {name}"
            ),
        ),
    };
    match resource.connections.iter().any(|connection| is_connecting(&connection.state)) {
        true => refuse_while_connecting(message, remedy),
        false => refuse(message, remedy),
    }
}

/// The generations of the peer's half of the volume, where it has written alone.
fn told<'a>(resource: &Resource, volume: &Volume, answer: &'a PeerAnswer) -> Option<&'a Generations> {
    let half = answer.volume(&resource.name, volume.number)?;
    half.generations.value().filter(|generations| generations.bitmap_uuid != 0)
}
