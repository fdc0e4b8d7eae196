//! A disk of this host alone beside replicated ones.

use super::disk_line::DiskLine;
use super::{Check, Group, Judgement, Lowering, Rule, Severity, refuse};
use crate::guest::LeadsTo;

/// The rule.
pub const RULE: Rule = Rule {
    id: "unreplicated-disk",
    group: Group::Configuration,
    severity: Severity::Warn,
    lowering: Lowering::Anywhere,
    reason: "a disk that is on one host only is missing, or another one, after a failover, and a live migration swaps it under the running guest",
    remedy: "put it on a DRBD resource of its own, or leave it out: swap space can be a file of the replicated disk",
    check: Check::Disk(check),
};

fn check(line: &DiskLine) -> Judgement {
    match line.leads_to {
        LeadsTo::Elsewhere if line.beside_replicated => refuse(
            format!(
                "{} is {} of this host alone, beside disks that DRBD replicates",
                line.name(),
                line.disk.target
            ),
            RULE.remedy.into(),
        ),
        _ => Judgement::Pass,
    }
}
