//! What the peers say of themselves: asked for by a dry run, kept for the starts of guests.
//!
//! A start never asks: the peer may be down, and ssh waits longer than Xen does.

use super::records;
use crate::config::AskPeer;
use crate::facts::{FACTS_VERSION, NodeFacts, PeerAnswer, Resource};
use crate::host::{Host, program};
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

/// How long a peer may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// No answer is larger: a host with a thousand resources stays far below it.
const LARGEST: usize = 16 << 20;

/// Where the last answers about a resource are. The name has been checked.
fn path(resource: &str) -> String {
    format!("/var/lib/block-drbd/peers/{resource}.json")
}

/// What the peers of a resource said when they were last asked; nothing when they never were.
pub fn kept(host: &Host, resource: &str) -> Result<Vec<PeerAnswer>> {
    let path = path(resource);
    let remedy = format!("run: rm {path} && block-drbd check {resource}");
    let stored = host.read_own(&path).map_err(|unusable| records::with_remedy(unusable, &remedy))?;
    let Some(stored) = stored else { return Ok(Vec::new()) };
    let answers: Vec<PeerAnswer> = serde_json::from_str(&stored.text)
        .with_context(|| format!("{path} cannot be understood; {remedy}"))?;
    let believe = |answer: &PeerAnswer| {
        known_version(answer.facts.version)?;
        each_once(&answer.facts)
    };
    answers.iter().try_for_each(believe).with_context(|| format!("{path} is not used; {remedy}"))?;
    Ok(answers)
}

/// Keeps what the peers of a resource have said.
pub fn keep(host: &mut Host, resource: &str, answers: &[PeerAnswer]) -> Result<()> {
    host.write_record(&path(resource), &answers)
}

/// Asks a peer.
pub fn ask(host: &Host, name: &str, how: &AskPeer) -> Result<NodeFacts> {
    ask_by(host, name, &program::of_root(host, how.command())?)
}

/// Asks a peer with this command.
pub fn ask_by(host: &Host, name: &str, command: &[String]) -> Result<NodeFacts> {
    let deadline = host.deadline().at_most(PATIENCE);
    let output = program::run(command, deadline, LARGEST)
        .with_context(|| format!("asking {name} with {:?}", command.join(" ")))?;
    let facts = parse(&output).with_context(|| format!("the answer of {name}"))?;
    let is = facts.node.host.value().map_or("", String::as_str);
    ensure!(
        is == name,
        "the host that was asked for {name} calls itself {is:?}; mend [peers.{name}] command"
    );
    Ok(facts)
}

/// Reads the output of `block-drbd facts --json`.
pub fn parse(text: &str) -> Result<NodeFacts> {
    const WRONG: &str = "it is not the output of block-drbd facts --json";
    // The version first: what another one has need not be understood.
    let Version { version } = serde_json::from_str(text).context(WRONG)?;
    known_version(version)?;
    let facts = serde_json::from_str(text).context(WRONG)?;
    each_once(&facts)?;
    Ok(facts)
}

/// What every version of the facts has.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

/// The versions of the facts that this program understands. Two hosts are not updated in the same
/// moment, and until both are a frozen guest must not wait for the other version: the version before
/// [`FACTS_VERSION`] stays in here when that is raised.
const UNDERSTOOD: RangeInclusive<u32> = 1..=FACTS_VERSION;

fn known_version(version: u32) -> Result<()> {
    let (first, last) = (UNDERSTOOD.start(), UNDERSTOOD.end());
    ensure!(
        UNDERSTOOD.contains(&version),
        "facts of version {version}, this program knows versions {first} to {last}; install the same block-drbd on both hosts"
    );
    Ok(())
}

/// Refuses facts that tell a resource or a volume twice: nothing says which of the two is true.
fn each_once(facts: &NodeFacts) -> Result<()> {
    let mut names = BTreeSet::new();
    for resource in facts.resources.value().into_iter().flatten() {
        let name = &resource.name;
        ensure!(names.insert(name), "it tells the resource {name} twice");
        let mut numbers = BTreeSet::new();
        for volume in &resource.volumes {
            ensure!(numbers.insert(volume.number), "it tells volume {} of {name} twice", volume.number);
        }
    }
    Ok(())
}

/// Of what a peer said, the part about one resource, with the connections that lead to it.
pub fn about(
    resource: &Resource,
    peer: &str,
    connections: Vec<String>,
    at: u64,
    facts: &NodeFacts,
) -> PeerAnswer {
    let mut facts = facts.clone();
    if let crate::facts::Known::Is(resources) = &mut facts.resources {
        resources.retain(|other| other.name == resource.name);
    }
    facts.keep_devices_of_resources();
    PeerAnswer { peer: peer.to_string(), connections, at, facts }
}
