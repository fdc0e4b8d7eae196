//! A domain configuration as the subject of a dry run: its own lines, and every
//! volume that they lead to.

use super::Machine;
use super::subject::{Answer, Subject, volume_facts};
use crate::facts::{Known, Resource};
use crate::gather::{domu, toolstack};
use crate::guest::{DrbdVolume, GuestConfig, GuestFacts, SharedWith};
use crate::rules;
use crate::rules::disk_line::DiskLine;
use crate::target::Target;
use anyhow::Result;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// A configuration that uses a resource.
struct Use {
    path: String,
    name: Known<Option<String>>,
}

/// Reads and judges the configurations at `paths`, each beside the others.
pub fn each(machine: &mut Machine, paths: &[String], tell: &mut dyn FnMut(&Subject)) -> Result<()> {
    let configs = paths.iter().map(|path| domu::read(machine.host, path)).collect::<Result<Vec<_>>>()?;
    if configs.is_empty() {
        return Ok(());
    }
    let volumes = volumes(machine);
    let uses = uses(&configs, &volumes);
    for config in configs {
        let others = shared(&config, resources_of(&config, &volumes), &uses);
        let guest = toolstack::guest(machine.host, config, volumes.clone(), others);
        tell(&judge(machine, guest));
    }
    Ok(())
}

fn judge(machine: &mut Machine, guest: GuestFacts) -> Subject {
    let mut findings = rules::evaluate_guest(&guest, machine.settings).findings;
    let mut volumes = Vec::new();
    for target in targets(&guest) {
        let resource = machine.resource(&target.resource);
        let facts = volume_facts(machine, target, resource);
        findings.extend(rules::evaluate(&facts, machine.settings).findings);
        volumes.push(facts);
    }
    let name = guest.config.path.clone();
    Subject { name, answer: Answer::of(&findings), findings, volumes, guest: Some(guest) }
}

/// Each volume that a disk leads to, whether through this program or past it.
fn targets(guest: &GuestFacts) -> Vec<Target> {
    let mut targets: Vec<Target> = Vec::new();
    for target in DiskLine::all(guest).iter().filter_map(|line| line.leads_to.target()) {
        if !targets.contains(&target) {
            targets.push(target);
        }
    }
    targets
}

/// The configurations that use each resource.
fn uses(configs: &[GuestConfig], volumes: &Known<Arc<[DrbdVolume]>>) -> HashMap<String, Vec<Use>> {
    let mut uses: HashMap<String, Vec<Use>> = HashMap::new();
    for config in configs {
        for resource in resources_of(config, volumes) {
            let used = Use { path: config.path.clone(), name: config.name.clone() };
            uses.entry(resource).or_default().push(used);
        }
    }
    uses
}

/// The resources of the disks of a configuration, each once.
fn resources_of(config: &GuestConfig, volumes: &Known<Arc<[DrbdVolume]>>) -> BTreeSet<String> {
    let volumes = volumes.value().map_or(&[][..], AsRef::as_ref);
    let disks = config.disks.value().into_iter().flatten();
    disks.filter_map(|disk| Some(disk.leads_to(volumes).resource()?.to_string())).collect()
}

/// The other configurations with a disk on one of these resources. One guest may
/// have two files: auto/ holds links.
fn shared(
    config: &GuestConfig,
    resources: BTreeSet<String>,
    uses: &HashMap<String, Vec<Use>>,
) -> Vec<SharedWith> {
    let other = |used: &&Use| used.path != config.path && used.name != config.name;
    let of = |resource: String| {
        let others = uses.get(&resource).into_iter().flatten().filter(other);
        others
            .map(|used| SharedWith { resource: resource.clone(), path: used.path.clone() })
            .collect::<Vec<_>>()
    };
    resources.into_iter().flat_map(of).collect()
}

/// DRBD's volumes by all their names.
fn volumes(machine: &Machine) -> Known<Arc<[DrbdVolume]>> {
    let resources = match &machine.resources {
        Known::Is(resources) => resources,
        Known::Unknown(why) => return Known::Unknown(why.clone()),
    };
    let devices = machine.around.devices();
    let below = |resource: &Resource, index: usize| {
        let volume = &resource.volumes[index];
        let paths = [&volume.backing_device, &volume.meta_device].into_iter().flatten();
        let mut names: Vec<String> = paths.map(|path| path.trim_start_matches("/dev/").to_string()).collect();
        for name in [&volume.data, &volume.meta].into_iter().filter_map(Known::value) {
            names.push(name.clone());
            let device = devices.and_then(|devices| devices.get(name));
            names.extend(device.into_iter().flat_map(|device| device.names.clone()));
        }
        names
    };
    let mut volumes = Vec::new();
    for resource in resources {
        for (index, volume) in resource.volumes.iter().enumerate() {
            volumes.push(DrbdVolume {
                resource: resource.name.clone(),
                number: volume.number,
                minor: volume.minor,
                below: below(resource, index),
            });
        }
    }
    Known::Is(volumes.into())
}
