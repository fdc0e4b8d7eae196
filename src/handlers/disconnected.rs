//! A connection has been closed. The next connection waits for this handler, so it does nothing.

use super::drbd::{Decision, Subject};
use crate::config::handlers::Policy;

/// What to do.
pub fn plan(subject: &Subject, _: &Policy) -> Decision {
    let cstate = subject.event.cstate.as_deref().unwrap_or("for a reason that DRBD does not say");
    let summary = format!("{} is disconnected from {}: {cstate}", subject.resource, subject.peer());
    Decision::goes_on(Vec::new(), false, summary)
}
