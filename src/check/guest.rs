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

/// Which configuration uses which resource.
struct Use {
    resource: String,
    path: String,
    name: Known<Option<String>>,
}

/// Reads and judges the configurations at `paths`, each beside the others.
pub fn all(machine: &mut Machine, paths: &[String]) -> Result<Vec<Subject>> {
    let configs = paths.iter().map(|path| domu::read(machine.host, path)).collect::<Result<Vec<_>>>()?;
    if configs.is_empty() {
        return Ok(Vec::new());
    }
    let volumes = volumes(machine);
    let uses = uses(&configs, &volumes);
    let mut subjects = Vec::new();
    for config in configs {
        let others = shared(&config, &uses);
        let guest = toolstack::guest(machine.host, config, volumes.clone(), others);
        subjects.push(judge(machine, guest));
    }
    Ok(subjects)
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

fn uses(configs: &[GuestConfig], volumes: &Known<Vec<DrbdVolume>>) -> Vec<Use> {
    let volumes = volumes.value().map_or(&[][..], Vec::as_slice);
    let of = |config: &GuestConfig| -> Vec<Use> {
        let disks = config.disks.value().into_iter().flatten();
        let used = disks.filter_map(|disk| Some(disk.leads_to(volumes).resource()?.to_string()));
        used.map(|resource| Use { resource, path: config.path.clone(), name: config.name.clone() }).collect()
    };
    configs.iter().flat_map(of).collect()
}

/// The other configurations with a disk on a resource of this one. One guest may
/// have two files: auto/ holds links.
fn shared(config: &GuestConfig, uses: &[Use]) -> Vec<SharedWith> {
    let own: Vec<&str> =
        uses.iter().filter(|used| used.path == config.path).map(|used| used.resource.as_str()).collect();
    let other = |used: &&Use| {
        used.path != config.path && used.name != config.name && own.contains(&used.resource.as_str())
    };
    let shared = |used: &Use| SharedWith { resource: used.resource.clone(), path: used.path.clone() };
    uses.iter().filter(other).map(shared).collect()
}

/// DRBD's volumes by all their names.
fn volumes(machine: &mut Machine) -> Known<Vec<DrbdVolume>> {
    let mut resources = match &machine.resources {
        Known::Is(resources) => resources.clone(),
        Known::Unknown(why) => return Known::Unknown(why.clone()),
    };
    let devices = crate::gather::storage::look(machine.host, &mut resources);
    let below = |resource: &Resource, index: usize| {
        let volume = &resource.volumes[index];
        let paths = [&volume.backing_device, &volume.meta_device].into_iter().flatten();
        let mut names: Vec<String> = paths.map(|path| path.trim_start_matches("/dev/").to_string()).collect();
        for name in [&volume.data, &volume.meta].into_iter().filter_map(Known::value) {
            names.push(name.clone());
            names.extend(devices.get(name).into_iter().flat_map(|device| device.names.clone()));
        }
        names
    };
    let mut volumes = Vec::new();
    for resource in &resources {
        for (index, volume) in resource.volumes.iter().enumerate() {
            volumes.push(DrbdVolume {
                resource: resource.name.clone(),
                number: volume.number,
                minor: volume.minor,
                below: below(resource, index),
            });
        }
    }
    Known::Is(volumes)
}
