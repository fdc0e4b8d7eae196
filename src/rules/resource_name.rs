//! The name comes from a domain configuration, perhaps of somebody who may not
//! touch any other resource; it ends up in messages, paths and requests.

use super::{Check, Group, Judgement, Lowering, Rule, Severity, refuse, unknown};
use crate::facts::{Facts, Known};

/// The rule.
pub const RULE: Rule = Rule {
    id: "resource-name",
    group: Group::Use,
    severity: Severity::Refuse,
    lowering: Lowering::Never,
    reason: "the disk line must name one resource and nothing that means more than that",
    remedy: "write script=block-drbd,target=RESOURCE or target=RESOURCE/VOLUME, with target= last, in the disk line",
    check: Check::Volume(check),
};

fn check(facts: &Facts) -> Judgement {
    let remedy = "write script=block-drbd,target=RESOURCE or target=RESOURCE/VOLUME, with target= last, in the disk line";
    match (&facts.target, &facts.backend) {
        (Ok(_), _) => Judgement::Pass,
        (Err(_), Known::Unknown(why)) => unknown(
            "what the disk line names",
            why,
            "see that xenstored runs, then start the guest again".into(),
        ),
        (Err(reason), _) => {
            refuse(format!("the disk line does not name a DRBD resource: {reason}"), remedy.into())
        }
    }
}
