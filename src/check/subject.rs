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

/// Judges everything that is asked about and hands each subject to `tell`, which keeps of it what it
/// needs: the facts about a thousand resources do not stand in memory at once. The error comes with its exit code.
pub fn each(
    machine: &mut Machine,
    question: &Question,
    tell: &mut dyn FnMut(&Subject),
) -> Result<(), (i32, anyhow::Error)> {
    let mut paths = Vec::new();
    if question.all {
        let resources = match &machine.resources {
            Known::Is(resources) => resources.clone(),
            Known::Unknown(why) => return Err((3, anyhow!("{why}"))),
        };
        resources.iter().for_each(|resource| of_resource(machine, resource, tell));
        paths.extend(toolstack::configurations(machine.host).map_err(|error| (3, error))?);
    }
    for word in &question.subjects {
        if is_path(word) {
            paths.push(machine.host.given_path(word).map_err(|error| (2, error))?);
            continue;
        }
        let target = Target::parse(word.as_bytes())
            .map_err(|why| (2, anyhow!("{}: {why}", crate::report::one_line(word))))?;
        of_target(machine, target, tell);
    }
    guest::each(machine, &paths, tell).map_err(|error| (2, error))
}

/// Whether a word is the path of a configuration; a resource has no such name.
fn is_path(word: &str) -> bool {
    let volume =
        word.split_once('/').is_some_and(|(_, number)| number.bytes().all(|byte| byte.is_ascii_digit()));
    word.ends_with(".cfg") || (word.contains('/') && !volume)
}

/// One subject a volume, unless one volume is named.
fn of_target(machine: &mut Machine, target: Target, tell: &mut dyn FnMut(&Subject)) {
    match (machine.resource(&target.resource), target.volume) {
        (Some(resource), None) => of_resource(machine, &resource, tell),
        (resource, _) => tell(&of_volume(machine, target, resource)),
    }
}

fn of_resource(machine: &mut Machine, resource: &Resource, tell: &mut dyn FnMut(&Subject)) {
    let several = resource.volumes.len() > 1;
    let mut volumes: Vec<Option<u32>> =
        resource.volumes.iter().map(|volume| several.then_some(volume.number)).collect();
    if volumes.is_empty() {
        volumes.push(None);
    }
    for volume in volumes {
        let target = Target { resource: resource.name.clone(), volume };
        tell(&of_volume(machine, target, Some(resource.clone())));
    }
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
    let mut facts = gather::dry_run_of_many(machine.host, &machine.around, target, known, machine.settings);
    if let Some(resource) = &resource {
        facts.peers = machine.peers.of(machine.host, resource, machine.settings);
        // They were asked after the host was looked at: no answer is from the future.
        facts.now = machine.host.now();
    }
    facts
}
