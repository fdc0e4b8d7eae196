//! A pending release: what this program promoted, nobody uses, and is still Primary.

use super::{Plan, Step, add, lone, window};
use crate::facts::{Claim, Facts};

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
    let mut steps = vec![Step::Record { before: Some(claim.clone()), after: after.clone() }];
    steps.extend(steps_of(facts, after, false));
    (steps, summary)
}

/// Makes what `claim` has promoted Secondary; `hand_over` as of [`Step::Release`].
pub(super) fn steps_of(facts: &Facts, claim: Claim, hand_over: bool) -> impl Iterator<Item = Step> {
    let lone = lone::step(facts, &claim.promoted);
    lone.into_iter().chain([Step::Release { claim, hand_over }])
}
