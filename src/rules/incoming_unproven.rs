//! A guest moves in, and nobody has said that it is the one that has the volume at the source.

use super::{Check, Group, Judgement, Lowering, Rule, Severity, refuse};
use crate::facts::{Facts, Known, VolumeUser};

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
    let remedy = match &facts.at_source {
        Known::Unknown(_) => format!("set [peers.{peer}] command in /etc/xen/block-drbd.toml"),
        Known::Is(_) => format!("see on {peer} which guest has {name} with: block-drbd status"),
    };
    refuse(
        format!("whether the guest that moves in is the one that has {name} on {peer} is unknown: {why}"),
        remedy,
    )
}

/// Why it is not proved that a guest that moves in comes with this volume; nothing where it is
/// proved, or known to be otherwise. A copied configuration has the uuid too, so that the name counts as well.
pub fn why(facts: &Facts) -> Option<String> {
    let (source, volume) = (facts.source()?, facts.volume()?);
    let users = match &facts.at_source {
        Known::Is(users) => users,
        Known::Unknown(why) => return Some(why.clone()),
    };
    let own = facts.backend.value()?.as_ref()?.identity();
    // Another uuid is that of another guest, of which `incoming` speaks.
    let may_be = |user: &VolumeUser| user.vm.is_none() || user.vm.as_deref() == own.vm;
    let other = |user: &&VolumeUser| {
        user.volume == volume.number && may_be(user) && !own.is_same_guest(&user.identity())
    };
    let other = users.iter().find(other)?;
    Some(match (&other.vm, &other.guest) {
        (Some(_), Some(name)) => format!(
            "{} says that guest {name} (domain {}) has it, whose uuid is the same and whose name is not",
            source.peer, other.domid
        ),
        (None, _) => format!("{} does not tell the vm node of domain {}", source.peer, other.domid),
        (_, None) => format!("{} does not tell the name of domain {}", source.peer, other.domid),
    })
}
