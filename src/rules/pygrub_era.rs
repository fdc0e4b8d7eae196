//! Xens whose boot loader cannot read a script's disk.

use super::disk_line::DiskLine;
use super::{Check, Group, Judgement, Lowering, Rule, Severity, refuse, unknown};
use crate::facts::Known;

/// The rule.
pub const RULE: Rule = Rule {
    id: "pygrub-era",
    group: Group::Configuration,
    severity: Severity::Refuse,
    lowering: Lowering::Anywhere,
    reason: "before Xen 4.6 a boot loader is handed the name of the resource in place of a device (libxl 4.6: libxl.c:3122): it finds nothing to boot, and the guest does not start",
    remedy: "use Xen 4.6 or newer, or name kernel= and ramdisk= in place of bootloader=",
    check: Check::Disk(check),
};

fn check(line: &DiskLine) -> Judgement {
    let loader = match &line.guest.config.bootloader {
        Known::Is(Some(loader)) => loader,
        Known::Is(None) => return Judgement::Pass,
        Known::Unknown(why) => {
            return unknown("the boot loader of the guest", why, RULE.remedy.into()).at_most(Severity::Warn);
        }
    };
    if !line.is_replicated() {
        return Judgement::Pass;
    }
    let judgement = match (line.xen_is_before((4, 6)), &line.guest.xen) {
        (Some(true), Known::Is((major, minor))) => refuse(
            format!("{loader} of Xen {major}.{minor} cannot read {} through a script", line.name()),
            RULE.remedy.into(),
        ),
        (_, Known::Unknown(why)) => unknown("the version of Xen", why, RULE.remedy.into()),
        _ => Judgement::Pass,
    };
    // A line that goes past the script boots; it is what mending it would meet.
    if line.is_gated() { judgement } else { judgement.at_most(Severity::Warn) }
}
