//! `migrate DOMAIN HOST`: `xl migrate` with both hosts looked at beforehand, and the window seen
//! closed afterwards.
//!
//! The destination's own add judges again when the guest arrives there: what is asked here is asked
//! early, so that a guest does not travel in vain. It forces nothing and promotes nothing.

use crate::act;
use crate::config::Settings;
use crate::facts::{Known, PeerAnswer, Resource, Role};
use crate::gather::domains::{self, Domain};
use crate::gather::drbd::Purpose;
use crate::handlers::{Plan, Step};
use crate::host::{Deadline, Host, lock, output, program};
use crate::rules::{self, Group, Judgement, Severity, incoming};
use crate::target::Target;
use crate::{gather, hotplug, report};
use anyhow::{Context, Result, anyhow, bail, ensure};
use std::time::Duration;

/// How long both hosts may be asked.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long the window may take to close when the guest has arrived: blkback has to let go first.
const CLOSING: Duration = Duration::from_secs(30);
/// The pause between two looks at it.
const AGAIN: Duration = Duration::from_millis(250);

/// What is asked for.
pub struct Request {
    /// The guest's name or number.
    pub domain: String,
    /// The host that it goes to, as `xl migrate` takes it.
    pub to: String,
    /// What xl is to use in place of ssh (`xl migrate -s`).
    pub ssh: Option<String>,
}

/// Moves the guest; the exit code, or one with its error.
pub fn run(host: &mut Host, request: &Request, settings: &Settings) -> Result<i32, (i32, anyhow::Error)> {
    for word in [&request.domain, &request.to] {
        plain(word).map_err(|error| (2, error))?;
    }
    host.set_deadline(Deadline::after(PATIENCE));
    let (domain, resources) = look(host, request).map_err(|error| (3, error))?;
    for resource in &resources {
        leaves(resource).map_err(|error| (1, error))?;
        arrives(host, resource, request, settings).map_err(|error| (1, error))?;
    }
    let names: Vec<&str> = resources.iter().map(|resource| resource.name.as_str()).collect();
    output::say(&format!("{} moves to {} with {}", domain.name, request.to, names.join(", ")));
    let moved = program::run_for_the_user(&xl(request, &domain)).map_err(|error| (3, error))?;
    host.set_deadline(Deadline::after(CLOSING).despite_signals());
    for resource in resources.iter().filter(|resource| !always_two(resource)) {
        closed(host, &resource.name, settings).map_err(|error| (4, error))?;
    }
    tell(request, &domain, &names, moved)
}

/// Nothing that xl would take for an option, or that a terminal would take for anything.
fn plain(word: &str) -> Result<()> {
    let fine = !word.is_empty()
        && !word.starts_with('-')
        && word.bytes().all(|byte| byte.is_ascii_graphic() && !b"'\"\\$`;|&<>".contains(&byte));
    ensure!(fine, "{} is not the name of a guest or a host", report::one_line(word));
    Ok(())
}

/// The guest, and the resources of its disks: all of them, or it does not move.
fn look(host: &Host, request: &Request) -> Result<(Domain, Vec<Resource>)> {
    let missing = || format!("there is no guest {} on this host, see: xl list", request.domain);
    let domain = domains::find(host, &request.domain)?.with_context(missing)?;
    let mut resources = gather::resources(host, None, Purpose::Act)?;
    gather::name_peers(host, &mut resources);
    let major = gather::major(host)?;
    for disk in &domain.disks {
        let ours = disk.device.filter(|device| device.major == major).is_some_and(|device| {
            let mut volumes = resources.iter().flat_map(|resource| &resource.volumes);
            volumes.any(|volume| volume.minor == device.minor)
        });
        ensure!(
            ours,
            "{} has the disk {} ({}), which is not replicated and would not be there on {}; detach it or give it a DRBD resource",
            domain.name,
            disk.name,
            disk.params,
            request.to
        );
    }
    let used = |resource: &Resource| {
        let minors = domain.disks.iter().filter_map(|disk| disk.device).map(|device| device.minor);
        minors.into_iter().any(|minor| resource.volumes.iter().any(|volume| volume.minor == minor))
    };
    resources.retain(used);
    Ok((domain, resources))
}

