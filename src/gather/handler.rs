//! What a handler of DRBD looks at: files and xenstore, and DRBD itself only in /proc/drbd and debugfs.
//!
//! While a handler runs, DRBD may hold what an answer over netlink waits for: before 8.4.5 the
//! lock of all of generic netlink (drbd_nl.c, set_role), and with a `detach` under way the worker
//! that called the handler. /proc/drbd waits for no lock (drbd_proc.c, drbd_seq_show: RCU), and DRBD 9
//! tells no states there.

use super::drbd::proc::States;
use super::{claims, drbd, node, quarantine, sharing, vbd};
use crate::event::drbd::{DrbdEvent, EventName, Subject};
use crate::facts::{DiskState, HandlerFacts, Known, OwnVolume, Resync, User, Vbd};
use crate::host::Host;
use anyhow::{Context, Result, bail, ensure};
use std::collections::{BTreeMap, BTreeSet};

/// Everything about the event.
pub fn facts(host: &Host, event: &DrbdEvent) -> HandlerFacts {
    let resource = Known::from(host.timed("resource", || resource(host, event)));
    let of = |why: &str| why.to_string();
    let (quarantine, fenced) = match &resource {
        Known::Is(name) => {
            (Known::from(quarantine::read(host, name)), Known::from(quarantine::fenced(host, name)))
        }
        Known::Unknown(why) => (Known::Unknown(of(why)), Known::Unknown(of(why))),
    };
    HandlerFacts {
        now: host.now(),
        host: Known::from(node::host_name(host)),
        users: Known::from(host.timed("guests", || users(host, event, resource.value()))),
        disks: match event.name {
            EventName::BeforeResyncTarget => Known::from(disks(host, event)),
            _ => Known::Unknown("they are looked at before a resync only".into()),
        },
        resyncs: match (event.name, &resource) {
            (EventName::BeforeResyncTarget | EventName::AfterResyncTarget, Known::Is(name)) => {
                Known::from(resyncs(host, event, name))
            }
            _ => Known::Unknown("they are looked at before and after a resync only".into()),
        },
        volumes: match (event.name, &resource) {
            (EventName::FencePeer, Known::Is(name)) => Known::from(volumes(host, event, name)),
            _ => Known::Unknown("they are looked at for fence-peer only".into()),
        },
        resource,
        quarantine,
        fenced,
    }
}

/// The name of the resource, where there is one of that name or with that minor.
fn resource(host: &Host, event: &DrbdEvent) -> Result<String> {
    let claimed = claims::resources(host).unwrap_or_default();
    match &event.subject {
        Subject::Resource(name) => {
            // Where drbd.conf cannot be read, drbdadm, which could, is believed.
            let configured =
                drbd::conf::load(host).ok().map(|conf| configured(&conf, |found, _| found == name));
            ensure!(
                configured.is_none_or(|found| found.is_some()) || claimed.contains(name),
                "there is no resource {name} in drbd.conf, see: drbdadm sh-resources"
            );
            Ok(name.clone())
        }
        Subject::Minor(minor) => {
            let has = |name: &&String| claim_minors(host, name).contains(minor);
            if let Some(name) = claimed.iter().find(has) {
                return Ok(name.clone());
            }
            let conf = drbd::conf::load(host).context("which resource has the minor")?;
            let found = configured(&conf, |_, minors| minors.contains(minor));
            found.with_context(|| format!("no resource in drbd.conf has the minor {minor}"))
        }
    }
}

/// The first resource of drbd.conf, by its name and all minors that it has on any host, that `is` it.
fn configured(conf: &drbd::conf::Conf, is: impl Fn(&str, &BTreeSet<u32>) -> bool) -> Option<String> {
    let resources = conf.resources().unwrap_or_default();
    let minors = |resource: &drbd::conf::Resource| -> BTreeSet<u32> {
        let hosts = resource.hosts().unwrap_or_default();
        hosts.iter().flat_map(|host| host.volumes.values()).filter_map(|volume| volume.minor).collect()
    };
    resources
        .iter()
        .find(|resource| is(resource.name(), &minors(resource)))
        .map(|resource| resource.name().to_string())
}

/// The minors that this program has recorded of a resource.
fn claim_minors(host: &Host, resource: &str) -> BTreeSet<u32> {
    let claim = claims::read(host, resource).ok().flatten();
    let minors = |claim: crate::facts::Claim| {
        let used: Vec<u32> = claim.users.iter().map(|user| user.minor).collect();
        used.into_iter().chain(claim.promoted).collect()
    };
    claim.map(minors).unwrap_or_default()
}

/// The guests with a volume of the resource: DRBD names only one where one is hit, and what hits
/// one concerns all of them, so what is recorded counts too.
fn users(host: &Host, event: &DrbdEvent, resource: Option<&String>) -> Result<Vec<User>> {
    let mut minors = named(event);
    if let Some(resource) = resource {
        minors.extend(claim_minors(host, resource));
        if minors.is_empty() {
            minors.extend(minors_here(host, resource)?);
        }
    }
    ensure!(!minors.is_empty(), "DRBD_MINOR is not set and nothing tells which devices it has");
    let minors: Vec<u32> = minors.into_iter().collect();
    vbd::users_of(host, &minors, super::major(host)?, &devices(host)?)
}

