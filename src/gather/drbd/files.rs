//! DRBD's resources out of files, where the module cannot be asked by netlink:
//! DRBD 8.3, a process that is not root, a directory in place of the machine.
//!
//! Two sources, never mixed: what `drbdsetup status --json` and `show --json`
//! printed, kept in `drbd/status.json` and `drbd/show.json`; else /proc/drbd for
//! the states with drbd.conf for names and options. The second is weaker: what
//! was configured need not be in force, and nobody should act on it where the
//! module can be asked.

use super::conf::{self, Conf, HostKind, HostSection, Options, Resource as Section};
use super::proc::{self, Minor, ProcDrbd, States, Version};
use super::state84::{agreed, highest};
use super::{NO_DISK, NO_NETWORK, drbdsetup};
use crate::facts::{
    Connection, DiskState, Fencing, Known, PeerVolume, Protocol, Resource, Role, Source, Suspended, Volume,
    WriteOrdering,
};
use crate::gather::node;
use crate::host::Host;
use anyhow::{Context, Result, bail};
use std::collections::{BTreeMap, HashMap, HashSet};

/// What `drbdsetup status --json` printed.
pub const STATUS: &str = "/drbd/status.json";

/// What `drbdsetup show --json` printed.
pub const SHOW: &str = "/drbd/show.json";

/// The resources that the files tell of: all, or the one named `only`.
pub fn resources(host: &Host, only: Option<&str>) -> Result<Vec<Resource>> {
    let mut found = match host.read_optional(STATUS)? {
        Some(status) => {
            let show = host.read_text(SHOW).map_err(|error| format!("{error:#}"));
            drbdsetup::resources(&status, show.as_deref().map_err(String::as_str))?
        }
        None => from_proc(host)?,
    };
    found.retain(|resource| only.is_none_or(|name| name == resource.name));
    Ok(found)
}

fn from_proc(host: &Host) -> Result<Vec<Resource>> {
    let text = host.read_optional("/proc/drbd")?;
    let text = text.context("there is neither /drbd/status.json nor /proc/drbd")?;
    let found = proc::parse(&text)?;
    if found.version.is_9() && found.minors.is_empty() {
        bail!(
            "the /proc/drbd of DRBD 9 tells no states, and there is no drbd/status.json: \
             put what drbdsetup status --json prints there"
        );
    }
    let conf = conf::load(host);
    let hostname = node::host_name(host);
    let why = |error: &anyhow::Error| format!("{error:#}");
    Ok(assemble(&found, conf.as_ref().map_err(why), hostname.as_deref().map_err(why)))
}

/// A resource of drbd.conf that is one of this host's.
struct Local<'a> {
    section: Section<'a>,
    here: HostSection<'a>,
    /// The other host, where there is exactly one.
    peer: Option<&'a str>,
}

/// This host's resources, and which of them has a minor.
struct Configured<'a> {
    locals: Vec<Local<'a>>,
    /// Where in `locals`, and the number of the volume; or why that is not certain.
    minors: HashMap<u32, Result<(usize, u32), String>>,
    /// What is wrong with a resource that may have any minor.
    broken: Option<String>,
}

/// Puts the states and the configuration together. Pure.
pub fn assemble(
    found: &ProcDrbd,
    conf: Result<&Conf, String>,
    hostname: Result<&str, String>,
) -> Vec<Resource> {
    let configured = conf.and_then(|conf| configured(conf, hostname?).map_err(|error| error.to_string()));
    let mut groups: BTreeMap<usize, Vec<(u32, &Minor)>> = BTreeMap::new();
    let mut resources = Vec::new();
    for minor in &found.minors {
        let of = configured.as_ref().map_err(String::clone);
        match of.and_then(|configured| configured.of_minor(minor.number)) {
            Ok((at, volume)) => groups.entry(at).or_default().push((volume, minor)),
            Err(why) => {
                let name = format!("minor-{}", minor.number);
                resources.push(resource(name, vec![(0, minor)], Err(&why), found.version));
            }
        }
    }
    for (at, mut volumes) in groups {
        let Some(local) = configured.as_ref().ok().and_then(|configured| configured.locals.get(at)) else {
            continue;
        };
        volumes.sort_by_key(|(number, _)| *number);
        resources.push(resource(local.section.name().into(), volumes, Ok(local), found.version));
    }
    resources
}

