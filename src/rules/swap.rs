//! Swap space of this domain is not a disk for a guest.

use super::{Check, Group, Judgement, Lowering, Rule, Severity, refuse, unknown};
use crate::facts::{Facts, Known};

/// The rule.
pub const RULE: Rule = Rule {
    id: "swap",
    group: Group::Use,
    severity: Severity::Refuse,
    lowering: Lowering::Never,
    reason: "a device that this domain swaps to has a writer already",
    remedy: "run: swapoff on the device",
    check: Check::Volume(check),
};

fn check(facts: &Facts) -> Judgement {
    let Some(volume) = facts.volume() else { return Judgement::Pass };
    let device = format!("/dev/drbd{}", volume.minor);
    match &facts.swap {
        Known::Is(false) => Judgement::Pass,
        Known::Is(true) => {
            refuse(format!("{device} is swap space of this domain"), format!("run: swapoff {device}"))
        }
        Known::Unknown(why) => unknown("whether it is swap space", why, "make /proc/swaps readable".into()),
    }
}
