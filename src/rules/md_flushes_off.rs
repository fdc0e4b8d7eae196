//! Meta data that is written without a flush.

use super::side::{Loss, Side};
use super::{Check, Group, Judgement, Lowering, Rule, Severity, refuse, unknown};
use crate::facts::Known;

/// The rule.
pub const RULE: Rule = Rule {
    id: "md-flushes-off",
    group: Group::Durability,
    severity: Severity::Refuse,
    lowering: Lowering::Anywhere,
    reason: "with md-flushes no a power cut takes the activity log with it: the resync afterwards misses blocks and the nodes differ from then on (shown by the lab: flush-lost-md-flushes-off)",
    remedy: "set disk { md-flushes yes; } and run: drbdadm adjust RESOURCE; or, where the cache survives a power cut, say so with [[non-volatile]]",
    check: Check::Side(check),
};

fn check(side: &Side) -> Judgement {
    let (name, resource) = (side.name, &side.resource.name);
    let options = match &side.volume.options {
        _ if !side.has_disk() => return Judgement::Pass,
        Known::Is(options) => options,
        Known::Unknown(why) => {
            return unknown(
                &format!("the disk options of {resource} on {name}"),
                why,
                "make them readable".into(),
            );
        }
    };
    if options.md_flushes {
        return Judgement::Pass;
    }
    let remedy = format!(
        "on {name} set disk {{ md-flushes yes; }} for {resource} and run: drbdadm adjust {resource}, or write a [[non-volatile]] entry for a cache that survives a power cut"
    );
    match side.loses_meta_data() {
        Loss::Nothing => Judgement::Pass,
        Loss::Of(disks) => refuse(
            format!(
                "{name} writes the meta data of {resource} without a flush (md-flushes no) to {disks}, whose cache is volatile"
            ),
            remedy,
        ),
        Loss::Unknown(why) => unknown(
            &format!("whether the meta data of {resource} on {name} survives a power cut"),
            &why,
            remedy,
        ),
    }
}
