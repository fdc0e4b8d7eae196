//! The local disk has failed a request, and DRBD is about to drop it (on-io-error
//! call-local-io-error). The guest goes on over the peer's disk, where there is one.

use super::drbd::{Decision, Subject};
use super::set_aside;
use crate::config::handlers::Policy;

/// What to do.
pub fn plan(subject: &Subject, policy: &Policy) -> Decision {
    set_aside::plan(subject, policy, "has had an I/O error on the disk of this node")
}
