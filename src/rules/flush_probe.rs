//! The flush that was tried on the device itself.
//!
//! An add tries it anew, after promotion and before blkback attaches, and
//! refuses when it fails: that is a step, because only a Primary can be opened.
//! This rule tells what the last trial said, to those who only ask.

use super::{Check, Group, Judgement, Lowering, Rule, Severity, refuse, unknown};
use crate::facts::{Facts, Known};

/// The rule.
pub const RULE: Rule = Rule {
    id: "flush-probe",
    group: Group::Durability,
    severity: Severity::Refuse,
    lowering: Lowering::Never,
    reason: "a device that fails a flush before the guest has it fails the guest's too; precautionary: no lost data is needed to refuse what says by itself that it does not flush",
    remedy: "see what dmesg says of the disk below, then start the guest again, which tries anew",
    check: Check::Volume(check),
};

fn check(facts: &Facts) -> Judgement {
    let Some(volume) = facts.volume() else { return Judgement::Pass };
    let probe = match &facts.last_flush {
        Known::Is(Some(probe)) => probe,
        Known::Is(None) => return Judgement::Pass,
        Known::Unknown(why) => {
            let what = format!("what came of the last flush of /dev/drbd{}", volume.minor);
            return unknown(&what, why, "read it as root, or start the guest, which tries anew".into());
        }
    };
    match &probe.result {
        Ok(_) => Judgement::Pass,
        Err(why) => refuse(
            format!("the last flush that was tried on /dev/drbd{} did not work: {why}", volume.minor),
            RULE.remedy.into(),
        ),
    }
}
