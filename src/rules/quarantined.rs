//! A handler of DRBD has set the resource aside: something happened to its data that somebody
//! has to look at before a guest starts on it.

use super::{Check, Group, Judgement, Lowering, Rule, Severity, refuse, unknown};
use crate::facts::{Facts, Known};

/// The rule.
pub const RULE: Rule = Rule {
    id: "quarantined",
    group: Group::Replication,
    severity: Severity::Refuse,
    lowering: Lowering::ForOneResource,
    reason: "after a split brain, a lost Primary or a failed disk a guest could start on the copy that is thrown away, or on one that is not whole",
    remedy: "see block-drbd quarantine list, mend what it says, then run: block-drbd quarantine clear RESOURCE --reason \"...\"",
    check: Check::Volume(check),
};

fn check(facts: &Facts) -> Judgement {
    let Ok(target) = &facts.target else { return Judgement::Pass };
    let name = &target.resource;
    match &facts.quarantine {
        Known::Is(None) => Judgement::Pass,
        Known::Is(Some(entry)) => refuse(
            format!("{name} is in quarantine: {}", entry.story()),
            format!("mend that, then run: block-drbd quarantine clear {name} --reason \"...\""),
        ),
        Known::Unknown(why) => unknown(
            &format!("whether {name} is in quarantine"),
            why,
            "see: block-drbd quarantine list".into(),
        ),
    }
}
