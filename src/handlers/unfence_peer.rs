//! The peer is up to date again: what fence-peer has placed is taken back. What a program has
//! placed stays over a reboot of this node, so it is taken back whether that is on record or not.

use super::Step;
use super::drbd::{Decision, Subject};
use crate::config::handlers::{Method, Policy};

/// What to do.
pub fn plan(subject: &Subject, policy: &Policy) -> Decision {
    let resource = subject.resource.to_string();
    let command = |method: &Method| match method {
        Method::Program { unfence: Some(program), .. } => Some(program.words().to_vec()),
        _ => None,
    };
    let commands: Vec<Vec<String>> = policy.methods.iter().filter_map(command).collect();
    let was = match subject.facts.fenced.value() {
        Some(Some(fenced)) => format!(", which was fenced: {}", fenced.how),
        _ => String::new(),
    };
    let summary = format!("{resource} is up to date on {} again{was}", subject.peer());
    let variables = subject.event.variables.clone();
    Decision::goes_on(vec![Step::Unfence { resource, commands, variables }], false, summary)
}
