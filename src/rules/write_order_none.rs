//! A node that orders received writes by nothing.

use super::side::Side;
use super::{Check, Group, Judgement, Lowering, Rule, Severity, refuse, unknown};
use crate::facts::{Known, WriteOrdering};

/// The rule.
pub const RULE: Rule = Rule {
    id: "write-order-none",
    group: Group::Durability,
    severity: Severity::Refuse,
    lowering: Lowering::Never,
    reason: "a node with write-ordering none acknowledges what it received without waiting or flushing: when it loses power, what the guest has flushed is gone there and DRBD does not know (shown by the lab: flush-lost-write-order-none)",
    remedy: "set disk { disk-flushes yes; disk-drain yes; } and run: drbdadm adjust RESOURCE",
    check: Check::Side(check),
};

fn check(side: &Side) -> Judgement {
    let (name, resource) = (side.name, &side.resource.name);
    match &side.resource.write_ordering {
        _ if !side.has_disk() => Judgement::Pass,
        Known::Is(WriteOrdering::None) => refuse(
            format!(
                "{name} neither drains nor flushes what it receives for {resource} (write-ordering none)"
            ),
            format!(
                "on {name} set disk {{ disk-flushes yes; disk-drain yes; }} for {resource} and run: drbdadm adjust {resource}"
            ),
        ),
        Known::Is(_) => Judgement::Pass,
        Known::Unknown(why) => unknown(
            &format!("how {name} orders the writes that it receives for {resource}"),
            why,
            format!("make DRBD on {name} tell it: cat /proc/drbd"),
        ),
    }
}
