//! A Primary whose data DRBD finds older than the peer's (rr-conflict call-pri-lost): what its
//! guest writes from now on is likely to be thrown away.

use super::drbd::{Decision, Subject};
use super::set_aside;
use crate::config::handlers::Policy;

/// What to do.
pub fn plan(subject: &Subject, policy: &Policy) -> Decision {
    set_aside::plan(subject, policy, "is Primary here, and DRBD finds the peer's data newer")
}
