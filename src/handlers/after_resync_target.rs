//! This node has been overwritten with the peer's data, and both are equal: the snapshots of what
//! was there before may go. A quarantine stays, and the snapshots with it: that the copies are equal does
//! not say which was right. Where another volume of the resource is still overwritten, they all stay: with
//! what that one was, they are the only consistent copy.

use super::drbd::{Decision, Subject};
use super::{Step, snapshot};
use crate::config::handlers::Policy;

/// What to do.
pub fn plan(subject: &Subject, policy: &Policy) -> Decision {
    let resource = subject.resource;
    let mut steps: Vec<Step> = subject.noted().into_iter().collect();
    let mut summary = format!("{resource} has been overwritten with the data of {}", subject.peer());
    let names = snapshot::names(subject);
    if policy.snapshot_percent > 0 {
        match snapshot::removable(subject) {
            Ok(names) => steps.push(Step::DropSnapshot { names }),
            Err(why) => summary += &format!("; what it was stays in {} {why}", names.join(" ")),
        }
    }
    steps.push(Step::AskPeers { resource: resource.into() });
    Decision::goes_on(steps, false, summary)
}