/// The volumes that DRBD names, with their generations.
fn volumes(host: &Host, event: &DrbdEvent, resource: &str) -> Result<Vec<OwnVolume>> {
    let volume = |number: u32| {
        let generations = Known::from(drbd::data_gen_id::read(host, resource, number));
        OwnVolume { number, generations }
    };
    let numbers = numbers(host, event, resource)?;
    ensure!(
        event.minors.is_empty() || event.minors.len() == numbers.len(),
        "DRBD names {} volumes and {} minors",
        numbers.len(),
        event.minors.len()
    );
    // Where drbd.conf cannot be read, drbdadm, which could, is believed.
    let configured = volumes_here(host, resource).unwrap_or_default();
    let shown = drbd::data_gen_id::volumes(host, resource)?;
    let unnamed = configured.keys().chain(&shown).find(|number| !numbers.contains(number));
    if let Some(number) = unnamed {
        bail!("{resource} has volume {number} here, and DRBD does not name it");
    }
    Ok(numbers.into_iter().map(volume).collect())
}

/// The numbers of the volumes that DRBD names. For an event of the whole resource, the drbdadm of DRBD 8.4
/// tells their minors and no numbers (drbd-utils, user/v84/drbdadm_main.c, adm_khelper).
fn numbers(host: &Host, event: &DrbdEvent, resource: &str) -> Result<Vec<u32>> {
    if !event.volumes.is_empty() {
        return Ok(event.volumes.clone());
    }
    ensure!(!event.minors.is_empty(), "DRBD names none in DRBD_VOLUME or DRBD_MINOR");
    let here = volumes_here(host, resource)?;
    let number = |minor: &u32| {
        let mut numbers = here.iter().filter(|(_, volume)| volume.minor == Some(*minor));
        let (number, _) = numbers.next().with_context(|| {
            format!("DRBD names minor {minor}, which {resource} does not have in drbd.conf")
        })?;
        Ok(*number)
    };
    event.minors.iter().map(number).collect()
}

/// The local disks of the minors that DRBD names.
fn disks(host: &Host, event: &DrbdEvent) -> Result<BTreeMap<u32, DiskState>> {
    let minors = named(event);
    ensure!(!minors.is_empty(), "DRBD_MINOR is not set");
    let states = states(host, &minors)?;
    Ok(states.into_iter().map(|(minor, states)| (minor, states.disk)).collect())
}

/// How far a resync is with each volume of the resource: DRBD 8.4 calls a handler for each minor alone.
fn resyncs(host: &Host, event: &DrbdEvent, resource: &str) -> Result<BTreeMap<u32, Resync>> {
    let mut minors = named(event);
    minors.extend(claim_minors(host, resource));
    minors.extend(minors_here(host, resource)?);
    let resync = |states: States| Resync { replication: states.conn.replication(), disk: states.disk };
    Ok(states(host, &minors)?.into_iter().map(|(minor, states)| (minor, resync(states))).collect())
}

/// What /proc/drbd tells of each of the minors.
fn states(host: &Host, minors: &BTreeSet<u32>) -> Result<BTreeMap<u32, States>> {
    let text = host.read_optional("/proc/drbd")?.context("there is no /proc/drbd")?;
    let found = drbd::proc::parse(&text)?.minors;
    let of = |minor: &u32| {
        let known = found.iter().find(|known| known.number == *minor);
        known
            .map(|known| (known.number, known.states.clone()))
            .with_context(|| format!("/proc/drbd has no minor {minor}"))
    };
    minors.iter().map(of).collect()
}

/// The minors that DRBD names.
fn named(event: &DrbdEvent) -> BTreeSet<u32> {
    let mut minors: BTreeSet<u32> = event.minors.iter().copied().collect();
    if let Subject::Minor(minor) = event.subject {
        minors.insert(minor);
    }
    minors
}

/// The minors that a resource has on this host by drbd.conf.
fn minors_here(host: &Host, resource: &str) -> Result<Vec<u32>> {
    Ok(volumes_here(host, resource)?.values().filter_map(|volume| volume.minor).collect())
}

/// The volumes that a resource has on this host by drbd.conf, by their numbers.
fn volumes_here(host: &Host, resource: &str) -> Result<BTreeMap<u32, drbd::conf::Volume>> {
    let conf = drbd::conf::load(host).context("which devices it has")?;
    let name = node::host_name(host)?;
    let Some(section) = conf.resource(resource)? else { bail!("drbd.conf has no {resource}") };
    let hosts = section.hosts()?;
    let here = hosts.iter().find(|section| section.is(&name));
    let here = here.with_context(|| format!("drbd.conf has no section of {resource} for {name}"))?;
    Ok(here.volumes.clone())
}

/// Every backend device. Where the kernel has none, nothing else need be known: while a host
/// boots, DRBD may be there before xenstore is.
fn devices(host: &Host) -> Result<Vec<Vbd>> {
    let none = || {
        let listed = host.list_optional(sharing::KERNEL_LIST);
        matches!(listed, Ok(Some(names)) if names.is_empty())
    };
    sharing::vbds(host).or_else(|error| if none() { Ok(Vec::new()) } else { Err(error) })
}
