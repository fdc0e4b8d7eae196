//! What serves the disk must be this host's blkback: nothing else runs a script here.

use super::disk_line::DiskLine;
use super::{Check, Group, Judgement, Lowering, Rule, Severity, refuse};
use crate::guest::{Access, BackendType, Format};

/// The rule.
pub const RULE: Rule = Rule {
    id: "backend",
    group: Group::Configuration,
    severity: Severity::Refuse,
    lowering: Lowering::Anywhere,
    reason: "only blkback in dom0 runs a hotplug script: qemu, blktap, CD drives, COLO and driver domains take a disk in other ways, which this program does not see",
    remedy: "leave backendtype=, backend=, format= and devtype= out of the disk line",
    check: Check::Disk(check),
};

fn check(line: &DiskLine) -> Judgement {
    if !line.is_gated() {
        return Judgement::Pass;
    }
    let (name, disk) = (line.name(), line.disk);
    let of_dom0 = |backend: &String| backend == "0" || backend == "Domain-0";
    let other_domain = disk.backend.as_ref().filter(|backend| !of_dom0(backend));
    let wrong = match (&disk.backendtype, other_domain) {
        _ if disk.cdrom => "it is a CD drive, which only qemu serves".to_string(),
        _ if disk.colo => "COLO does not go with a script".to_string(),
        _ if disk.format != Format::Raw => "its format is not raw, and blkback knows no other".to_string(),
        (Some(BackendType::Phy) | None, None) => return forced(line),
        (_, Some(backend)) => {
            format!("the driver domain {backend} serves it, and block-drbd serves dom0 only")
        }
        (Some(kind), None) => format!("{} does not run scripts", word(kind)),
    };
    refuse(format!("{name} cannot go through block-drbd: {wrong}"), format!("in {name} {}", RULE.remedy))
}

/// `w!` asks xm to skip a check that this program makes all the same.
fn forced(line: &DiskLine) -> Judgement {
    if line.disk.access != Access::Forced {
        return Judgement::Pass;
    }
    refuse(
        format!(
            "{} asks with w! that nobody looks who else uses it; block-drbd looks all the same",
            line.name()
        ),
        "write w in its place".into(),
    )
    .at_most(Severity::Warn)
}

fn word(kind: &BackendType) -> &str {
    match kind {
        BackendType::Phy => "blkback",
        BackendType::Tap => "blktap",
        BackendType::Qdisk => "qemu",
        BackendType::Standalone => "a standalone backend",
        BackendType::Other(word) => word,
    }
}
