//! What the peer does to a flush is not known.

use super::side::Peer;
use super::{Check, Group, Judgement, Lowering, Rule, Severity, unknown};

/// The rule.
pub const RULE: Rule = Rule {
    id: "peer-durability-unknown",
    group: Group::Durability,
    severity: Severity::Warn,
    lowering: Lowering::Anywhere,
    reason: "the roles swap: a node that cannot be asked may be the one that loses what the guest has flushed, and DRBD does not tell one node how the other treats its disk",
    remedy: "set [peers.NAME] command in /etc/xen/block-drbd.toml and run: block-drbd check RESOURCE; with strict = true it refuses",
    check: Check::Peer(check),
};

fn check(peer: &Peer) -> Judgement {
    let what = format!("what {} does to a flush", peer.name());
    let ask = format!("run: block-drbd check {}", peer.resource);
    let answer = match peer.answer {
        Err(why) => return unknown(&what, why, ask),
        Ok(None) => {
            let remedy = format!("set [peers.NAME] command for it in /etc/xen/block-drbd.toml and {ask}");
            return unknown(&what, "it has not been asked", remedy);
        }
        Ok(Some(answer)) => answer,
    };
    match peer.age {
        _ if !peer.has_volume => {
            let why = format!("it has not told of this volume of {}", peer.resource);
            unknown(&what, &why, format!("see that {} is up on {}, then {ask}", peer.resource, answer.peer))
        }
        None => unknown(&what, "its answer comes from the future", format!("set the clock, then {ask}")),
        Some(age) if age > peer.oldest => {
            unknown(&what, &format!("its last answer is {} days old", age / 86_400), ask)
        }
        Some(_) => Judgement::Pass,
    }
}
