//! What several events come to: the guests that are hit are dealt with, and the resource is put in
//! quarantine.

use super::Step;
use super::drbd::{Decision, Subject, guests};
use crate::config::handlers::Policy;
use crate::facts::{Act, Known, Quarantine};

/// Sets the resource aside because of `reason`, a clause that goes on after its name.
///
/// The guests come first: a record on a disk that hangs must not keep one writing.
pub fn plan(subject: &Subject, policy: &Policy, reason: &str) -> Decision {
    let act = policy.act(subject.event.name);
    let mut domids: Vec<u32> = subject.facts.guests().map(|user| user.domid).collect();
    domids.dedup();
    let mut steps = Vec::new();
    if act != Act::Record && !domids.is_empty() {
        steps.push(Step::Guests { act, domids });
    }
    steps.push(Step::Quarantine { entry: entry(subject, act, reason) });
    let (resource, told) = (subject.resource, told(subject, act));
    let summary = format!(
        "{resource} {reason}; it is in quarantine, {told}; see: block-drbd quarantine list, and: block-drbd status"
    );
    Decision::goes_on(steps, true, summary)
}

/// What happened first stays; what is there and cannot be read is written anew.
fn entry(subject: &Subject, act: Act, reason: &str) -> Quarantine {
    let facts = subject.facts;
    if let Known::Is(Some(entry)) = &facts.quarantine {
        return entry.clone().with(subject.event.name, facts.now);
    }
    let guests = match &facts.users {
        Known::Is(_) => Known::Is(guests(facts.guests())),
        Known::Unknown(why) => Known::Unknown(why.clone()),
    };
    Quarantine {
        version: 1,
        resource: subject.resource.into(),
        event: subject.event.name,
        when: facts.now,
        node: facts.host.value().cloned().unwrap_or_else(|| "this node".into()),
        reason: reason.into(),
        guests,
        act,
        later: Vec::new(),
    }
}

fn told(subject: &Subject, act: Act) -> String {
    let users = match &subject.facts.users {
        Known::Unknown(why) => return format!("and who uses it is not known: {why}"),
        Known::Is(_) => guests(subject.facts.guests()),
    };
    let names = users.join(", ");
    match act {
        _ if users.is_empty() => "and no guest of this host uses it".into(),
        Act::Record => format!("and {names} goes on"),
        Act::Pause => format!("and {names} is paused"),
        Act::Shutdown => format!("and {names} is asked to shut down"),
        Act::Destroy => format!("and {names} is paused and destroyed"),
    }
}
