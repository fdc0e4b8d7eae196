//! Xens whose HVM guests see a script's disk only through their PV drivers.

use super::disk_line::DiskLine;
use super::{Check, Group, Judgement, Lowering, Rule, Severity, refuse, unknown};
use crate::facts::Known;
use crate::guest::GuestKind;

/// The rule.
pub const RULE: Rule = Rule {
    id: "hvm-era",
    group: Group::Configuration,
    severity: Severity::Warn,
    lowering: Lowering::Anywhere,
    reason: "before Xen 4.7 qemu is not told the device that a script provides (libxl commits 982e4ef9ec, fa88ffe2b4): an HVM guest cannot boot from it",
    remedy: "use Xen 4.7 or newer, or boot the guest as PV or PVH",
    check: Check::Disk(check),
};

fn check(line: &DiskLine) -> Judgement {
    let hvm = line.guest.config.kind == Known::Is(GuestKind::Hvm);
    if !hvm || !line.is_gated() {
        return Judgement::Pass;
    }
    match (line.xen_is_before((4, 7)), &line.guest.xen) {
        (Some(true), Known::Is((major, minor))) => refuse(
            format!(
                "{} is not emulated for an HVM guest by Xen {major}.{minor}: it appears only with PV drivers",
                line.name()
            ),
            RULE.remedy.into(),
        ),
        (_, Known::Unknown(why)) => unknown("the version of Xen", why, RULE.remedy.into()),
        _ => Judgement::Pass,
    }
}
