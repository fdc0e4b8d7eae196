//! A Primary whose data is discarded after a split brain (after-sb-2pri call-pri-lost-after-sb). DRBD
//! expects the node to be rebooted; it is enough that its guest stops writing.

use super::drbd::{Decision, Subject};
use super::set_aside;
use crate::config::handlers::Policy;

/// What to do.
pub fn plan(subject: &Subject, policy: &Policy) -> Decision {
    set_aside::plan(subject, policy, "has split, and this node's data is to be discarded")
}
