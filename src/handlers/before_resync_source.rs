//! The peer is about to be overwritten with this node's data. There is nothing against it here; but what
//! the peer has said of its data ends to be true, so it is asked again.

use super::Step;
use super::drbd::{Decision, Subject};
use crate::config::handlers::Policy;

/// What to do.
pub fn plan(subject: &Subject, _: &Policy) -> Decision {
    let resource = subject.resource;
    let summary = format!("{resource} is sent to {}", subject.peer());
    Decision::goes_on(vec![Step::AskPeers { resource: resource.into() }], false, summary)
}
