//! Another guest has another volume of the resource.

use super::{Check, Group, Judgement, Lowering, Rule, Severity, refuse, refuse_for_now};
use crate::facts::{Facts, User};
use crate::guest::GuestFacts;

/// The rule.
pub const RULE: Rule = Rule {
    id: "resource-shared",
    group: Group::Use,
    severity: Severity::Refuse,
    lowering: Lowering::ForOneResource,
    reason: "DRBD lets one node at a time have the volumes of a resource Primary: two guests on two of them can only start, move and stop together",
    remedy: "give each guest a resource of its own",
    check: Check::VolumeAndGuest(check, check_guest),
};

fn check(facts: &Facts) -> Judgement {
    let (Some(user), Ok(target)) = (other_guest(facts), &facts.target) else { return Judgement::Pass };
    let message = format!(
        "{} has another volume of {} (/dev/drbd{}), and a resource is Primary on one node as a whole",
        user.called(),
        target.resource,
        user.minor
    );
    match user.leaving {
        true => refuse_for_now(message, format!("wait until {} is gone, see: xl list", user.called())),
        false => refuse(message, RULE.remedy.into()),
    }
}

/// A device of another guest that has another volume of the resource.
pub fn other_guest(facts: &Facts) -> Option<&User> {
    let volume = facts.volume()?;
    let own = facts.backend.value().and_then(|backend| Some(backend.as_ref()?.domid));
    facts.users.value()?.iter().find(|user| {
        user.live && user.minor != volume.minor && Some(user.domid) != own && !facts.is_of_our_guest(user)
    })
}

fn check_guest(guest: &GuestFacts) -> Judgement {
    match guest.others.iter().find(|other| !other.same_volume) {
        None => Judgement::Pass,
        Some(other) => refuse(
            format!("{} has a disk on another volume of {}", other.path, other.resource),
            RULE.remedy.into(),
        ),
    }
}
