//! The handlers of DRBD: from each event to its plan, and what is answered whatever happens.

use super::*;
use crate::config::handlers::Policy;
use crate::event::drbd::{DrbdEvent, EventName};
use crate::facts::{HandlerFacts, Known, User};
use std::time::Duration;

/// One event that DRBD calls a handler for.
pub struct Handler {
    /// The event.
    pub event: EventName,
    /// What is to be done. Only called for a resource that is known.
    pub plan: fn(&Subject, &Policy) -> Decision,
    /// What is answered when something goes wrong inside: what loses nothing.
    pub safe: i32,
    /// What may be answered at all.
    pub answers: &'static [i32],
    /// How long it may look at what there is.
    pub look: Duration,
    /// How long it may take; fence-peer until it knows its budget.
    pub patience: Duration,
}

/// What a handler looks at.
pub struct Subject<'a> {
    /// The resource.
    pub resource: &'a str,
    /// What DRBD said.
    pub event: &'a DrbdEvent,
    /// What was found out.
    pub facts: &'a HandlerFacts,
}

/// What a handler decides.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub struct Decision {
    /// What is to be done, and what to tell of it.
    pub plan: Plan,
    /// What DRBD is answered.
    pub answer: Answer,
    /// Whether somebody should look at it.
    pub urgent: bool,
}

/// What DRBD is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// This; when a step fails, what is safe.
    Exit(i32),
    /// What the first of the configured methods establishes about the peer.
    Fence,
}

/// What depends on nothing that it looks at: the guests only stand in its line of the log.
const BRIEF: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];
/// What pauses guests and writes to the disk.
const LONG: [Duration; 2] = [Duration::from_secs(4), Duration::from_secs(10)];
/// What removes snapshots.
const REMOVAL: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(10)];
/// What takes snapshots.
const SNAPSHOTS: [Duration; 2] = [Duration::from_secs(4), Duration::from_secs(30)];

/// DRBD does not look at the answer (drbd.md 7.2).
const IGNORED: (i32, &[i32]) = (0, &[0]);
/// 3 to 7 are facts about the peer; 1 is none, and refuses (drbd.md 7.3).
const ABOUT_PEER: (i32, &[i32]) = (1, &[1, 3, 4, 5, 6, 7]);
/// Anything but 0 drops the connection before the resync begins.
const MAY_REFUSE: (i32, &[i32]) = (1, &[0, 1]);

/// Every event.
pub const ALL: [Handler; 14] = [
    handler(EventName::FencePeer, fence_peer::plan, ABOUT_PEER, BRIEF),
    handler(EventName::UnfencePeer, unfence_peer::plan, IGNORED, BRIEF),
    handler(EventName::BeforeResyncTarget, before_resync_target::plan, MAY_REFUSE, SNAPSHOTS),
    // The source loses nothing by a resync, so nothing that goes wrong here may stop one.
    handler(EventName::BeforeResyncSource, before_resync_source::plan, IGNORED, BRIEF),
    handler(EventName::AfterResyncTarget, after_resync_target::plan, IGNORED, REMOVAL),
    handler(EventName::OutOfSync, out_of_sync::plan, IGNORED, BRIEF),
    handler(EventName::InitialSplitBrain, initial_split_brain::plan, IGNORED, BRIEF),
    handler(EventName::SplitBrain, split_brain::plan, IGNORED, LONG),
    handler(EventName::PriLost, pri_lost::plan, IGNORED, LONG),
    handler(EventName::PriLostAfterSb, pri_lost_after_sb::plan, IGNORED, LONG),
    handler(EventName::PriOnInconDegr, pri_on_incon_degr::plan, IGNORED, LONG),
    handler(EventName::LocalIoError, local_io_error::plan, IGNORED, LONG),
    handler(EventName::QuorumLost, quorum_lost::plan, IGNORED, LONG),
    handler(EventName::Disconnected, disconnected::plan, IGNORED, BRIEF),
];

const fn handler(
    event: EventName,
    plan: fn(&Subject, &Policy) -> Decision,
    (safe, answers): (i32, &'static [i32]),
    [look, patience]: [Duration; 2],
) -> Handler {
    Handler { event, plan, safe, answers, look, patience }
}

/// The handler of an event.
pub fn of(event: EventName) -> &'static Handler {
    // One test holds that each event has its line.
    ALL.iter().find(|handler| handler.event == event).unwrap_or(&ALL[0])
}

impl Decision {
    /// These steps, and DRBD goes on.
    pub(super) fn goes_on(steps: Vec<Step>, urgent: bool, summary: String) -> Decision {
        Decision { plan: Plan { steps, summary }, answer: Answer::Exit(0), urgent }
    }
}

/// What the log says when a step has failed: what happens then.
pub fn failed(subject: &Subject, summary: &str, why: &str) -> String {
    match subject.event.name {
        EventName::BeforeResyncTarget => before_resync_target::unkept(subject, why),
        _ => format!("{summary}; but {why}"),
    }
}

impl Subject<'_> {
    /// The record of the quarantine with this event noted, where the resource is in one.
    pub(super) fn noted(&self) -> Option<Step> {
        let entry = self.facts.quarantine.value()?.clone()?;
        Some(Step::Quarantine { entry: entry.with(self.event.name, self.facts.now) })
    }

    /// The peer, in words.
    pub(super) fn peer(&self) -> String {
        match (&self.event.peer, self.event.peer_address) {
            (Some(name), _) => name.clone(),
            (None, Some(address)) => address.to_string(),
            (None, None) => "the peer".into(),
        }
    }
}

/// Guests in words: `vm (domain 5)`.
pub fn guests<'a>(users: impl Iterator<Item = &'a User>) -> Vec<String> {
    let word = |user: &User| match &user.guest {
        Some(name) => format!("{name} (domain {})", user.domid),
        None => format!("domain {}", user.domid),
    };
    let mut words: Vec<String> = users.map(word).collect();
    // A guest may have several of the volumes.
    words.dedup();
    words
}

/// The guests that use the resource, in words, for the log.
pub fn used_by(facts: &HandlerFacts) -> String {
    match &facts.users {
        Known::Unknown(_) => "unknown".into(),
        Known::Is(_) => match guests(facts.guests()) {
            none if none.is_empty() => "none".into(),
            some => some.join(", "),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::drbd::NAMES;

    #[test]
    fn every_event_has_its_handler_and_a_safe_answer() {
        for (name, event) in NAMES {
            let handler = of(event);
            assert_eq!(handler.event, event, "{name}");
            assert!(handler.answers.contains(&handler.safe), "{name}");
        }
        assert_eq!(of(EventName::FencePeer).safe, 1);
        assert_eq!(of(EventName::BeforeResyncTarget).safe, 1);
    }
}
