//! A pending release: what this program promoted, nobody uses, and is still Primary.

use super::{Plan, Step, add, window};
use crate::facts::Facts;

/// What to do for the recorded resource of `facts`.
pub fn plan(facts: &Facts) -> Plan {
    let (mut steps, summary) = demotion(facts);
    steps.extend(window::close(facts, false, false));
    Plan { steps, summary }
}

fn demotion(facts: &Facts) -> (Vec<Step>, String) {
    let Some(Some(claim)) = facts.claim.value() else {
        return (Vec::new(), "nothing is recorded".into());
    };
    let mut after = claim.clone();
    after.users.retain(|user| add::is_live(facts, user));
    // Others than those on record are left to DRBD, which does not demote what
    // is open: a backend that hangs in its closing is what a release waits for.
    if !after.users.is_empty() {
        return (Vec::new(), format!("{} is in use", claim.resource));
    }
    let summary = format!("{} is released", claim.resource);
    let steps = vec![
        Step::Record { before: Some(claim.clone()), after: after.clone() },
        Step::Release { claim: after, hand_over: false },
    ];
    (steps, summary)
}
