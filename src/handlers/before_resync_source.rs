//! The peer is about to be overwritten with this node's data. There is nothing against it here.

use super::drbd::{Decision, Subject};
use crate::config::handlers::Policy;

/// What to do.
pub fn plan(subject: &Subject, _: &Policy) -> Decision {
    let summary = format!("{} is sent to {}", subject.resource, subject.peer());
    Decision::goes_on(Vec::new(), false, summary)
}
