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
        Known::Unknown(_) => format!(
            "set [peers.{peer}] command in /etc/xen/block-drbd.toml; where it is set, run it by hand as root to see why it fails, and raise incoming-seconds where it only takes longer"
        ),
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
    // Of what is known to be another guest or another disk `incoming` speaks.
    let untold = |user: &VolumeUser| {
        let is_meant = user.volume == volume.number && !own.is_another_guest(&user.identity());
        match (&user.vm, &user.guest, user.devid) {
            _ if !is_meant => None,
            (None, ..) => Some(("vm node", user.domid)),
            (_, None, _) => Some(("name", user.domid)),
            (.., None) => Some(("device number", user.domid)),
            (Some(_), Some(_), Some(_)) => None,
        }
    };
    let (what, domid) = users.iter().find_map(untold)?;
    Some(format!("{} does not tell the {what} of domain {domid}", source.peer))
}
