//! When a guest may have a volume, and why not.
//!
//! Pure: a rule reads [`Facts`] and nothing else. To add a rule: a file
//! `src/rules/its_id.rs` with its reason, its check and its decision table,
//! its line in [`ALL`], its paragraph in the README, and one scenario in which
//! it refuses and one in which it does not.

mod disk_state;
mod held;
mod io_suspended;
mod mounted;
mod other_guest;
mod peer_primary;
mod resource_name;
mod resource_unknown;
mod standalone;
mod swap;
#[cfg(test)]
mod tests;
mod volume;

use crate::facts::Facts;
use serde::Serialize;

/// One reason not to give a volume to a guest.
pub struct Rule {
    /// Its name, which never changes.
    pub id: &'static str,
    /// Why it exists, in one sentence.
    pub reason: &'static str,
    /// Looks at the facts.
    pub check: fn(&Facts) -> Judgement,
}

/// What a rule says of some facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// There is nothing against it, or the rule has nothing to look at
    /// because an earlier one refuses already.
    Pass,
    /// It refuses.
    Refuse(Refusal),
}

/// Why a rule refuses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// What is wrong: a clause with the names, lower case.
    pub message: String,
    /// What to do about it: a clause with the command.
    pub remedy: String,
    /// Whether it could not be found out, rather than being known to be wrong.
    pub unknown: bool,
    /// Whether it may pass by itself within seconds, so that waiting is worth it.
    pub heals: bool,
}

/// A refusal and the rule it comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule's id.
    pub rule: &'static str,
    /// What it says.
    #[serde(flatten)]
    pub refusal: Refusal,
}

/// Whether the guest may have the volume. An empty list of findings is a yes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[must_use]
pub struct Verdict {
    /// Every reason against it, in the order of [`ALL`].
    pub findings: Vec<Finding>,
}

/// Every rule; a rule may rely on those before it.
pub const ALL: &[Rule] = &[
    resource_name::RULE,
    resource_unknown::RULE,
    volume::RULE,
    peer_primary::RULE,
    disk_state::RULE,
    standalone::RULE,
    io_suspended::RULE,
    mounted::RULE,
    swap::RULE,
    held::RULE,
    other_guest::RULE,
];

/// Asks every rule.
pub fn evaluate(facts: &Facts) -> Verdict {
    let finding = |rule: &Rule| match (rule.check)(facts) {
        Judgement::Pass => None,
        Judgement::Refuse(refusal) => Some(Finding { rule: rule.id, refusal }),
    };
    Verdict { findings: ALL.iter().filter_map(finding).collect() }
}

impl Verdict {
    /// Whether nothing stands against it.
    pub fn allows(&self) -> bool {
        self.findings.is_empty()
    }

    /// Whether everything that stands against it may pass by itself.
    pub fn heals(&self) -> bool {
        !self.allows() && self.findings.iter().all(|finding| finding.refusal.heals)
    }
}

/// A refusal for what is known to be wrong.
fn refuse(message: String, remedy: String) -> Judgement {
    Judgement::Refuse(Refusal { message, remedy, unknown: false, heals: false })
}

/// A refusal for what may pass by itself.
fn refuse_for_now(message: String, remedy: String) -> Judgement {
    Judgement::Refuse(Refusal { message, remedy, unknown: false, heals: true })
}

/// A refusal for what could not be found out.
fn unknown(what: &str, why: &str, remedy: String) -> Judgement {
    let message = format!("{what} is unknown: {why}");
    Judgement::Refuse(Refusal { message, remedy, unknown: true, heals: false })
}
