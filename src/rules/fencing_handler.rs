//! A lost peer is to be fenced, and there is no program that does it.

use super::handler_entry::{Works, works};
use super::side::Side;
use super::{Check, Group, Judgement, Lowering, Rule, Severity, refuse, unknown};
use crate::facts::{Fencing, Known};

/// The rule.
pub const RULE: Rule = Rule {
    id: "fencing-handler",
    group: Group::Replication,
    severity: Severity::Refuse,
    lowering: Lowering::Anywhere,
    reason: "a fence-peer handler that is missing or cannot do its work counts as broken for DRBD: with fencing resource-and-stonith the guest's I/O, frozen until it has answered, stays frozen until the peer is back, so that no guest may start; with resource-only nothing freezes, but a node cannot be promoted without its peer, so that it only warns",
    remedy: "name a program for fence-peer in handlers { } of drbd.conf, which drbdadm reads anew each time, or set fencing dont-care and run: drbdadm adjust RESOURCE",
    check: Check::Side(check),
};

fn check(side: &Side) -> Judgement {
    match side.fencing() {
        // The peer's handler is not the one that this start needs: it is for when the roles have swapped.
        Some(Fencing::ResourceAndStonith) if side.here => judge(side),
        Some(_) => judge(side).at_most(Severity::Warn),
        None => match side.fencing_unknown() {
            // Without a disk 8.x has no policy, and nothing to fence for.
            Some(why) if side.has_disk() && judge(side) != Judgement::Pass => unknown(
                &format!("what {} does when the peer of {} is lost", side.name, side.resource.name),
                why,
                RULE.remedy.into(),
            )
            .at_most(Severity::Warn),
            _ => Judgement::Pass,
        },
    }
}

fn judge(side: &Side) -> Judgement {
    let (name, resource) = (side.name, &side.resource.name);
    let which = format!("what fences the peer of {resource} for {name}");
    let entries = match &side.resource.handlers {
        Known::Is(entries) => entries,
        Known::Unknown(why) => {
            let remedy = format!("see that drbdadm dump {resource} works on {name}");
            return unknown(&which, why, remedy);
        }
    };
    let Some(entry) = entries.iter().find(|entry| entry.event == "fence-peer") else {
        return refuse(
            format!("{name} has no fence-peer handler for {resource}: {}", consequence(side)),
            format!(
                "on {name} name one in handlers {{ }} of {resource}, or set fencing dont-care and run: drbdadm adjust {resource}"
            ),
        );
    };
    match works(entry, side.drbd()) {
        Works::Yes => Judgement::Pass,
        Works::No(what, remedy) => {
            refuse(format!("on {name} {what}: {}", consequence(side)), format!("on {name} {remedy}"))
        }
        // The administrator has written something that is to run; whether it works only a run would tell.
        Works::Unknown(why) => {
            unknown(&which, &why, format!("on {name} let it begin with the program's path"))
                .at_most(Severity::Warn)
        }
    }
}

fn consequence(side: &Side) -> String {
    let resource = &side.resource.name;
    match side.fencing() {
        Some(Fencing::ResourceAndStonith) => {
            "when the peer is lost, a guest freezes until it is back (fencing resource-and-stonith)".into()
        }
        policy => {
            let word = match policy {
                Some(Fencing::Other(word)) => word,
                _ => "resource-only",
            };
            format!("when the peer is lost, {resource} cannot be promoted without it (fencing {word})")
        }
    }
}
