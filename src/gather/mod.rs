//! Asks the machine everything that a decision needs, once, and in one order.
//!
//! Changes nothing and decides nothing. A read that fails becomes
//! [`Known::Unknown`] with its reason.

mod around;
pub mod claims;
pub mod domains;
pub mod domu;
pub mod drbd;
pub mod expected;
pub mod handler;
pub mod handler_entries;
pub mod lone;
mod lower_users;
pub mod node;
pub mod openers;
pub mod peers;
pub mod probes;
pub mod quarantine;
pub mod records;
pub mod sharing;
pub mod snapshots;
pub mod source;
pub mod status;
pub mod storage;
pub mod toolstack;
pub mod usage;
pub mod vbd;
pub mod windows;

use crate::config::Settings;
use crate::event::{Action, Hotplug, VbdPath};
use crate::facts::storage::Devices;
use crate::facts::{Backend, Connection, FACTS_VERSION, Facts, Fencing, Known, NodeFacts, Resource, Role};
use crate::host::Host;
use crate::target::Target;
use anyhow::Result;
pub use around::Around;
use drbd::Purpose;
use std::collections::HashMap;

/// What the event is about: for an add what `params` names, for a remove what
/// this program recorded when it added, and what `params` names without a record.
///
/// The error is a clause that says what is wrong with `params`.
pub fn target(host: &Host, event: &Hotplug) -> Result<Target, String> {
    let named = vbd::params(host, &event.vbd).map_err(|error| format!("{error:#}"));
    let named = named.and_then(|params| match params {
        Some(params) => Target::parse(&params),
        None => Err("the backend directory is gone".into()),
    });
    if event.action == Action::Add {
        return named;
    }
    let hint = named.as_ref().ok().map(|target| target.resource.as_str());
    match claims::of_device(host, event.vbd.domid, event.vbd.devid, hint) {
        Ok(Some(claim)) => Ok(Target { resource: claim.resource, volume: None }),
        _ => named,
    }
}

/// Everything about the volume that the event is about.
pub fn facts(host: &Host, event: &Hotplug, target: &Result<Target, String>, settings: &Settings) -> Facts {
    let backend = Known::from(host.timed("xenstore", || vbd::backend(host, &event.vbd)));
    let resource = match target {
        Ok(target) => Known::from(host.timed("drbd", || resource(host, &target.resource))),
        Err(reason) => Known::Unknown(reason.clone()),
    };
    let around = Around::look(host);
    let mut facts = facts_around(host, &around, Some(&event.vbd), backend, target.clone(), resource);
    if event.action == Action::Add {
        usage(host, &mut facts);
        durability(host, &around, &mut facts, settings);
        lower_users(host, &around, &mut facts);
        fencing(host, &mut facts);
        // It tries one itself: no earlier one counts.
        facts.last_flush = Known::Is(None);
        facts.receiving = Known::from(toolstack::receives_migration(host));
        if facts.source().is_some() {
            facts.own_targets = Known::from(vbd::targets(host, event.vbd.domid));
            if let Ok(target) = target {
                facts.expected = Known::from(expected::read(host, &target.resource));
            }
        }
    }
    facts
}

/// The same for those who only ask: about a resource as it was read, before any guest wants it.
pub fn dry_run(host: &Host, target: Target, resource: Known<Option<Resource>>, settings: &Settings) -> Facts {
    dry_run_of_many(host, &Around::look(host), target, resource, settings)
}

/// The same of one resource of many, which share what is `around` them.
pub fn dry_run_of_many(
    host: &Host,
    around: &Around,
    target: Target,
    resource: Known<Option<Resource>>,
    settings: &Settings,
) -> Facts {
    let no_backend = Known::Unknown("no backend is concerned".into());
    let mut facts = facts_around(host, around, None, no_backend, Ok(target), resource);
    usage(host, &mut facts);
    look_for_openers(host, &mut facts);
    durability(host, around, &mut facts, settings);
    lower_users(host, around, &mut facts);
    if let (Ok(target), Some(volume)) = (&facts.target, facts.volume()) {
        facts.last_flush = Known::from(probes::last(host, &target.resource, volume.minor));
    }
    facts
}

/// About a resource that no guest asks for now: what is recorded of it, and who uses it.
pub fn of_resource(host: &Host, name: &str) -> Facts {
    let target = Ok(Target { resource: name.into(), volume: None });
    let no_backend = Known::Unknown("no backend is concerned".into());
    facts_of(host, None, no_backend, target, Known::from(resource(host, name)))
}

/// What everybody asks for, whatever happens.
pub fn facts_of(
    host: &Host,
    vbd: Option<&VbdPath>,
    backend: Known<Option<Backend>>,
    target: Result<Target, String>,
    resource: Known<Option<Resource>>,
) -> Facts {
    facts_around(host, &Around::look(host), vbd, backend, target, resource)
}

fn facts_around(
    host: &Host,
    around: &Around,
    vbd: Option<&VbdPath>,
    backend: Known<Option<Backend>>,
    target: Result<Target, String>,
    resource: Known<Option<Resource>>,
) -> Facts {
    let (major, vbds) = (around.major.clone(), around.vbds.clone());
    let users = Known::from(vbd::users(host, vbd, &resource, &major, &vbds));
    let (claim, lone, window, quarantine) = match &target {
        Ok(target) => (
            Known::from(claims::read(host, &target.resource)),
            Known::from(lone::read(host, &target.resource)),
            Known::from(windows::read(host, &target.resource)),
            Known::from(quarantine::read(host, &target.resource)),
        ),
        Err(reason) => {
            let no = || reason.clone();
            (Known::Unknown(no()), Known::Unknown(no()), Known::Unknown(no()), Known::Unknown(no()))
        }
    };
    Facts {
        node: node::not_asked(),
        now: host.now(),
        backend,
        target,
        resource,
        major,
        vbds,
        users,
        lower_users: not_asked(),
        mounts: not_asked(),
        swap: not_asked(),
        holders: not_asked(),
        openers: not_asked(),
        claim,
        lone,
        window,
        quarantine,
        receiving: not_asked(),
        expected: not_asked(),
        own_targets: not_asked(),
        at_source: not_asked(),
        devices: Devices::new(),
        peers: not_asked(),
        last_flush: not_asked(),
    }
}

