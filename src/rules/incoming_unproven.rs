//! A guest moves in, and nobody has said that it is the one that has the volume at the source.

use super::{Check, Group, Judgement, Lowering, Rule, Severity, refuse};
use crate::facts::{Facts, Known};

/// The rule.
pub const RULE: Rule = Rule {
    id: "incoming-unproven",
    group: Group::Replication,
    severity: Severity::Warn,
    lowering: Lowering::Anywhere,
    reason: "a guest that moves in with a changed configuration, or from another pair of hosts, may name a disk on which another guest runs: then both write to it",
    remedy: "set [peers.NAME] command for the other node, or move the guest with: block-drbd migrate",
    check: Check::Volume(check),
};

fn check(facts: &Facts) -> Judgement {
    let (Some(why), Some(peer), Ok(target)) = (why(facts), facts.source(), &facts.target) else {
        return Judgement::Pass;
    };
    let (name, peer) = (&target.resource, &peer.peer);
    refuse(
        format!("whether the guest that moves in is the one that has {name} on {peer} is unknown: {why}"),
        format!("set [peers.{peer}] command in /etc/xen/block-drbd.toml"),
    )
}

/// Why it is not proved that a guest that moves in comes with this volume; nothing where it is
/// proved, or known to be otherwise.
pub fn why(facts: &Facts) -> Option<String> {
    let (source, volume) = (facts.source()?, facts.volume()?);
    let users = match &facts.at_source {
        Known::Is(users) => users,
        Known::Unknown(why) => return Some(why.clone()),
    };
    let nameless = users.iter().find(|user| user.volume == volume.number && user.vm.is_none())?;
    Some(format!("{} does not tell the vm node of domain {}", source.peer, nameless.domid))
}
