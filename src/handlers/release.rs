//! A pending release: what this program promoted, nobody uses, and is still Primary.

use super::{Plan, Step, add, remove};
use crate::facts::Facts;

/// What to do for the recorded resource of `facts`.
pub fn plan(facts: &Facts) -> Plan {
    let Some(Some(claim)) = facts.claim.value() else {
        return Plan::nothing("nothing is recorded".into());
    };
    let mut after = claim.clone();
    after.users.retain(|user| add::is_live(facts, user));
    if remove::others(facts) || !after.users.is_empty() {
        return Plan::nothing(format!("{} is in use", claim.resource));
    }
    let resource = claim.resource.clone();
    let steps = vec![
        Step::Record { before: Some(claim.clone()), after },
        Step::Release { resource: resource.clone(), minors: claim.promoted.clone() },
    ];
    Plan { steps, summary: format!("{resource} is released") }
}
