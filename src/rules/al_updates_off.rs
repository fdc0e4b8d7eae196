//! No activity log.

use super::side::Side;
use super::{Check, Group, Judgement, Lowering, Rule, Severity, refuse};

/// The rule.
pub const RULE: Rule = Rule {
    id: "al-updates-off",
    group: Group::Durability,
    severity: Severity::Refuse,
    lowering: Lowering::Anywhere,
    reason: "without the activity log DRBD cannot know what to resync after a crash, and its code for that case had bugs until 2026 (drbd 9 commits b6e6360ba, 1bf00ecfe); precautionary: the lab has not shown a loss, a full resync repairs it where DRBD asks for one",
    remedy: "set disk { al-updates yes; } and run: drbdadm adjust RESOURCE",
    check: Check::Side(check),
};

fn check(side: &Side) -> Judgement {
    let (name, resource) = (side.name, &side.resource.name);
    match side.options() {
        Some(options) if !options.al_updates => refuse(
            format!(
                "{name} keeps no activity log for {resource} (al-updates no): a crash leaves both nodes different"
            ),
            format!(
                "on {name} set disk {{ al-updates yes; }} for {resource} and run: drbdadm adjust {resource}"
            ),
        ),
        _ => Judgement::Pass,
    }
}