fn configured<'a>(conf: &'a Conf, hostname: &str) -> Result<Configured<'a>, crate::place::Error> {
    let mut broken = None;
    let mut hosts = Vec::new();
    for section in conf.resources()? {
        match section.hosts() {
            Ok(of) => hosts.push((section, of)),
            Err(error) => broken = broken.or(Some(error.to_string())),
        }
    }
    let has_us = |(_, hosts): &&(Section, Vec<HostSection>)| hosts.iter().any(|host| host.is(hostname));
    let ours: HashSet<&str> = hosts.iter().filter(has_us).map(|(section, _)| section.name()).collect();
    let mut configured = Configured { locals: Vec::new(), minors: HashMap::new(), broken };
    for (section, hosts) in hosts {
        if let Some(at) = local(&hosts, hostname, &ours) {
            configured.add(section, hosts, at);
        }
    }
    Ok(configured)
}

/// Which of a resource's hosts is this one. A floating one is told by its address, which
/// no file knows: any will do where they do not differ.
fn local(hosts: &[HostSection], hostname: &str, ours: &HashSet<&str>) -> Option<usize> {
    let named = hosts.iter().position(|host| host.is(hostname));
    let stacked = |host: &HostSection| matches!(host.kind, HostKind::Stacked(below) if ours.contains(below));
    let floating = |host: &HostSection| matches!(host.kind, HostKind::Floating(_));
    let alike = hosts.iter().all(floating) && hosts.windows(2).all(|two| two[0].volumes == two[1].volumes);
    named.or_else(|| hosts.iter().position(stacked)).or((alike && !hosts.is_empty()).then_some(0))
}

impl<'a> Configured<'a> {
    fn add(&mut self, section: Section<'a>, mut hosts: Vec<HostSection<'a>>, at: usize) {
        let here = hosts.swap_remove(at);
        let peer = match (&here.kind, &hosts[..]) {
            (HostKind::Floating(_), _) => None,
            (_, [peer]) => Some(peer.name()),
            _ => None,
        };
        for (&number, volume) in &here.volumes {
            let Some(minor) = volume.minor else { continue };
            let entry = self.minors.entry(minor).and_modify(|other| {
                *other = Err(format!("drbd.conf has more than one volume with minor {minor}"));
            });
            entry.or_insert(Ok((self.locals.len(), number)));
        }
        self.locals.push(Local { section, here, peer });
    }

    fn of_minor(&self, minor: u32) -> Result<(usize, u32), String> {
        match (self.minors.get(&minor), &self.broken) {
            (Some(found), _) => found.clone(),
            (None, Some(broken)) => Err(broken.clone()),
            (None, None) => Err(format!("drbd.conf has no resource with minor {minor}")),
        }
    }
}

/// One resource, of its volumes' numbers and states and, where there is one, its section.
fn resource(
    name: String,
    volumes: Vec<(u32, &Minor)>,
    local: Result<&Local, &String>,
    version: Version,
) -> Resource {
    let options = |number| match local {
        Ok(local) => local.section.volume_options(&local.here, number).map_err(|error| error.to_string()),
        Err(why) => Err(why.clone()),
    };
    let options: Vec<_> = volumes.iter().map(|(number, _)| options(*number)).collect();
    let states: Vec<&States> = volumes.iter().map(|(_, minor)| &minor.states).collect();
    let suspended = states.iter().any(|states| states.flags.suspended);
    let on_no_data = options.first().map(|options| read(options, Options::on_no_data));
    let each = volumes.iter().zip(&options);
    Resource {
        name,
        source: Source::ProcAndConf,
        role: highest(states.iter().map(|states| &states.role)).unwrap_or(Role::Unknown),
        // /proc/drbd does not tell why.
        suspended: Suspended { user: suspended, no_data: false, fencing: false, quorum: false },
        write_ordering: write_ordering(&states),
        on_no_data: on_no_data.unwrap_or(Known::Unknown("it has no volume".into())),
        handlers: super::not_looked_for(),
        users: super::not_looked_for(),
        // 8.x knows no quorum.
        needs_quorum: Known::Is(false),
        volumes: each
            .map(|((number, minor), options)| volume(*number, minor, local, options, version))
            .collect(),
        connections: connection(&volumes, local, &options).into_iter().collect(),
    }
}

type Looked<'a> = Result<Options<'a>, String>;

