//! A split brain has been found, and DRBD is about to try its after-sb policies; `split-brain` or
//! `pri-lost-after-sb` follows where they do not mend it. Returns at once: the receiver waits.

use super::drbd::{Decision, Subject};
use crate::config::handlers::Policy;

/// What to do.
pub fn plan(subject: &Subject, _: &Policy) -> Decision {
    let summary = format!(
        "{} has split, and DRBD tries its after-sb policies; see what it does with: dmesg | grep {0}",
        subject.resource
    );
    Decision::goes_on(Vec::new(), true, summary)
}
