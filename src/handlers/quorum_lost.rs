//! A Primary has lost its quorum. DRBD 9 has frozen its I/O, or fails it (on-no-quorum): either way
//! nothing that was promised is lost.

use super::drbd::{Decision, Subject};
use super::set_aside;
use crate::config::handlers::Policy;

/// What to do.
pub fn plan(subject: &Subject, policy: &Policy) -> Decision {
    set_aside::plan(subject, policy, "is Primary here and has lost its quorum")
}