/// What this host says of it.
fn leaves(resource: &Resource) -> Result<()> {
    let name = &resource.name;
    let [peer] = &resource.connections[..] else {
        return Err(anyhow!(
            "{name} has {} peers, and a guest moves between two nodes",
            resource.connections.len()
        ));
    };
    if let Judgement::Found(found) = incoming::obstacle(resource, peer) {
        return Err(anyhow!("{} [incoming]; {}", found.message, found.remedy));
    }
    ensure!(
        peer.peer_role != Role::Primary,
        "{name} is Primary on {} already; see what uses it there with: block-drbd status",
        peer.peer
    );
    Ok(())
}

/// What the other host says of it, where the settings say how it is asked.
fn arrives(host: &Host, resource: &Resource, request: &Request, settings: &Settings) -> Result<()> {
    let to = &request.to;
    let Some(how) = settings.peers().get(to) else {
        let line = format!("{to} is not asked beforehand: the settings have no [peers.{to}]");
        output::say(&report::one_line(&line));
        return Ok(());
    };
    let facts = gather::peers::ask(host, to, how)?;
    let connections = resource.connections.iter().map(|connection| connection.peer.clone()).collect();
    let answer = gather::peers::about(resource, to, connections, host.now(), &facts);
    let there = answer.facts.resources.value().into_iter().flatten().next();
    ensure!(there.is_some(), "{to} has no resource {0} up; run there: drbdadm up {0}", resource.name);
    durable(host, resource, answer, settings)
}

/// Whether a flush means something on the other host, as it is now.
fn durable(host: &Host, resource: &Resource, answer: PeerAnswer, settings: &Settings) -> Result<()> {
    for volume in &resource.volumes {
        let target = Target { resource: resource.name.clone(), volume: Some(volume.number) };
        let mut facts = gather::dry_run(host, target, Known::Is(Some(resource.clone())), settings);
        facts.peers = Known::Is(vec![answer.clone()]);
        let verdict = rules::evaluate(&facts, settings);
        let durability = |id| rules::find(id).is_some_and(|rule| rule.group == Group::Durability);
        let against =
            |finding: &&rules::Finding| finding.severity == Severity::Refuse && durability(finding.rule);
        if let Some(finding) = verdict.findings.iter().find(against) {
            return Err(anyhow!("{}", report::finding(finding)));
        }
    }
    Ok(())
}

fn xl(request: &Request, domain: &Domain) -> Vec<String> {
    let mut words = vec!["xl".to_string(), "migrate".into()];
    if let Some(ssh) = &request.ssh {
        words.extend(["-s".to_string(), ssh.clone()]);
    }
    words.extend([domain.name.clone(), request.to.clone()]);
    words
}

/// Says how it ended.
fn tell(
    request: &Request,
    domain: &Domain,
    names: &[&str],
    moved: bool,
) -> Result<i32, (i32, anyhow::Error)> {
    if moved {
        let line =
            format!("{} runs on {}, and {} is Secondary here", domain.name, request.to, names.join(", "));
        return output::answer(&format!("{line}\n")).map(|()| 0).map_err(|error| (3, error));
    }
    let remedy = "see what xl has said above, and: xl list, here and there";
    Err((
        4,
        anyhow!(
            "{} did not move to {}; two Primaries are not allowed any more; {remedy}",
            domain.name,
            request.to
        ),
    ))
}

/// Waits until the resource allows one Primary only, closing the window itself where it can.
fn closed(host: &mut Host, name: &str, settings: &Settings) -> Result<()> {
    let close = Step::CloseWindow { resource: name.into(), alone: true, hand_over: false };
    let plan = Plan { steps: vec![close], summary: String::new() };
    loop {
        let by = host.deadline();
        let outcome = {
            let _lock = lock::take(host, &hotplug::lock_path(name))?;
            act::run(host, &plan, settings, by)
        };
        let why = match (outcome.failure, outcome.pending) {
            (None, None) => return Ok(()),
            (Some(error), _) => format!("{error:#}"),
            (None, Some(pending)) => pending,
        };
        if host.pause(AGAIN).is_err() {
            let remedy = format!("see on both hosts: block-drbd status; then run: block-drbd release {name}");
            bail!("the migration is over, but {why}; {remedy}");
        }
    }
}

/// Whether two Primaries are allowed by the configuration, which is not ours to end.
fn always_two(resource: &Resource) -> bool {
    resource.connections.iter().any(|peer| peer.two_primaries == Known::Is(true))
}
