//! A disk whose requests are given up while it may still be working on them.

use super::side::Side;
use super::{Check, Group, Judgement, Lowering, Rule, Severity, refuse};

/// The rule.
pub const RULE: Rule = Rule {
    id: "disk-timeout",
    group: Group::Durability,
    severity: Severity::Warn,
    lowering: Lowering::Anywhere,
    reason: "with disk-timeout a request is completed while the disk may still read or write the guest's memory, and its late end panics the host (drbd_worker.c:197-248); precautionary: the lab has not shown it",
    remedy: "set disk { disk-timeout 0; } and run: drbdadm adjust RESOURCE",
    check: Check::Side(check),
};

fn check(side: &Side) -> Judgement {
    let (name, resource) = (side.name, &side.resource.name);
    match side.options() {
        Some(options) if options.disk_timeout != 0 => refuse(
            format!(
                "{name} gives requests of {resource} up after {}.{} s (disk-timeout), which can corrupt memory or panic it",
                options.disk_timeout / 10,
                options.disk_timeout % 10
            ),
            format!(
                "on {name} set disk {{ disk-timeout 0; }} for {resource} and run: drbdadm adjust {resource}"
            ),
        ),
        _ => Judgement::Pass,
    }
}
