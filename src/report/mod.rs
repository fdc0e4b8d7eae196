//! Words for people: one sentence a refusal, one line an event.
//!
//! Decides nothing and reads nothing.

pub mod check;
mod paint;
mod path;
pub mod rules;
pub mod status;
pub mod status_json;
mod tree;

use crate::event::{Hotplug, VbdPath};
use crate::facts::{Backend, Facts};
use crate::printable::Line;
use crate::rules::{Finding, Found, Rule, Verdict};
use std::time::Duration;

/// Why the guest does not get the volume: verdict, reason with the rule's id, remedy.
pub fn refusal(facts: &Facts, verdict: &Verdict) -> String {
    let subject = match &facts.target {
        Ok(target) => target.to_string(),
        Err(_) => "the disk".to_string(),
    };
    let mut refusals = verdict.refusals();
    let Some(first) = refusals.next() else {
        return match &facts.major.value() {
            None => format!("refused: {subject}: DRBD's device number is unknown; run: modprobe drbd"),
            Some(_) => {
                format!("refused: {subject}: the toolstack has taken the disk away; start the guest again")
            }
        };
    };
    let others: Vec<&str> = refusals.map(|finding| finding.rule).collect();
    let others = match others.is_empty() {
        true => String::new(),
        false => format!("; also: {}", others.join(", ")),
    };
    format!("refused: {subject}: {} [{}]; {}{others}", first.found.message, first.rule, first.found.remedy)
}

/// That a rule stands against what was begun: a step has met what no look could have shown.
#[derive(Debug)]
pub struct Refused(String);

impl Refused {
    /// Because of what `rule` has found of `resource`.
    pub fn new(resource: &str, rule: &Rule, found: &Found) -> Refused {
        Refused(format!("refused: {resource}: {} [{}]; {}", found.message, rule.id, found.remedy))
    }
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

/// A finding as one line of the log, the resource first.
pub fn finding(finding: &Finding) -> Line {
    let field = |name: &str, value: &Option<String>| {
        value.as_ref().map(|value| format!(" {name}={value}")).unwrap_or_default()
    };
    let lowered = finding.lowered.as_ref().map(|reason| format!(" (lowered: {reason})")).unwrap_or_default();
    let line = format!(
        "resource={} rule={} severity={}{}: {}; {}{lowered}",
        finding.resource.as_deref().unwrap_or("none"),
        finding.rule,
        rules::word(finding.severity),
        field("node", &finding.node),
        finding.found.message,
        finding.found.remedy
    );
    one_line(&line)
}

/// The guest of a backend directory, by name where it has one.
pub fn guest(backend: Option<&Backend>, vbd: &VbdPath) -> String {
    match backend.and_then(|backend| backend.guest.as_ref()) {
        Some(name) => format!("guest {name} (domain {})", vbd.domid),
        None => format!("domain {}", vbd.domid),
    }
}

/// What did not work, when everything seemed in order; it has been undone.
pub fn failure(event: &Hotplug, error: &anyhow::Error) -> String {
    if error.is::<Refused>() {
        return error.to_string();
    }
    format!("failed: {} of domain {} device {}: {error:#}", event.action, event.vbd.domid, event.vbd.devid)
}

/// How long each step took, and everything together: `promote_ms=12.7 … total_ms=20.1`.
pub fn times(steps: &[(&'static str, Duration)], total: Duration) -> Line {
    let word = |name: &str, time: Duration| format!("{name}_ms={:.1}", time.as_secs_f64() * 1000.0);
    let mut words: Vec<String> = steps.iter().map(|(name, time)| word(name, *time)).collect();
    words.push(word("total", total));
    one_line(&words.join(" "))
}

/// `text` on one line of printable ASCII: what a guest, a peer or a
/// configuration put into it cannot steer the terminal that shows it.
pub fn one_line(text: &str) -> Line {
    Line::of(text)
}
