//! An online verify has found blocks that differ. Each node goes on with its own copy; what the
//! peer's is worth has to be asked anew.

use super::Step;
use super::drbd::{Decision, Subject};
use crate::config::handlers::Policy;

/// What to do.
pub fn plan(subject: &Subject, _: &Policy) -> Decision {
    let resource = subject.resource;
    let mut steps: Vec<Step> = subject.noted().into_iter().collect();
    steps.push(Step::AskPeers { resource: resource.into() });
    let summary = format!(
        "{resource} differs from the copy of {}, as a verify has found; to copy the blocks from the node whose data is right run on the other: drbdadm disconnect {resource} && drbdadm connect {resource}",
        subject.peer()
    );
    Decision::goes_on(steps, true, summary)
}
