//! Something of this domain itself has the volume: a device stacked on it, or a program.

use super::{
    Check, Found, Group, Judgement, Lowering, Rule, Severity, found, refuse, refuse_for_now, unknown,
};
use crate::facts::{Facts, Known};

/// The rule.
pub const RULE: Rule = Rule {
    id: "held",
    group: Group::Use,
    severity: Severity::Refuse,
    lowering: Lowering::Never,
    reason: "a device stacked on the volume in this domain, or a program that has it open, can write to it behind the guest's back",
    remedy: "take the stacked device down, or end the program, and keep LVM away from DRBD devices with global_filter",
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
            None => opened(facts, volume.minor),
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

/// What is Primary for no guest may be open. Where nobody is seen, DRBD is asked at the start.
fn opened(facts: &Facts, minor: u32) -> Judgement {
    match &facts.openers {
        Known::Is(openers) if !openers.is_empty() => {
            let Found { message, remedy, .. } = is_open(minor, openers);
            refuse_for_now(message, remedy)
        }
        _ if facts.is_primary_for_no_guest() => {
            Judgement::Found(for_no_guest(facts, minor)).at_most(Severity::Info)
        }
        _ => Judgement::Pass,
    }
}

fn for_no_guest(facts: &Facts, minor: u32) -> Found {
    let name = facts.target.as_ref().map_or("the resource", |target| &target.resource);
    found(
        format!(
            "/dev/drbd{minor} is Primary here, and no guest of this host has it: a start first has DRBD make it Secondary, which fails while anybody has it open"
        ),
        format!("to do that now run: block-drbd release {name}"),
    )
}

/// That `openers` have the volume open; where nobody is seen, that somebody has.
pub fn is_open(minor: u32, openers: &[String]) -> Found {
    let device = format!("/dev/drbd{minor}");
    match openers {
        [] => found(
            format!("{device} is open in this domain, and it is not seen by whom"),
            format!("see who has it with: fuser -v {device}; end that, then start the guest again"),
        ),
        openers => found(
            format!("{device} is open in this domain by {}", openers.join(", ")),
            format!("end that (see: fuser -v {device}), then start the guest again"),
        ),
    }
}
