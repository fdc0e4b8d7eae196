//! A disk line that leads to DRBD, and not through this program.

use super::disk_line::DiskLine;
use super::{Check, Group, Judgement, Lowering, Rule, Severity, refuse};
use crate::guest::LeadsTo;

/// The rule.
pub const RULE: Rule = Rule {
    id: "bypass",
    group: Group::Configuration,
    severity: Severity::Refuse,
    lowering: Lowering::Anywhere,
    reason: "a disk line that names the DRBD device itself, or what is below it, is attached without any of these checks: nobody promotes or releases the resource, and nobody looks whether a flush means something",
    remedy: "write the disk line as vdev=xvda,access=rw,script=block-drbd,target=RESOURCE",
    check: Check::Disk(check),
};

fn check(line: &DiskLine) -> Judgement {
    let (name, target) = (line.name(), &line.disk.target);
    let vdev = line.disk.vdev.as_deref().unwrap_or("xvda");
    let resource = line.resource().unwrap_or("RESOURCE");
    let remedy = format!("write it as \"vdev={vdev},access=rw,script=block-drbd,target={resource}\"");
    match &line.leads_to {
        LeadsTo::Drbd(_) => refuse(
            format!(
                "{name} leads to {target} past block-drbd: nothing checks, promotes or releases {resource}"
            ),
            remedy,
        ),
        LeadsTo::BelowDrbd(_) => refuse(
            format!(
                "{name} leads to {target}, which is below {resource}: what is written there DRBD does not know and does not replicate"
            ),
            remedy,
        ),
        LeadsTo::Gate(_) | LeadsTo::Elsewhere | LeadsTo::Cdrom => Judgement::Pass,
    }
}
