//! A release that somebody asks for: of what this program promoted and nobody uses any more,
//! and, by its name, of what is Primary without a record.

use super::{Plan, Step, add};
use crate::facts::{Facts, Known, Resource, Role};

/// Why nothing may be done about the resource of `facts`, which was named by an administrator
/// or only found in the records: what would have to be known is not.
pub fn cannot_tell(facts: &Facts, named: bool) -> Option<&str> {
    let unknown = match (&facts.claim, &facts.resource, &facts.users) {
        (Known::Unknown(why), ..) => why,
        (Known::Is(None), Known::Unknown(why), _) | (Known::Is(None), _, Known::Unknown(why)) if named => why,
        _ => return None,
    };
    Some(unknown)
}

/// What to do for the recorded resource of `facts`.
pub fn plan(facts: &Facts) -> Plan {
    let Some(Some(claim)) = facts.claim.value() else {
        return Plan::nothing("nothing is recorded".into());
    };
    let mut after = claim.clone();
    after.users.retain(|user| add::is_live(facts, user));
    // Others than those on record are left to DRBD, which does not demote what
    // is open: a backend that hangs in its closing is what a release waits for.
    if !after.users.is_empty() {
        return Plan::nothing(format!("{} is in use", claim.resource));
    }
    // A minor that is not the resource's any more may be another's by now, which nobody recorded.
    if let Known::Is(resource) = &facts.resource {
        after.promoted.retain(|minor| resource.as_ref().is_some_and(|resource| has(resource, *minor)));
    }
    let record = Step::Record { before: Some(claim.clone()), after: after.clone() };
    if after.promoted.is_empty() {
        let summary =
            format!("the record of {} is removed: there is nothing of it to release", claim.resource);
        return Plan { steps: vec![record], summary };
    }
    let release = Step::Release { claim: after, hand_over: false };
    Plan { steps: vec![record, release], summary: format!("{} is released", claim.resource) }
}

/// What to do for a resource that an administrator has named, recorded or not.
pub fn by_name(facts: &Facts) -> Plan {
    let Some(Some(resource)) = facts.resource.value() else { return plan(facts) };
    let Some(Some(claim)) = facts.claim.value() else { return unrecorded(facts, resource) };
    let mut recorded = plan(facts);
    if claim.promoted.is_empty() && !recorded.steps.is_empty() {
        // It was Primary before a guest got it, and nobody has it now.
        recorded.steps.extend(unrecorded(facts, resource).steps);
    }
    recorded
}

/// Nothing of ours: it may be Primary by somebody's hand. Whoever names it has decided that; who
/// has it open in this domain DRBD itself knows best (SS_DEVICE_IN_USE).
fn unrecorded(facts: &Facts, resource: &Resource) -> Plan {
    let name = &resource.name;
    if facts.users.value().is_none_or(|users| users.iter().any(|user| user.live)) {
        return Plan::nothing(format!("{name} is in use, although nothing is recorded"));
    }
    let primary = resource.volumes.iter().filter(|volume| volume.role == Role::Primary);
    let demote = |minor| Step::Demote { resource: name.clone(), minor };
    let steps: Vec<Step> = primary.map(|volume| demote(volume.minor)).collect();
    match steps.is_empty() {
        true => Plan::nothing("nothing is recorded, and it is not Primary".into()),
        false => Plan { steps, summary: format!("{name} is released, of which nothing was recorded") },
    }
}

fn has(resource: &Resource, minor: u32) -> bool {
    resource.volumes.iter().any(|volume| volume.minor == minor)
}
