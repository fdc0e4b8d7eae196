//! `migrate DOMAIN HOST`: `xl migrate` with both hosts looked at beforehand, and the window seen
//! closed afterwards.
//!
//! The destination's own add judges again when the guest arrives there: what is asked here is asked
//! early, so that a guest does not travel in vain. It forces nothing and promotes nothing.

use crate::act;
use crate::config::{AskPeer, Settings};
use crate::facts::{Connection, Known, PeerAnswer, Resource, Role, User, Volume};
use crate::gather::domains::{self, Disk, Domain};
use crate::gather::drbd::Purpose;
use crate::handlers::{Plan, Step};
use crate::host::{Deadline, Host, lock, output, program};
use crate::rules::{self, Group, Judgement, Severity, incoming};
use crate::target::Target;
use crate::{gather, hotplug, report};
use anyhow::{Context, Result, anyhow, bail, ensure};
use std::path::Path;
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
    let domain = find(host, request).map_err(|error| (3, error))?;
    let resources = resources(host).map_err(|error| (3, error))?;
    let resources = replicated(&domain, resources, &request.to).map_err(|error| (1, error))?;
    resources.iter().try_for_each(leaves).map_err(|error| (1, error))?;
    resources
        .iter()
        .try_for_each(|resource| is_alone(host, &domain, resource))
        .map_err(|error| (1, error))?;
    arrives(host, &resources, request, settings).map_err(|error| (1, error))?;
    announce(host, &domain, &resources, request, settings);
    let names: Vec<&str> = resources.iter().map(|resource| resource.name.as_str()).collect();
    output::say(&report::one_line(&format!(
        "{} moves to {} with {}",
        domain.name,
        request.to,
        names.join(", ")
    )));
    let xl = program::of_root(host, &xl(request, &domain, settings)).map_err(|error| (2, error))?;
    let moved = program::run_for_the_user(&xl).map_err(|error| (3, error))?;
    host.set_deadline(Deadline::after(CLOSING).despite_signals());
    for resource in &resources {
        over(host, resource, moved, settings).map_err(|error| (4, error))?;
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

fn find(host: &Host, request: &Request) -> Result<Domain> {
    let missing = || format!("there is no guest {} on this host, see: xl list", request.domain);
    domains::find(host, &request.domain)?.with_context(missing)
}

fn resources(host: &Host) -> Result<Vec<Resource>> {
    let mut resources = gather::resources(host, None, Purpose::Act)?;
    gather::name_peers(host, &mut resources);
    Ok(resources)
}

/// The resources of the guest's disks: of all of them, or it does not move.
fn replicated(domain: &Domain, mut resources: Vec<Resource>, to: &str) -> Result<Vec<Resource>> {
    let has = |resource: &Resource, disk: &Disk| {
        resource.volumes.iter().any(|volume| Some(volume.minor) == disk.drbd_minor)
    };
    for disk in &domain.disks {
        ensure!(
            resources.iter().any(|resource| has(resource, disk)),
            "{} has the disk {} ({}), which is not replicated and would not be there on {to}; detach it or give it a DRBD resource",
            domain.name,
            disk.name,
            report::one_line(&disk.params)
        );
    }
    resources.retain(|resource| domain.disks.iter().any(|disk| has(resource, disk)));
    Ok(resources)
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

/// Another guest that stays would keep the resource Primary here: the window would not close, and
/// neither guest could start again.
fn is_alone(host: &Host, domain: &Domain, resource: &Resource) -> Result<()> {
    let name = &resource.name;
    let users = match gather::of_resource(host, name).users {
        Known::Is(users) => users,
        Known::Unknown(why) => bail!("which guests have {name} is unknown: {why}; see that xenstored runs"),
    };
    let other = |user: &&User| {
        user.live && user.domid != domain.domid && user.identity().target != Some(domain.domid)
    };
    match users.iter().find(other) {
        None => Ok(()),
        Some(user) => bail!(
            "{} has a volume of {name}, too, and a resource moves as a whole [resource-shared]; shut that guest down first with: xl shutdown {}",
            user.called(),
            user.domid
        ),
    }
}

/// What the other host says of it, where the settings say how it is asked.
fn arrives(host: &Host, resources: &[Resource], request: &Request, settings: &Settings) -> Result<()> {
    let to = &request.to;
    // The settings of a directory that somebody sent must not run a program here.
    let Some(how) = settings.peers().get(to).filter(|_| host.root() == Path::new("/")) else {
        let line = format!("{to} is not asked beforehand: the settings have no [peers.{to}]");
        output::say(&report::one_line(&line));
        return Ok(());
    };
    let told = gather::peers::Told::new(gather::peers::ask(host, to, how)?);
    resources.iter().try_for_each(|resource| {
        let connections = resource.connections.iter().map(|connection| connection.peer.clone()).collect();
        let answer = told.about(&resource.name, to, connections, host.now())?;
        let there = answer.facts.resources.value().into_iter().flatten().next();
        ensure!(there.is_some(), "{to} has no resource {0} up; run there: drbdadm up {0}", resource.name);
        durable(host, resource, answer, settings)
    })
}

/// Tells the other host beforehand which guest comes with which volumes, where the settings say how.
/// Where that fails, the other host asks when the guest arrives.
fn announce(host: &Host, domain: &Domain, resources: &[Resource], request: &Request, settings: &Settings) {
    let to = &request.to;
    let Some(command) = settings.peers().get(to).and_then(AskPeer::expect_command) else { return };
    let announced = expectation(domain, resources).and_then(|words| {
        let command = program::of_root(host, &[command, &words].concat())?;
        program::run(&command, host.deadline(), 1 << 16).map(drop)
    });
    if let Err(error) = announced {
        let line = format!("{} is not announced to {to}, which asks when it arrives: {error:#}", domain.name);
        output::say(&report::one_line(&line));
    }
}

/// The guest and its volumes, as `block-drbd expect` takes them.
fn expectation(domain: &Domain, resources: &[Resource]) -> Result<Vec<String>> {
    let uuid = domain.vm.as_deref().and_then(|vm| vm.strip_prefix("/vm/"));
    let uuid = uuid.context("xenstore has no vm node for it")?.to_string();
    // ssh has a shell on the other host take the words apart.
    let of_a_word = |byte: u8| byte.is_ascii_alphanumeric() || b"._+-".contains(&byte);
    let is_plain = |word: &str| !word.starts_with('-') && word.bytes().all(of_a_word);
    ensure!(is_plain(&uuid) && is_plain(&domain.name), "its name has more than letters, digits and . _ + -");
    let mut words = vec![uuid, domain.domid.to_string(), domain.name.clone()];
    for resource in resources {
        let disk = |volume: &Volume| domain.disks.iter().find(|disk| disk.drbd_minor == Some(volume.minor));
        for (volume, disk) in resource.volumes.iter().filter_map(|volume| Some((volume, disk(volume)?))) {
            let Known::Is(generations) = volume.generations else {
                bail!("the generation of {} is not known", resource.name)
            };
            let (name, generation) = (&resource.name, generations.current_uuid);
            words.push(format!("{name}/{}={generation:016X}:{}", volume.number, disk.devid));
        }
    }
    Ok(words)
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

/// The guest goes by its number: xl takes a name that begins with `-` for an option, and a name of
/// digits for the number of another guest.
fn xl(request: &Request, domain: &Domain, settings: &Settings) -> Vec<String> {
    let mut words = vec![settings.xl().to_string(), "migrate".into()];
    if let Some(ssh) = &request.ssh {
        words.extend(["-s".to_string(), ssh.clone()]);
    }
    words.extend([domain.domid.to_string(), request.to.clone()]);
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
        return output::answer(&report::one_line(&line).into()).map(|()| 0).map_err(|error| (3, error));
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

/// Waits until the resource is let go here, if the guest has moved, and allows one Primary only;
/// closes the window itself where it can.
fn over(host: &mut Host, resource: &Resource, moved: bool, settings: &Settings) -> Result<()> {
    let name = &resource.name;
    loop {
        let left = if always_two(resource) { Ok(None) } else { close(host, name, settings) };
        let left = left.and_then(|left| match left {
            None if moved => still_primary(host, name),
            left => Ok(left),
        });
        let why = match left {
            Ok(None) => return Ok(()),
            Ok(Some(why)) => why,
            Err(error) => format!("{error:#}"),
        };
        if host.pause(AGAIN).is_err() {
            let remedy = format!("see on both hosts: block-drbd status; then run: block-drbd release {name}");
            bail!("the migration is over, but {why}; {remedy}");
        }
    }
}

/// Ends the window, or says why not yet.
fn close(host: &mut Host, name: &str, settings: &Settings) -> Result<Option<String>> {
    let close = Step::CloseWindow { resource: name.into(), alone: true, kept: None, hand_over: false };
    let _lock = lock::take(host, &hotplug::lock_path(name))?;
    let outcome = act::run(host, &Plan::of(vec![close]), settings, host.deadline());
    outcome.failure.map_or(Ok(outcome.pending), Err)
}

fn still_primary(host: &Host, name: &str) -> Result<Option<String>> {
    let resource = gather::resource(host, name)?;
    let primary = resource.is_some_and(|resource| resource.role == Role::Primary);
    Ok(primary.then(|| format!("{name} is still Primary here")))
}

/// Whether two Primaries are allowed by the configuration, which is not ours to end.
fn always_two(resource: &Resource) -> bool {
    resource.connections.iter().any(Connection::allows_two_primaries)
}
