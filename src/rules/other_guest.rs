//! Another guest of this host has the volume, or the same guest by another of its disks.

use super::{Check, Group, Judgement, Lowering, Rule, Severity, refuse, refuse_for_now, unknown};
use crate::facts::{Facts, Known, User};

/// The rule.
pub const RULE: Rule = Rule {
    id: "other-guest",
    group: Group::Use,
    severity: Severity::Refuse,
    lowering: Lowering::Never,
    reason: "two guests on one volume, or two disks of one guest, destroy each other's data; Xen's own check for it does nothing in Xen 4.7 to 4.16",
    remedy: "shut the other guest down, or give this guest another resource",
    check: Check::Volume(check),
};

fn check(facts: &Facts) -> Judgement {
    let Some(volume) = facts.volume() else { return Judgement::Pass };
    let users = match &facts.users {
        Known::Is(users) => users,
        Known::Unknown(why) => {
            return unknown(
                "which guests have it",
                why,
                "see that xenstored runs, then start the guest again".into(),
            );
        }
    };
    let other = |user: &&User| user.minor == volume.minor && user.live && !facts.is_of_our_guest(user);
    match users.iter().find(other) {
        Some(user) => taken(facts, user),
        None => Judgement::Pass,
    }
}

fn taken(facts: &Facts, user: &User) -> Judgement {
    let (device, guest) = (format!("/dev/drbd{}", user.minor), user.called());
    let own = facts.backend.value().and_then(|backend| Some(backend.as_ref()?.domid));
    let (message, remedy) = match own == Some(user.domid) {
        true => (
            format!("{device} is the disk {} of this guest already", user.vdev()),
            "leave one of the two disk lines out of its configuration".to_string(),
        ),
        false => (
            format!("{device} belongs to {guest}"),
            format!("shut it down with: xl shutdown {}, or give this guest another resource", user.domid),
        ),
    };
    match user.leaving {
        true => refuse_for_now(message, format!("wait until {guest} is gone, see: xl list")),
        false => refuse(message, remedy),
    }
}
