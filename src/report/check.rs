//! The answer of a dry run: verdict, write path, findings; as text or as JSON.
//!
//! The JSON is a promise (tests/fixtures/check.json holds it); the text is for people.

use super::paint::Paint;
use super::tree::{self, Node};
use super::{one_line, path};
use crate::check::{Answer, Subject};
use crate::facts::{Known, NodeFacts};
use crate::printable::Text;
use crate::rules::{self, Finding, Severity};
use anyhow::{Context, Result};
use serde::Serialize;
use std::fmt::Write;

/// The answer, put together subject by subject: of each only what is printed is kept.
pub struct Report {
    form: Form,
    answer: Answer,
    parts: Vec<String>,
}

enum Form {
    Json,
    Text(Paint),
}

#[derive(Serialize)]
struct SubjectJson<'a> {
    name: &'a str,
    verdict: Answer,
    findings: &'a [Finding],
}

impl Report {
    /// `{"version":1,"verdict":…,"subjects":[…]}` on one line, and its end.
    pub fn json() -> Report {
        Report { form: Form::Json, answer: Answer::Allowed, parts: Vec::new() }
    }

    /// The same for people; in colour on a terminal.
    pub fn text(terminal: bool) -> Report {
        Report { form: Form::Text(Paint::new(terminal)), answer: Answer::Allowed, parts: Vec::new() }
    }

    /// Adds one subject.
    pub fn add(&mut self, subject: &Subject) {
        self.answer = self.answer.max(subject.answer);
        self.parts.push(match &self.form {
            Form::Json => subject_json(subject),
            Form::Text(paint) => subject_text(subject, paint),
        });
    }

    /// The worst answer of all subjects.
    pub fn answer(&self) -> Answer {
        self.answer
    }

    /// All of it.
    pub fn finish(self) -> Text {
        match &self.form {
            Form::Json => {
                let verdict = json_of(&self.answer);
                Text::json(&format!(
                    "{{\"version\":1,\"verdict\":{verdict},\"subjects\":[{}]}}\n",
                    self.parts.join(",")
                ))
            }
            Form::Text(_) if self.parts.is_empty() => Text::of("nothing to check: DRBD has no resource up\n"),
            Form::Text(paint) => paint.finish(&self.parts.join("\n")),
        }
    }
}

fn subject_json(subject: &Subject) -> String {
    let Subject { name, answer, findings, .. } = subject;
    json_of(&SubjectJson { name, verdict: *answer, findings })
}

fn json_of(value: &impl Serialize) -> String {
    let json = serde_json::to_string(value);
    json.unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"))
}

fn subject_text(subject: &Subject, paint: &Paint) -> String {
    let mut text = format!("{}\n", verdict_line(subject, paint));
    for root in write_paths(subject) {
        text.push('\n');
        text += &tree::draw(&root, paint);
    }
    for note in subject.guest.iter().flat_map(|guest| &guest.config.not_evaluated) {
        let _ = write!(text, "\nnot evaluated: line {}: {}\n", note.place.line, one_line(&note.what));
    }
    for finding in by_severity(&subject.findings) {
        text.push('\n');
        text += &finding_text(finding, paint);
    }
    text
}

fn verdict_line(subject: &Subject, paint: &Paint) -> String {
    let name = one_line(&subject.name);
    let count = |severity| subject.findings.iter().filter(|finding| finding.severity == severity).count();
    let warnings = match count(Severity::Warn) {
        0 => String::new(),
        1 => ", 1 warning".into(),
        more => format!(", {more} warnings"),
    };
    let word = match subject.answer {
        Answer::Allowed => paint.good("allowed"),
        Answer::Unknown => paint.bad("unknown"),
        Answer::Refused => paint.bad("refused"),
    };
    let first =
        by_severity(&subject.findings).into_iter().find(|finding| finding.severity == Severity::Refuse);
    match first {
        None => format!("{word}: {name}{warnings}"),
        Some(first) => {
            format!("{word}: {name}: {} [{}]{warnings}", one_line(&first.found.message), first.rule)
        }
    }
}

/// What refuses comes first, what is known before what is not, and then the order of the rules.
fn by_severity(findings: &[Finding]) -> Vec<&Finding> {
    let mut findings: Vec<&Finding> = findings.iter().collect();
    let place = |finding: &Finding| rules::ALL.iter().position(|rule| rule.id == finding.rule);
    findings
        .sort_by_key(|finding| (std::cmp::Reverse(finding.severity), finding.found.unknown, place(finding)));
    findings
}

fn finding_text(finding: &Finding, paint: &Paint) -> String {
    let word = match finding.severity {
        Severity::Refuse => paint.bad("refuse"),
        Severity::Warn => paint.doubtful("warn"),
        Severity::Info => "info".into(),
    };
    let mut text = format!("{word} {}: {}\n", finding.rule, one_line(&finding.found.message));
    if let Some(rule) = rules::find(finding.rule) {
        let _ = writeln!(text, "  why: {}", rule.reason);
    }
    let _ = writeln!(text, "  do:  {}", one_line(&finding.found.remedy));
    if let Some(reason) = &finding.lowered {
        let _ = writeln!(text, "  lowered by the settings: {}", one_line(reason));
    }
    text
}

fn write_paths(subject: &Subject) -> Vec<Node> {
    let Subject { findings, volumes, .. } = subject;
    match &subject.guest {
        Some(guest) => vec![path::of_guest(guest, volumes, findings)],
        None => volumes.iter().filter_map(|facts| path::of_volume(facts, findings)).collect(),
    }
}

/// What `block-drbd facts --json` prints, and what a peer reads.
pub fn facts_json(facts: &NodeFacts) -> Result<Text> {
    let text = serde_json::to_string_pretty(facts).context("writing the facts")?;
    Ok(Text::json(&(text + "\n")))
}

/// What `block-drbd facts` prints without `--json`: the hosts and the stacks, for people.
pub fn facts(facts: &NodeFacts) -> Text {
    let node = &facts.node;
    let known = |value: &Known<String>| match value {
        Known::Is(text) => one_line(text).to_string(),
        Known::Unknown(why) => format!("unknown ({})", one_line(why)),
    };
    let xen = match &node.xen {
        Known::Is((major, minor)) => format!("{major}.{minor}"),
        Known::Unknown(why) => format!("unknown ({})", one_line(why)),
    };
    let mut text = format!(
        "host {}\nkernel {}\nxen {xen}\ndrbd {}\n",
        known(&node.host),
        known(&node.kernel),
        known(&node.drbd)
    );
    match &facts.resources {
        Known::Unknown(why) => {
            let _ = writeln!(text, "resources unknown: {}", one_line(why));
        }
        Known::Is(resources) => {
            for resource in resources {
                text += &tree::draw(&path::of_resource(resource, &facts.devices), &Paint::new(false));
            }
        }
    }
    Text::of(&text)
}
