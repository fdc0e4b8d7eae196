//! A guest's disk goes: release the resource, if nobody else of this host uses it.
//!
//! Called also for disks whose add failed or never ran, and more than once
//! (xen.md 1.6): what is not in our record is not ours to demote.

use super::{Plan, Step, add, release, window};
use crate::event::VbdPath;
use crate::facts::{Backend, Claim, Facts, Resource, Role};

/// What to do for the backend directory `vbd`.
pub fn plan(vbd: &VbdPath, facts: &Facts) -> Plan {
    let ours =
        |claim: &&Claim| claim.users.iter().any(|user| (user.domid, user.devid) == (vbd.domid, vbd.devid));
    match facts.claim.value().and_then(|claim| claim.as_ref()) {
        Some(claim) if ours(&claim) => leave(vbd, facts, claim),
        Some(claim) => Plan::nothing(format!("domain {} has no claim on {}", vbd.domid, claim.resource)),
        None => adopt(facts),
    }
}

fn leave(vbd: &VbdPath, facts: &Facts, claim: &Claim) -> Plan {
    let mut after = claim.clone();
    after
        .users
        .retain(|user| (user.domid, user.devid) != (vbd.domid, vbd.devid) && add::is_live(facts, user));
    let resource = &claim.resource;
    // What could not be found out of other guests does not keep it Primary for
    // ever: every user of ours is on record, and DRBD does not demote what is open.
    let known_user = facts.users.value().is_some_and(|users| users.iter().any(|user| user.live));
    let in_use = known_user || !after.users.is_empty();
    if !in_use && !claim.promoted.is_empty() {
        let summary = format!("{resource} is released");
        // The record keeps this user until it is done: after a death in between the same call,
        // made again, finds it. And where /run is full, nothing can be written, but a record removed.
        let mut steps: Vec<Step> = release::steps_of(facts, after, true).collect();
        steps.extend(window::close(facts, true, true));
        return Plan { steps, summary };
    }
    let summary = match in_use {
        true => format!("{resource} stays Primary for another user of this host"),
        false => format!("{resource} was Primary before it was attached and stays so"),
    };
    Plan { steps: vec![Step::Record { before: Some(claim.clone()), after }], summary }
}

/// Without a record there is nothing of ours to release, except for a guest
/// that was started before this program came: its backend has the device, and
/// nobody else does.
fn adopt(facts: &Facts) -> Plan {
    let (Some(Some(backend)), Some(Some(resource)), Some(&major)) =
        (facts.backend.value(), facts.resource.value(), facts.major.value())
    else {
        return Plan::nothing("nothing was claimed".into());
    };
    match primary_minor(backend, resource, major) {
        Some(minor) if nobody_else(facts) => {
            let claim = Claim { promoted: vec![minor], ..Claim::new(&resource.name) };
            let summary = format!("{} is released", resource.name);
            Plan { steps: release::steps_of(facts, claim, true).collect(), summary }
        }
        _ => Plan::nothing("nothing was claimed".into()),
    }
}

fn primary_minor(backend: &Backend, resource: &Resource, major: u32) -> Option<u32> {
    let device = backend.physical_device.filter(|device| device.major == major)?;
    let primary =
        |minor| resource.volumes.iter().any(|volume| volume.minor == minor && volume.role == Role::Primary);
    Some(device.minor).filter(|&minor| primary(minor))
}

/// Whether it is certain that nobody else has a volume of the resource.
fn nobody_else(facts: &Facts) -> bool {
    facts.users.value().is_some_and(|users| !users.iter().any(|user| user.live))
}
