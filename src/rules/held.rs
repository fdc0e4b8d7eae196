//! A device mapper, md or LVM device on top of the volume writes to it too.

use super::{Check, Group, Judgement, Lowering, Rule, Severity, refuse, unknown};
use crate::facts::{Facts, Known};

/// The rule.
pub const RULE: Rule = Rule {
    id: "held",
    group: Group::Use,
    severity: Severity::Refuse,
    lowering: Lowering::Never,
    reason: "a device stacked on the volume in this domain can write to it behind the guest's back",
    remedy: "take the stacked device down, and keep LVM away from DRBD devices with global_filter",
    check: Check::Volume(check),
};

fn check(facts: &Facts) -> Judgement {
    let Some(volume) = facts.volume() else { return Judgement::Pass };
    let device = format!("/dev/drbd{}", volume.minor);
    if let Known::Unknown(why) = &facts.claim {
        return unknown("who was given it before", why, "then start the guest again".into());
    }
    match &facts.holders {
        Known::Is(holders) => match holders.first() {
            None => Judgement::Pass,
            Some(holder) => refuse(
                format!("{device} is held by {} in this domain", holders.join(", ")),
                format!(
                    "take {holder} down (dmsetup remove, vgchange -an, mdadm --stop), and keep LVM away from {device} with global_filter"
                ),
            ),
        },
        Known::Unknown(why) => unknown("what is stacked on it", why, "make /sys readable".into()),
    }
}
