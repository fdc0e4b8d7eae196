//! A guest wants a disk: claim, promote, prove the flush, attach. Or refuse.

use super::{Plan, Step, lone, window};
use crate::config::Settings;
use crate::event::VbdPath;
use crate::facts::{Backend, Claim, Claimant, Facts, PhysicalDevice, Role, User, Volume};
use crate::report;
use crate::rules::{Verdict, incoming_unproven};

/// What to do for the backend directory `vbd`.
pub fn plan(vbd: &VbdPath, facts: &Facts, verdict: &Verdict, settings: &Settings) -> Plan {
    let (Some(Some(backend)), Some(volume), Some(&major)) =
        (facts.backend.value(), facts.volume(), facts.major.value())
    else {
        return refusal(vbd, facts, verdict);
    };
    let device = PhysicalDevice { major, minor: volume.minor };
    if backend.physical_device == Some(device) && was_attached(vbd, facts, volume) {
        return Plan::nothing(format!("{device} was attached before"));
    }
    if !verdict.allows() {
        return refusal(vbd, facts, verdict);
    }
    attach(vbd, facts, backend, volume, settings, device)
}

/// Whether an earlier add has given this disk the volume, and no other guest has it since.
fn was_attached(vbd: &VbdPath, facts: &Facts, volume: &Volume) -> bool {
    let claim = facts.claim.value().and_then(Option::as_ref);
    let claimant = claim.and_then(|claim| claim.of(vbd.domid, vbd.devid));
    let shares = |user: &User| user.live && user.minor == volume.minor && !facts.has_our_disk(user);
    volume.role == Role::Primary
        && claimant.is_some_and(|claimant| claimant.minor == volume.minor)
        && facts.users.value().is_some_and(|users| !users.iter().any(shares))
}

fn refusal(vbd: &VbdPath, facts: &Facts, verdict: &Verdict) -> Plan {
    let sentence = report::refusal(facts, verdict);
    Plan {
        steps: vec![Step::Refuse { vbd: vbd.clone(), sentence: report::one_line(&sentence) }],
        summary: sentence,
    }
}

fn attach(
    vbd: &VbdPath,
    facts: &Facts,
    backend: &Backend,
    volume: &Volume,
    settings: &Settings,
    device: PhysicalDevice,
) -> Plan {
    let resource = match &facts.target {
        Ok(target) => target.resource.clone(),
        Err(reason) => return Plan::nothing(reason.clone()),
    };
    // DRBD alone knows whether anybody has it open: it makes nothing Secondary that is, and asks the
    // fence-peer handler anew when it is promoted again.
    let hand_back = facts.is_primary_for_no_guest();
    let promote = hand_back || volume.role != Role::Primary;
    let mut steps = Vec::new();
    if hand_back {
        let (resource, within) = (resource.clone(), settings.healing());
        steps.push(Step::HandBack { resource, device, within });
    }
    steps.extend(window::open(facts, vbd.domid));
    steps.extend(lone::step(facts, &[]));
    steps.push(claim(vbd, facts, &resource, volume, promote));
    if promote {
        steps.push(Step::Promote { resource: resource.clone(), minor: volume.minor });
    }
    steps.push(Step::ProveFlush { resource: resource.clone(), device, within: settings.flush() });
    steps.extend(facts.announced().map(|expected| Step::StrikeExpected {
        resource: resource.clone(),
        left: expected.without(volume.number),
    }));
    steps.push(Step::Attach { vbd: vbd.clone(), device, at_source: facts.at_source.clone() });
    let summary =
        format!("{resource} volume {} is attached to {}", volume.number, report::guest(Some(backend), vbd));
    Plan { steps, summary }
}

/// What is recorded before the volume is promoted; `promote` tells whether it will be.
fn claim(vbd: &VbdPath, facts: &Facts, resource: &str, volume: &Volume, promote: bool) -> Step {
    // What goes back on record when this fails: not those whom an add that was killed has left.
    let mut before = facts.claim.value().and_then(Clone::clone);
    if let Some(claim) = &mut before {
        claim.users.retain(|user| is_live(facts, user));
    }
    let mut after = before.clone().unwrap_or_else(|| Claim::new(resource));
    let (domid, devid, unproven) = (vbd.domid, vbd.devid, incoming_unproven::why(facts));
    after.users.push(Claimant { domid, devid, minor: volume.minor, unproven });
    if before.is_none() {
        after.two_primaries = two_primaries(facts);
    }
    if promote && !after.promoted.contains(&volume.minor) {
        after.promoted.push(volume.minor);
    }
    Step::Record { before, after }
}

/// Whether DRBD lets two nodes be Primary now, where that is known of each connection.
fn two_primaries(facts: &Facts) -> Option<bool> {
    let connections = &facts.resource.value()?.as_ref()?.connections;
    let allowed: Option<Vec<bool>> =
        connections.iter().map(|connection| connection.two_primaries.value().copied()).collect();
    allowed.map(|allowed| allowed.contains(&true))
}

/// Whether a recorded user still has the volume: a killed add leaves one that never got it.
pub(super) fn is_live(facts: &Facts, user: &Claimant) -> bool {
    match facts.users.value() {
        Some(users) => {
            users.iter().any(|other| other.live && (other.domid, other.devid) == (user.domid, user.devid))
        }
        None => true,
    }
}