/// DRBD's device number. The copy of a machine need not have /proc/devices: the
/// number is fixed (DRBD_MAJOR, drbd_int.h; devices.txt of the kernel).
fn major(host: &Host) -> Result<u32> {
    const DRBD_MAJOR: u32 = 147;
    match host.is_whole("/proc/devices") || host.kind("/proc/devices")?.is_some() {
        true => crate::host::device::major(host, "drbd"),
        false => Ok(DRBD_MAJOR),
    }
}

/// What the disks here and the peers do to a flush.
fn durability(host: &Host, around: &Around, facts: &mut Facts, settings: &Settings) {
    let Known::Is(Some(resource)) = &mut facts.resource else { return };
    facts.node = node::node(host);
    facts.devices = around.devices_of(host, resource);
    if let Some(name) = facts.node.host.value() {
        settings.vouch(name, &mut facts.devices);
    }
    let kept = peers::kept(host, &resource.name).map(|mut answers| {
        answers.iter_mut().for_each(|answer| settings.vouch_for(&mut answer.facts));
        answers
    });
    facts.peers = Known::from(kept);
}

/// Which guests have a device that the named volume stands on.
fn lower_users(host: &Host, around: &Around, facts: &mut Facts) {
    let found = host.timed("sharing", || lower_users::look(host, around, facts));
    facts.lower_users = Known::from(found);
}

/// Which handlers would be called: a start needs that, and the files that tell it, only where a lost
/// peer is fenced.
fn fencing(host: &Host, facts: &mut Facts) {
    let Known::Is(Some(resource)) = &mut facts.resource else { return };
    let fences = |connection: &Connection| connection.fencing != Known::Is(Fencing::DontCare);
    if resource.connections.iter().any(fences) {
        handler_entries::look(host, std::slice::from_mut(resource));
    }
}

/// Who uses the named volume in this domain itself.
fn usage(host: &Host, facts: &mut Facts) {
    if let (Some(minor), Some(&major)) = (facts.volume().map(|volume| volume.minor), facts.major.value()) {
        facts.mounts = Known::from(usage::mounts(host, major, minor));
        facts.swap = Known::from(usage::swap(host, minor));
        facts.holders = Known::from(usage::holders(host, minor));
    }
}

/// Who has the named volume open in this domain, where it is Primary for no guest. It is not asked again
/// once an add has promoted the volume itself: DRBD has told then that nobody had it open.
pub fn look_for_openers(host: &Host, facts: &mut Facts) {
    if let (Some(minor), Some(&major)) = (facts.volume().map(|volume| volume.minor), facts.major.value()) {
        facts.openers = match facts.is_primary_for_no_guest() {
            true => Known::from(openers::look(host, major, minor)),
            // Nobody can open a Secondary (drbd_main.c, drbd_open).
            false if !facts.is_primary(minor) => Known::Is(Vec::new()),
            false => not_asked(),
        };
    }
}

fn not_asked<T>() -> Known<T> {
    Known::Unknown("it was not asked".into())
}

/// The resource of that name, if DRBD knows one; to act on it.
pub fn resource(host: &Host, name: &str) -> Result<Option<Resource>> {
    let resources = resources(host, Some(name), Purpose::Act)?;
    let mut resource = resources.into_iter().find(|resource| resource.name == name);
    // Only a peer that a rule will speak of needs its name: an add that goes well reads no files for it.
    let in_order =
        |connection: &Connection| connection.is_connected() && connection.peer_role == Role::Secondary;
    if let Some(resource) = &mut resource
        && !resource.connections.iter().all(in_order)
    {
        name_peers(host, std::slice::from_mut(resource));
    }
    Ok(resource)
}

/// Calls the peers of 8.x by their host names, where drbd.conf has them: for messages
/// and nothing else, as what is in force is what the module says.
pub fn name_peers(host: &Host, resources: &mut [Resource]) {
    let Ok(conf) = drbd::conf::load(host) else { return };
    let Ok(sections) = conf.resources() else { return };
    let sections: HashMap<_, _> = sections.iter().map(|section| (section.name(), section)).collect();
    for resource in resources {
        let Some(section) = sections.get(resource.name.as_str()) else { continue };
        for connection in &mut resource.connections {
            if let Some(name) = section.host_at(&connection.peer) {
                connection.peer = name.into();
            }
        }
    }
}

/// Every resource, or only the one of that name.
pub fn resources(host: &Host, only: Option<&str>, purpose: Purpose) -> Result<Vec<Resource>> {
    drbd::read(host, only, purpose)
}

/// The host with all its resources, as it tells itself.
pub fn node_facts(host: &Host, settings: &Settings) -> NodeFacts {
    let mut resources = Known::from(resources(host, None, Purpose::Look));
    let devices = match &mut resources {
        Known::Is(resources) => {
            name_peers(host, resources);
            vbd::tell_users(host, resources);
            handler_entries::look(host, resources);
            storage::look(host, resources)
        }
        Known::Unknown(_) => Devices::new(),
    };
    let mut facts =
        NodeFacts { version: FACTS_VERSION, at: host.now(), node: node::node(host), resources, devices };
    settings.vouch_for(&mut facts);
    facts
}
