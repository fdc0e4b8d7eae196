//! A Primary that can reach no good data: its own disk is not UpToDate and no peer's is. DRBD fails
//! or freezes what its guest asks for (drbd_req.c, may_do_writes), so nothing that was promised is lost.

use super::drbd::{Decision, Subject};
use super::set_aside;
use crate::config::handlers::Policy;

/// What to do.
pub fn plan(subject: &Subject, policy: &Policy) -> Decision {
    set_aside::plan(subject, policy, "is Primary here without access to good data")
}
