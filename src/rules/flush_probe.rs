//! The flush that was tried on the device itself.
//!
//! An add tries it anew, after promotion and before blkback attaches, and
//! refuses when it fails: that is a step, because only a Primary can be opened.
//! This rule tells what the last trial said, to those who only ask.

use super::{Check, Group, Judgement, Rule, Severity, refuse};
use crate::facts::{Facts, Known};

/// The rule.
pub const RULE: Rule = Rule {
    id: "flush-probe",
    group: Group::Durability,
    severity: Severity::Refuse,
    fixed: true,
    reason: "a device that fails a flush before the guest has it fails the guest's too; precautionary: no lost data is needed to refuse what says by itself that it does not flush",
    remedy: "see what dmesg says of the disk below, then start the guest again, which tries anew",
    check: Check::Volume(check),
};

fn check(facts: &Facts) -> Judgement {
    let (Some(volume), Known::Is(Some(probe))) = (facts.volume(), &facts.last_flush) else {
        return Judgement::Pass;
    };
    match &probe.result {
        Ok(_) => Judgement::Pass,
        Err(why) => refuse(
            format!("the last flush that was tried on /dev/drbd{} did not work: {why}", volume.minor),
            RULE.remedy.into(),
        ),
    }
}
