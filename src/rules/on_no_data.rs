//! What the guest sees when no copy of its data can be reached.

use super::{Check, Group, Judgement, Lowering, Rule, Severity, refuse};
use crate::facts::{Facts, Known, OnNoData};

/// The rule.
pub const RULE: Rule = Rule {
    id: "on-no-data",
    group: Group::Durability,
    severity: Severity::Info,
    lowering: Lowering::Anywhere,
    reason: "with on-no-data-accessible suspend-io a guest without data freezes instead of seeing errors, and its disk cannot be released until the data is back",
    remedy: "nothing, where that is wanted; else set options { on-no-data-accessible io-error; } and run: drbdadm adjust RESOURCE",
    check: Check::Volume(check),
};

fn check(facts: &Facts) -> Judgement {
    match facts.resource.value() {
        Some(Some(resource)) if resource.on_no_data == Known::Is(OnNoData::SuspendIo) => refuse(
            format!(
                "{} freezes the guest when no data can be reached (on-no-data-accessible suspend-io), and then cannot be released",
                resource.name
            ),
            RULE.remedy.replace("RESOURCE", &resource.name),
        ),
        _ => Judgement::Pass,
    }
}
