//! This node has been overwritten with the peer's data, and both are equal: the snapshots of what
//! was there before may go. A quarantine stays: that the copies are equal does not say which was right.

use super::drbd::{Decision, Subject};
use super::{Step, before_resync_target};
use crate::config::handlers::Policy;

/// What to do.
pub fn plan(subject: &Subject, policy: &Policy) -> Decision {
    let resource = subject.resource;
    let mut steps: Vec<Step> = subject.noted().into_iter().collect();
    let names = before_resync_target::names(subject);
    if policy.snapshot_percent > 0 && !names.is_empty() {
        steps.push(Step::DropSnapshot { names });
    }
    steps.push(Step::AskPeers { resource: resource.into() });
    Decision::goes_on(
        steps,
        false,
        format!("{resource} has been overwritten with the data of {}", subject.peer()),
    )
}
