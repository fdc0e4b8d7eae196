//! The script that Xen will call must be this program, and Xen must call it.

use super::disk_line::DiskLine;
use super::{Check, Group, Judgement, Lowering, Rule, Severity, refuse, unknown};
use crate::facts::Known;
use crate::guest::{GuestFacts, Script};

/// The rule.
pub const RULE: Rule = Rule {
    id: "script",
    group: Group::Configuration,
    severity: Severity::Refuse,
    lowering: Lowering::Anywhere,
    reason: "what stands at /etc/xen/scripts/block-drbd decides what is checked: drbd-utils' shell script of that name promotes first and checks later, and Xen 4.2 to 4.5 calls none where xl.conf says so",
    remedy: "run make install of block-drbd, which diverts drbd-utils' script, and leave run_hotplug_scripts out of /etc/xen/xl.conf",
    check: Check::Guest(check),
};

const PATH: &str = "/etc/xen/scripts/block-drbd";

fn check(guest: &GuestFacts) -> Judgement {
    if let Known::Unknown(why) = &guest.config.disks {
        return unknown("which disks the guest has", why, "write disk = [ ... ] with plain strings".into());
    }
    if !DiskLine::all(guest).iter().any(DiskLine::is_gated) {
        return Judgement::Pass;
    }
    let install = "install block-drbd there".to_string();
    match &guest.script {
        Known::Unknown(why) => return unknown(&format!("what {PATH} is"), why, install),
        Known::Is(Script::Missing) => return refuse(format!("{PATH} does not exist"), install),
        Known::Is(Script::NotExecutable) => {
            return refuse(format!("{PATH} cannot be executed"), format!("run: chmod 755 {PATH}"));
        }
        Known::Is(Script::Shell) => {
            return refuse(
                format!("{PATH} is a shell script, which promotes first and checks later"),
                RULE.remedy.into(),
            );
        }
        Known::Is(Script::Program) => {}
    }
    // Xen 4.6 removed the udev rules and with them the choice (xen commit 2ba368d138).
    let may_choose = guest.xen.value().is_none_or(|xen| *xen < (4, 6));
    match &guest.run_hotplug_scripts {
        Known::Is(Some(false)) if may_choose => refuse(
            "xl.conf has run_hotplug_scripts=0, so that xl calls no script for the disks".into(),
            "remove run_hotplug_scripts from /etc/xen/xl.conf".into(),
        ),
        Known::Is(_) => Judgement::Pass,
        Known::Unknown(_) if !may_choose => Judgement::Pass,
        Known::Unknown(why) => {
            unknown("whether xl calls scripts", why, "make /etc/xen/xl.conf readable".into())
                .at_most(Severity::Warn)
        }
    }
}
