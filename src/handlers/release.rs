//! A release that somebody asks for: of what this program promoted and nobody uses any more,
//! and, by its name, of what is Primary without a record.

use super::{Plan, Step, add, lone, window};
use crate::facts::{Claim, Facts, Known, Resource, Role};

/// Why nothing may be demoted of the resource of `facts`, which was `named` by an administrator
/// or only found in the records: what would have to be known is not.
pub fn cannot_tell(facts: &Facts, named: bool) -> Option<&str> {
    match (&facts.claim, &facts.resource, &facts.users) {
        (Known::Unknown(why), ..) => Some(why),
        (Known::Is(None), Known::Unknown(why), _) | (Known::Is(None), _, Known::Unknown(why)) if named => {
            Some(why)
        }
        // Whether those on record still have it.
        (Known::Is(Some(claim)), _, Known::Unknown(why)) if !claim.users.is_empty() => Some(why),
        _ => None,
    }
}

/// What to do for a resource that has a record or a window.
pub fn plan(facts: &Facts) -> Plan {
    let demotion = match facts.claim.value() {
        Some(Some(claim)) => recorded(facts, claim),
        _ => (Vec::new(), "nothing is recorded".into()),
    };
    with_window(facts, demotion)
}

/// What to do for a resource that an administrator has named, recorded or not.
pub fn by_name(facts: &Facts) -> Plan {
    let (Some(claim), Some(Some(resource))) = (facts.claim.value(), facts.resource.value()) else {
        return plan(facts);
    };
    let Some(claim) = claim else { return with_window(facts, unrecorded(facts, resource)) };
    let (mut steps, mut summary) = recorded(facts, claim);
    // Nothing of it is ours to release: it was Primary before a guest got it.
    if let [Step::Record { .. }] = steps[..] {
        let (demotions, demoted) = unrecorded(facts, resource);
        if !demotions.is_empty() {
            steps.extend(demotions);
            summary = demoted;
        }
    }
    with_window(facts, (steps, summary))
}

fn with_window(facts: &Facts, (mut steps, summary): (Vec<Step>, String)) -> Plan {
    // With the record goes the knowledge that a window of the other node is open.
    let released = !steps.is_empty();
    steps.extend(window::close(facts, released, false));
    Plan { steps, summary }
}

fn recorded(facts: &Facts, claim: &Claim) -> (Vec<Step>, String) {
    let name = &claim.resource;
    let mut after = claim.clone();
    after.users.retain(|user| add::is_live(facts, user));
    // Others than those on record are left to DRBD, which does not demote what
    // is open: a backend that hangs in its closing is what a release waits for.
    if !after.users.is_empty() {
        return (Vec::new(), format!("{name} is in use"));
    }
    // A minor that is not the resource's any more may be another's by now, which nobody recorded.
    if let Known::Is(resource) = &facts.resource {
        after.promoted.retain(|minor| resource.as_ref().is_some_and(|resource| has(resource, *minor)));
    }
    let record = Step::Record { before: Some(claim.clone()), after: after.clone() };
    match after.promoted.is_empty() {
        true => (vec![record], format!("the record of {name} is removed: there is nothing of it to release")),
        false => {
            let steps = [record].into_iter().chain(steps_of(facts, after, false)).collect();
            (steps, format!("{name} is released"))
        }
    }
}

/// Nothing of ours: it may be Primary by somebody's hand. Whoever names it has decided that; who
/// has it open in this domain DRBD itself knows best (SS_DEVICE_IN_USE).
fn unrecorded(facts: &Facts, resource: &Resource) -> (Vec<Step>, String) {
    let name = &resource.name;
    if facts.users.value().is_none_or(|users| users.iter().any(|user| user.live)) {
        return (Vec::new(), format!("{name} is in use, although nothing is recorded"));
    }
    let primary = resource.volumes.iter().filter(|volume| volume.role == Role::Primary);
    let demote = |minor| Step::Demote { resource: name.clone(), minor };
    let steps: Vec<Step> = primary.map(|volume| demote(volume.minor)).collect();
    match steps.is_empty() {
        true => (steps, "nothing is recorded, and it is not Primary".into()),
        false => (steps, format!("{name} is released, of which nothing was recorded")),
    }
}

fn has(resource: &Resource, minor: u32) -> bool {
    resource.volumes.iter().any(|volume| volume.minor == minor)
}

/// Makes what `claim` has promoted Secondary; `hand_over` as of [`Step::Release`].
pub(super) fn steps_of(facts: &Facts, claim: Claim, hand_over: bool) -> impl Iterator<Item = Step> {
    let lone = lone::step(facts, &claim.promoted);
    lone.into_iter().chain([Step::Release { claim, hand_over }])
}
