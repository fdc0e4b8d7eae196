//! What the peers say of themselves: asked for by a dry run, kept for the starts of guests.
//!
//! A start never asks: the peer may be down, and ssh waits longer than Xen does. Only for a guest that
//! moves in the peer is asked, for a moment (`source`).

use super::records;
use crate::config::AskPeer;
use crate::facts::storage::Device;
use crate::facts::{FACTS_VERSION, Known, NodeFacts, PeerAnswer, Resource, stack_of};
use crate::host::{Deadline, Host, program};
use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};
use std::ops::RangeInclusive;
use std::time::Duration;

/// How long a peer may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// No answer is larger: a host with a thousand resources stays far below it.
const LARGEST: usize = 16 << 20;
/// No part about one resource is larger: what a peer says of itself stands in each part, and must not make
/// a thousand times as much of one long answer. A volume on 20 devices takes 10 KiB.
const LARGEST_PART: usize = 256 << 10;

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
    ask_until(name, command, host.deadline().at_most(PATIENCE))
}

/// The same, until `deadline`.
pub fn ask_until(name: &str, command: &[String], deadline: Deadline) -> Result<NodeFacts> {
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

/// What a peer has said of itself, by resource: each of many takes its part without looking through all.
pub struct Told {
    /// Without the resources.
    facts: NodeFacts,
    resources: HashMap<String, Resource>,
    /// How long what stands in every part is as JSON: the node, and by name each device.
    node_length: usize,
    device_lengths: HashMap<String, usize>,
}

impl Told {
    /// Sorts what the peer has said.
    pub fn new(mut facts: NodeFacts) -> Told {
        let resources = match &mut facts.resources {
            Known::Is(resources) => std::mem::take(resources),
            Known::Unknown(_) => Vec::new(),
        };
        let by_name = |resource: Resource| (resource.name.clone(), resource);
        let device_length = |(name, device): (&String, &Device)| (name.clone(), name.len() + length(device));
        Told {
            resources: resources.into_iter().map(by_name).collect(),
            node_length: length(&facts.node),
            device_lengths: facts.devices.iter().map(device_length).collect(),
            facts,
        }
    }

    /// The peer's own name, where it tells that.
    pub fn host(&self) -> Option<&str> {
        self.facts.node.host.value().map(String::as_str)
    }

    /// The part about one resource, with the connections that lead to the peer. Too long a part is an error.
    pub fn about(&self, resource: &str, peer: &str, connections: Vec<String>, at: u64) -> Result<PeerAnswer> {
        let about = self.resources.get(resource).map_or(&[][..], std::slice::from_ref);
        let below = stack_of(&self.facts.devices, about);
        let of_device = |(name, _): (&&str, _)| self.device_lengths.get(*name).copied().unwrap_or(0);
        let long = self.node_length + length(&about) + below.iter().map(of_device).sum::<usize>();
        ensure!(long <= LARGEST_PART, "what {peer} says of {resource} is longer than {LARGEST_PART} bytes");
        let facts = NodeFacts {
            version: self.facts.version,
            at: self.facts.at,
            node: self.facts.node.clone(),
            resources: match &self.facts.resources {
                Known::Is(_) => Known::Is(about.to_vec()),
                Known::Unknown(why) => Known::Unknown(why.clone()),
            },
            devices: below.into_iter().map(|(name, device)| (name.to_string(), device.clone())).collect(),
        };
        Ok(PeerAnswer { peer: peer.to_string(), connections, at, facts })
    }
}

/// How long a value is as JSON.
fn length(value: &impl Serialize) -> usize {
    let mut length = Length(0);
    // Nothing fails to be counted: what has no JSON cannot have come as JSON.
    let _ = serde_json::to_writer(&mut length, value);
    length.0
}

/// Counts what is written to it.
struct Length(usize);

impl std::io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
