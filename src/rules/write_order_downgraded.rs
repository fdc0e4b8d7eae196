//! A node that was told to flush and no longer does, because a flush failed.

use super::side::Side;
use super::{Check, Group, Judgement, Lowering, Rule, Severity, refuse, unknown};
use crate::facts::{Known, WriteOrdering};

/// The rule.
pub const RULE: Rule = Rule {
    id: "write-order-downgraded",
    group: Group::Durability,
    severity: Severity::Refuse,
    lowering: Lowering::Anywhere,
    reason: "DRBD falls from flush to drain, until the disk is attached anew, when one flush of it fails (drbd_receiver.c, drbd_bump_write_ordering): the disk below does not flush, and the next flush of a guest may detach it (shown by the lab: flush-lost-write-order-downgraded)",
    remedy: "look for FLUSH FAILED in dmesg, mend or replace the disk, then run: drbdadm detach RESOURCE && drbdadm attach RESOURCE",
    check: Check::Side(check),
};

fn check(side: &Side) -> Judgement {
    let (name, resource) = (side.name, &side.resource.name);
    if !side.has_disk() || side.resource.write_ordering != Known::Is(WriteOrdering::Drain) {
        return Judgement::Pass;
    }
    // The ordering is that of the weakest volume: one that is not to flush explains it.
    let configured = side.resource.volumes.iter().map(|volume| &volume.options);
    for options in configured {
        match options {
            Known::Is(options) if !options.disk_flushes => return Judgement::Pass,
            Known::Is(_) => {}
            Known::Unknown(why) => {
                return unknown(
                    &format!("whether {name} is to flush what it receives for {resource}"),
                    why,
                    "make the disk options readable".into(),
                );
            }
        }
    }
    refuse(
        format!(
            "{name} is to flush what it receives for {resource} and only drains it (write-ordering drain): a flush of the disk below has failed"
        ),
        format!(
            "on {name} look for FLUSH FAILED with dmesg, mend the disk, then run: drbdadm detach {resource} && drbdadm attach {resource}"
        ),
    )
}
