//! `target=` takes the rest of the disk line, whatever stands there.

use super::disk_line::DiskLine;
use super::{Check, Group, Judgement, Lowering, Rule, Severity, refuse};
use crate::guest::LeadsTo;

/// The rule.
pub const RULE: Rule = Rule {
    id: "target-options",
    group: Group::Configuration,
    severity: Severity::Refuse,
    lowering: Lowering::Anywhere,
    reason: "target= swallows every word after it (xl-disk-configuration(5)): the resource gets a name that does not exist, and the options are not set",
    remedy: "write target= last in the disk line, with the name of one resource, or RESOURCE/VOLUME",
    check: Check::Disk(check),
};

fn check(line: &DiskLine) -> Judgement {
    let LeadsTo::Gate(Err(reason)) = &line.leads_to else { return Judgement::Pass };
    let swallowed = line.disk.swallowed();
    match swallowed.is_empty() {
        true => {
            refuse(format!("{} does not name a DRBD resource: {reason}", line.name()), RULE.remedy.into())
        }
        false => refuse(
            format!("in {} target= is not the last word and swallows {}", line.name(), swallowed.join(",")),
            RULE.remedy.into(),
        ),
    }
}
