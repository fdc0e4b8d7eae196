//! Handlers that cannot do what they are for.

use super::handler_entry::{Works, works};
use super::side::Side;
use super::{Check, Group, Judgement, Lowering, Rule, Severity, refuse, unknown};
use crate::facts::{HandlerEntry, Known};

/// The rule.
pub const RULE: Rule = Rule {
    id: "handler-broken",
    group: Group::Replication,
    severity: Severity::Warn,
    lowering: Lowering::Anywhere,
    reason: "drbdadm hands a handler to the shell when its event comes: a path that is wrong, a script of the other generation of DRBD or the name of another event is noticed only then, and nobody is told of a split brain or a failing disk",
    remedy: "mend the entry in handlers { } of drbd.conf, which drbdadm reads anew each time",
    check: Check::Side(check),
};

fn check(side: &Side) -> Judgement {
    // What does not fence depends on no handler: where none is known, there is nothing to say of them.
    let Known::Is(entries) = &side.resource.handlers else { return Judgement::Pass };
    // fencing-handler speaks of this one.
    let fences = |entry: &&HandlerEntry| entry.event == "fence-peer" && side.fencing().is_some();
    let (mut broken, mut remedies, mut unknowns) = (Vec::new(), Vec::new(), Vec::new());
    for entry in entries.iter().filter(|entry| !fences(entry)) {
        match works(entry, side.drbd()) {
            Works::Yes => {}
            Works::No(what, remedy) => {
                broken.push(what);
                remedies.push(remedy);
            }
            Works::Unknown(why) => unknowns.push(why),
        }
    }
    let (name, resource) = (side.name, &side.resource.name);
    match (broken.is_empty(), unknowns.is_empty()) {
        (false, _) => refuse(
            format!("handlers of {resource} on {name} cannot do their work: {}", broken.join("; ")),
            format!("on {name} {}", remedies.join("; ")),
        ),
        (true, false) => unknown(
            &format!("whether each handler of {resource} on {name} can be run"),
            &unknowns.join("; "),
            format!("on {name} let each begin with the program's path"),
        )
        .at_most(Severity::Info),
        (true, true) => Judgement::Pass,
    }
}
