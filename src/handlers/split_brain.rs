//! Both sides have written apart, and DRBD does not mend it. Which copy stays is an administrator's
//! decision; until then a guest that starts here could be on the one that goes.

use super::drbd::{Decision, Subject};
use super::set_aside;
use crate::config::handlers::Policy;

/// What to do.
pub fn plan(subject: &Subject, policy: &Policy) -> Decision {
    set_aside::plan(
        subject,
        policy,
        "has split: this node and the peer have both written apart from each other",
    )
}
