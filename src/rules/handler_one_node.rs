//! Handlers of this program on one node and not on the other.

use super::{Check, Group, Judgement, Lowering, Rule, Severity, refuse};
use crate::facts::{Facts, Known, Resource};
use std::collections::BTreeSet;

/// The rule.
pub const RULE: Rule = Rule {
    id: "handler-one-node",
    group: Group::Replication,
    severity: Severity::Warn,
    lowering: Lowering::Anywhere,
    reason: "the roles swap: after a failover the guest runs on the node without the handlers, and what protected it before does not any more; drbd.conf is to be the same on both",
    remedy: "copy drbd.conf and what it includes to the other node, with the programs that it names",
    check: Check::Volume(check),
};

fn check(facts: &Facts) -> Judgement {
    let Some(Some(resource)) = facts.resource.value() else { return Judgement::Pass };
    let (name, here) = (facts.node.name(), own(resource));
    for answer in facts.peers.value().into_iter().flatten() {
        let mut theirs = answer.facts.resources.value().into_iter().flatten();
        let there = theirs.find(|other| other.name == resource.name).and_then(own);
        let (Some(here), Some(there), peer) = (&here, &there, answer.peer.as_str()) else { continue };
        for (ours, others, has, lacks) in [(here, there, name, peer), (there, here, peer, name)] {
            let only: Vec<&str> = ours.difference(others).copied().collect();
            if !only.is_empty() {
                return refuse(
                    format!(
                        "{} calls block-drbd on {has} and not on {lacks} for {}",
                        resource.name,
                        only.join(", ")
                    ),
                    format!("make drbd.conf on {lacks} the same as on {has}, and install block-drbd there"),
                );
            }
        }
    }
    Judgement::Pass
}

/// The events for which this program is called, where the handlers are known.
fn own(resource: &Resource) -> Option<BTreeSet<&str>> {
    let Known::Is(entries) = &resource.handlers else { return None };
    Some(entries.iter().filter(|entry| entry.own().is_some()).map(|entry| entry.event.as_str()).collect())
}
