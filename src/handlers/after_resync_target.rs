//! This node has been overwritten with the peer's data, and both are equal: the snapshots of what
//! was there before may go. A quarantine stays, and the snapshots with it: that the copies are equal does
//! not say which was right.

use super::drbd::{Decision, Subject};
use super::{Step, snapshot};
use crate::config::handlers::Policy;

/// What to do.
pub fn plan(subject: &Subject, policy: &Policy) -> Decision {
    let resource = subject.resource;
    let mut steps: Vec<Step> = subject.noted().into_iter().collect();
    let mut summary = format!("{resource} has been overwritten with the data of {}", subject.peer());
    let names = snapshot::names(subject);
    match policy.snapshot_percent > 0 && !names.is_empty() {
        true if snapshot::may_go(subject) => steps.push(Step::DropSnapshot { names }),
        true => summary += &format!("; what it was stays in {} as long as the quarantine", names.join(" ")),
        false => {}
    }
    steps.push(Step::AskPeers { resource: resource.into() });
    Decision::goes_on(steps, false, summary)
}
