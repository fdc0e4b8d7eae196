//! One thing that a dry run is asked about, and the answer.

use super::{Machine, Question, guest};
use crate::facts::{Facts, Known, Resource};
use crate::gather::{self, toolstack};
use crate::guest::GuestFacts;
use crate::rules::{self, Finding, Severity};
use crate::target::Target;
use anyhow::anyhow;
use serde::Serialize;

/// What an add would do. The later, the worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// The guest would get it.
    Allowed,
    /// It cannot be told, so that the guest would not get it.
    Unknown,
    /// The guest would not get it.
    Refused,
}

/// A volume or a guest, judged.
pub struct Subject {
    /// The resource, the volume or the path.
    pub name: String,
    /// What an add would do.
    pub answer: Answer,
    /// Everything found.
    pub findings: Vec<Finding>,
    /// The volumes that it is about.
    pub volumes: Vec<Facts>,
    /// The configuration that it is about, where it is one.
    pub guest: Option<GuestFacts>,
}

impl Answer {
    /// As the program exits.
    pub fn exit_code(self) -> i32 {
        match self {
            Answer::Allowed => 0,
            Answer::Refused => 1,
            Answer::Unknown => 3,
        }
    }

    /// What follows from findings.
    pub fn of(findings: &[Finding]) -> Answer {
        let mut refusals = findings.iter().filter(|finding| finding.severity == Severity::Refuse).peekable();
        match (refusals.peek().is_some(), refusals.all(|finding| finding.found.unknown)) {
            (false, _) => Answer::Allowed,
            (true, true) => Answer::Unknown,
            (true, false) => Answer::Refused,
        }
    }
}

/// Judges everything that is asked about. The error comes with its exit code.
pub fn all(machine: &mut Machine, question: &Question) -> Result<Vec<Subject>, (i32, anyhow::Error)> {
    let mut subjects = Vec::new();
    let mut paths = Vec::new();
    if question.all {
        let resources = match &machine.resources {
            Known::Is(resources) => resources.clone(),
            Known::Unknown(why) => return Err((3, anyhow!("{why}"))),
        };
        subjects.extend(resources.iter().flat_map(|resource| of_resource(machine, resource)));
        paths.extend(toolstack::configurations(machine.host).map_err(|error| (3, error))?);
    }
    for word in &question.subjects {
        if is_path(word) {
            paths.push(machine.host.given_path(word).map_err(|error| (2, error))?);
            continue;
        }
        let target = Target::parse(word.as_bytes())
            .map_err(|why| (2, anyhow!("{}: {why}", crate::report::one_line(word))))?;
        subjects.extend(of_target(machine, target));
    }
    subjects.extend(guest::all(machine, &paths).map_err(|error| (2, error))?);
    Ok(subjects)
}

/// Whether a word is the path of a configuration; a resource has no such name.
fn is_path(word: &str) -> bool {
    let volume =
        word.split_once('/').is_some_and(|(_, number)| number.bytes().all(|byte| byte.is_ascii_digit()));
    word.ends_with(".cfg") || (word.contains('/') && !volume)
}

/// One subject a volume, unless one volume is named.
fn of_target(machine: &mut Machine, target: Target) -> Vec<Subject> {
    match (machine.resource(&target.resource), target.volume) {
        (Some(resource), None) => of_resource(machine, &resource),
        (resource, _) => vec![of_volume(machine, target, resource)],
    }
}

fn of_resource(machine: &mut Machine, resource: &Resource) -> Vec<Subject> {
    let several = resource.volumes.len() > 1;
    let mut volumes: Vec<Option<u32>> =
        resource.volumes.iter().map(|volume| several.then_some(volume.number)).collect();
    if volumes.is_empty() {
        volumes.push(None);
    }
    let target = |volume| Target { resource: resource.name.clone(), volume };
    volumes.into_iter().map(|volume| of_volume(machine, target(volume), Some(resource.clone()))).collect()
}

fn of_volume(machine: &mut Machine, target: Target, resource: Option<Resource>) -> Subject {
    let name = target.to_string();
    let facts = volume_facts(machine, target, resource);
    let findings = rules::evaluate(&facts, machine.settings).findings;
    Subject { name, answer: Answer::of(&findings), findings, volumes: vec![facts], guest: None }
}

/// The facts about a volume, with what its peers say now.
pub(super) fn volume_facts(machine: &mut Machine, target: Target, resource: Option<Resource>) -> Facts {
    let known = match &machine.resources {
        Known::Is(_) => Known::Is(resource.clone()),
        Known::Unknown(why) => Known::Unknown(why.clone()),
    };
    let mut facts = gather::dry_run(machine.host, target, known, machine.settings);
    if let Some(resource) = &resource {
        facts.peers = machine.peers.of(machine.host, resource, machine.settings);
        // They were asked after the host was looked at: no answer is from the future.
        facts.now = machine.host.now();
    }
    facts
}
