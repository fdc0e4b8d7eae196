//! Another guest of this host has the volume.

use super::{Check, Group, Judgement, Lowering, Rule, Severity, refuse, refuse_for_now, unknown};
use crate::facts::{Facts, Known, User};

/// The rule.
pub const RULE: Rule = Rule {
    id: "other-guest",
    group: Group::Use,
    severity: Severity::Refuse,
    lowering: Lowering::Never,
    reason: "two guests on one volume destroy each other's data; Xen's own check for it does nothing in Xen 4.7 to 4.16",
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
    let other = |user: &&User| user.minor == volume.minor && user.live && !user.same_guest;
    let Some(user) = users.iter().find(other) else { return Judgement::Pass };
    let guest = match &user.guest {
        Some(name) => format!("guest {name} (domain {})", user.domid),
        None => format!("domain {}", user.domid),
    };
    let message = format!("/dev/drbd{} belongs to {guest}", volume.minor);
    if user.leaving {
        refuse_for_now(message, format!("wait until {guest} is gone, see: xl list"))
    } else {
        refuse(
            message,
            format!("shut it down with: xl shutdown {}, or give this guest another resource", user.domid),
        )
    }
}
