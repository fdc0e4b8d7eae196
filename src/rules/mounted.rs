//! A file system that two kernels write is destroyed.

use super::{Check, Group, Judgement, Lowering, Rule, Severity, refuse, unknown};
use crate::facts::{Facts, Known};

/// The rule.
pub const RULE: Rule = Rule {
    id: "mounted",
    group: Group::Use,
    severity: Severity::Refuse,
    lowering: Lowering::Never,
    reason: "a device that is mounted in this domain has a writer already",
    remedy: "run: umount on the mount point",
    check: Check::Volume(check),
};

fn check(facts: &Facts) -> Judgement {
    let Some(volume) = facts.volume() else { return Judgement::Pass };
    let device = format!("/dev/drbd{}", volume.minor);
    match &facts.mounts {
        Known::Is(mounts) => match mounts.first() {
            None => Judgement::Pass,
            Some(point) => refuse(
                format!("{device} is mounted on {point} in this domain"),
                format!("run: umount {point}"),
            ),
        },
        Known::Unknown(why) => {
            unknown("whether it is mounted", why, "make /proc/self/mountinfo readable".into())
        }
    }
}
