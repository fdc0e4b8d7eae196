//! A node that does not flush its disk when it receives.

use super::side::{Loss, Side};
use super::{Check, Group, Judgement, Lowering, Rule, Severity, refuse, unknown};
use crate::facts::{Known, WriteOrdering};

/// The rule.
pub const RULE: Rule = Rule {
    id: "write-order-drain",
    group: Group::Durability,
    severity: Severity::Refuse,
    lowering: Lowering::Anywhere,
    reason: "a node with disk-flushes no acknowledges what may be only in its disk's volatile cache: when it loses power, what the guest has flushed is gone there and DRBD does not know (shown by the lab: flush-lost-write-order-drain)",
    remedy: "set disk { disk-flushes yes; } and run: drbdadm adjust RESOURCE; or, where the cache survives a power cut, say so with [[non-volatile]]",
    check: Check::Side(check),
};

fn check(side: &Side) -> Judgement {
    let (name, resource) = (side.name, &side.resource.name);
    if !side.has_disk() || side.resource.write_ordering != Known::Is(WriteOrdering::Drain) {
        return Judgement::Pass;
    }
    let remedy = format!(
        "on {name} set disk {{ disk-flushes yes; }} for {resource} and run: drbdadm adjust {resource}, or write a [[non-volatile]] entry for a cache that survives a power cut"
    );
    match side.loses_data() {
        Loss::Nothing => Judgement::Pass,
        Loss::Of(disks) => refuse(
            format!(
                "{name} does not flush what it receives for {resource} (write-ordering drain) and the cache of {disks} there is volatile"
            ),
            remedy,
        ),
        Loss::Unknown(why) => {
            unknown(&format!("whether the disks of {resource} on {name} survive a power cut"), &why, remedy)
        }
    }
}