/// What is configured of something, or why that is not known.
fn read<'a, T>(
    options: &Looked<'a>,
    get: impl FnOnce(&Options<'a>) -> Result<T, crate::place::Error>,
) -> Known<T> {
    match options {
        Ok(options) => get(options).map_err(anyhow::Error::from).into(),
        Err(why) => Known::Unknown(why.clone()),
    }
}

/// 8.4 shows the resource's with each of its minors, 8.3 has one minor a resource.
fn write_ordering(states: &[&States]) -> Known<WriteOrdering> {
    let mut known =
        states.iter().map(|states| &states.write_ordering).filter(|known| known.value().is_some());
    match (known.next(), states.first()) {
        (Some(first), _) if known.all(|other| other == first) => first.clone(),
        (Some(_), _) => Known::Unknown("its volumes differ in it".into()),
        (None, Some(states)) => states.write_ordering.clone(),
        (None, None) => Known::Unknown("it has no volume".into()),
    }
}

fn volume(
    number: u32,
    minor: &Minor,
    local: Result<&Local, &String>,
    options: &Looked,
    version: Version,
) -> Volume {
    let not_looked_for = || Known::Unknown("it was not looked for".into());
    let attached = is_attached(&minor.states);
    let configured = local.ok().filter(|_| attached).and_then(|local| local.here.volumes.get(&number));
    let backing = configured.and_then(|volume| volume.disk.clone());
    let meta = configured.and_then(|volume| volume.meta_disk.clone());
    Volume {
        number,
        minor: minor.number,
        role: minor.states.role.clone(),
        disk: minor.states.disk.clone(),
        meta_device: meta.or_else(|| backing.clone()),
        backing_device: backing,
        options: match attached {
            true => read(options, |options| options.disk(version)),
            false => Known::Unknown(NO_DISK.into()),
        },
        data: not_looked_for(),
        meta: not_looked_for(),
        quorum: Known::Is(true),
        generations: Known::Unknown("/proc/drbd does not tell them".into()),
    }
}

fn is_attached(states: &States) -> bool {
    states.disk != DiskState::Diskless
}

/// The one connection that a resource of 8.x has: the volume furthest from the peer speaks for it.
fn connection(
    volumes: &[(u32, &Minor)],
    local: Result<&Local, &String>,
    options: &[Looked],
) -> Option<Connection> {
    let states = || volumes.iter().map(|(_, minor)| &minor.states);
    let first = states().next()?;
    let net = match (local, first.protocol) {
        (_, None) => Err(NO_NETWORK.to_string()),
        (Ok(local), _) => net_options(local).map_err(|error| error.to_string()),
        (Err(why), _) => Err(why.clone()),
    };
    Some(Connection {
        peer: local.ok().and_then(|local| local.peer).unwrap_or("peer").into(),
        state: states().map(|states| &states.conn).min()?.connection(),
        peer_role: highest(states().map(|states| &states.peer_role))?,
        protocol: protocol(first.protocol),
        two_primaries: read(&net, Options::two_primaries),
        data_integrity: read(&net, Options::data_integrity),
        fencing: fencing(states().zip(options)),
        peer_volumes: volumes.iter().map(|(number, minor)| peer_volume(*number, &minor.states)).collect(),
    })
}

fn net_options<'a>(local: &Local<'a>) -> Result<Options<'a>, crate::place::Error> {
    match local.peer {
        Some(peer) => local.section.connection_options(local.here.name(), peer),
        None => local.section.resource_options(),
    }
}

fn protocol(letter: Option<char>) -> Known<Protocol> {
    match letter {
        Some('A') => Known::Is(Protocol::A),
        Some('B') => Known::Is(Protocol::B),
        Some('C') => Known::Is(Protocol::C),
        Some(other) => Known::Unknown(format!("/proc/drbd tells protocol {other}, known are A to C")),
        None => Known::Unknown(NO_NETWORK.into()),
    }
}

fn fencing<'a>(volumes: impl Iterator<Item = (&'a States, &'a Looked<'a>)>) -> Known<Fencing> {
    let attached = volumes.filter(|(states, _)| is_attached(states));
    let mut policies = Vec::new();
    for (_, options) in attached {
        match read(options, Options::fencing) {
            Known::Is(policy) => policies.push(policy),
            unknown => return unknown,
        }
    }
    agreed(policies.iter())
}

fn peer_volume(number: u32, states: &States) -> PeerVolume {
    PeerVolume {
        number,
        role: states.peer_role.clone(),
        replication: states.conn.replication(),
        disk: states.peer_disk.clone(),
    }
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
