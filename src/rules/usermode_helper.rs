//! What DRBD's module runs when something happens, in place of drbdadm or as it.

use super::side::Side;
use super::{Check, Group, Judgement, Lowering, Rule, Severity, refuse, unknown};
use crate::facts::{Fencing, Known, ProgramKind};

/// The rule.
pub const RULE: Rule = Rule {
    id: "usermode-helper",
    group: Group::Replication,
    severity: Severity::Refuse,
    lowering: Lowering::Anywhere,
    reason: "DRBD calls drbdadm, which finds the handler in drbd.conf; a helper that cannot be run counts as a handler that does nothing, and with fencing resource-and-stonith the guest freezes when the peer is lost; where fencing is in force, DRBD 9 takes the word disabled for a peer that was fenced and promotes a disk that may be outdated; without fencing, and for another program than drbdadm, it warns",
    remedy: "put \"options drbd usermode_helper=/sbin/drbdadm\" into /etc/modprobe.d/drbd.conf and run: printf %s /sbin/drbdadm > /sys/module/drbd/parameters/usermode_helper",
    check: Check::Side(check),
};

fn check(side: &Side) -> Judgement {
    let name = side.name;
    let what = format!("what DRBD on {name} runs for its handlers");
    match &side.node.usermode_helper {
        Known::Is(helper) => judge(side, helper),
        Known::Unknown(why) if side.fencing().is_some() => {
            let remedy = format!("on {name} look at /sys/module/drbd/parameters/usermode_helper");
            unknown(&what, why, remedy).at_most(Severity::Warn)
        }
        Known::Unknown(_) => Judgement::Pass,
    }
}

fn judge(side: &Side, helper: &str) -> Judgement {
    let (name, remedy) = (side.name, format!("on {} {}", side.name, RULE.remedy));
    let freezes = side.fencing() == Some(&Fencing::ResourceAndStonith);
    // The kernel keeps what was written as it is, with the line end of an echo (kernel/params.c,
    // param_set_copystring), and starts the program of exactly that name.
    if helper.trim() != helper {
        let message = format!(
            "DRBD on {name} is to run {helper:?} for its handlers; the white space in it belongs to the name, no such program exists, and every handler fails"
        );
        return refuse(message, remedy).at_most(gravest(side, freezes));
    }
    // Not known to be older: the graver meaning.
    let is_9 = side.drbd().is_none_or(|drbd| drbd >= [9, 0, 0]);
    if helper == "disabled" && is_9 {
        let fences = side.fencing().is_some();
        let then = match fences {
            true => " and takes a lost peer for fenced: it promotes a disk that may be outdated",
            false => "",
        };
        let message = format!("DRBD on {name} calls no handler (usermode_helper is disabled){then}");
        return refuse(message, remedy).at_most(gravest(side, fences));
    }
    let is = match &side.node.usermode_helper_kind {
        Known::Is(ProgramKind::Missing) => "does not exist",
        Known::Is(ProgramKind::NotExecutable) => "cannot be executed",
        Known::Is(ProgramKind::Directory | ProgramKind::NoFile) => "is no program",
        Known::Is(ProgramKind::Executable) | Known::Unknown(_) => return another(name, helper, remedy),
    };
    let message =
        format!("DRBD on {name} is to run {helper} for its handlers, which {is}, so that none is called");
    refuse(message, remedy).at_most(gravest(side, freezes))
}

/// A start here refuses for what is wrong here; the peer's helper is for when the roles have swapped.
fn gravest(side: &Side, refuses: bool) -> Severity {
    if refuses && side.here { Severity::Refuse } else { Severity::Warn }
}

/// A program that does something else with the events.
fn another(name: &str, helper: &str, remedy: String) -> Judgement {
    if helper.rsplit('/').next() == Some("drbdadm") {
        return Judgement::Pass;
    }
    let message = format!(
        "DRBD on {name} runs {helper} in place of drbdadm, so that the handlers in drbd.conf are not called"
    );
    refuse(message, remedy).at_most(Severity::Warn)
}
