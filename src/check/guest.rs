//! A domain configuration as the subject of a dry run: its own lines, and every
//! volume that they lead to.

use super::Machine;
use super::subject::{Answer, Subject, volume_facts};
use crate::facts::{Known, Resource};
use crate::gather::{domu, toolstack};
use crate::guest::{ConfigDisk, DrbdVolume, GuestConfig, GuestFacts, SharedWith};
use crate::rules;
use crate::rules::disk_line::DiskLine;
use crate::target::Target;
use anyhow::Result;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// A configuration, as others are compared with it.
struct Other {
    path: String,
    name: Known<Option<String>>,
    /// The volume that it uses of a resource, where it names one.
    volume: Option<u32>,
}

/// The configurations by what two of them should not have in common.
#[derive(Default)]
struct Index {
    by_resource: HashMap<String, Vec<Other>>,
    by_uuid: HashMap<String, Vec<Other>>,
}

/// Reads and judges the configurations at `paths`, each beside the others.
pub fn each(machine: &mut Machine, paths: &[String], tell: &mut dyn FnMut(&Subject)) -> Result<()> {
    let configs = paths.iter().map(|path| domu::read(machine.host, path)).collect::<Result<Vec<_>>>()?;
    if configs.is_empty() {
        return Ok(());
    }
    let volumes = volumes(machine);
    let known = volumes.value().map_or(&[][..], AsRef::as_ref);
    let index = Index::new(&configs, known);
    for config in configs {
        let (others, same_uuid) = (index.shared(&config, known), index.same_uuid(&config));
        let guest = toolstack::guest(machine.host, config, volumes.clone(), others, same_uuid);
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

impl Index {
    fn new(configs: &[GuestConfig], volumes: &[DrbdVolume]) -> Index {
        let mut index = Index::default();
        let other = |config: &GuestConfig, volume| {
            let (path, name) = (config.path.clone(), config.name.clone());
            Other { path, name, volume }
        };
        for config in configs {
            for (resource, volume) in places(config, volumes) {
                index.by_resource.entry(resource).or_default().push(other(config, volume));
            }
            if let Some(uuid) = uuid(config) {
                index.by_uuid.entry(uuid).or_default().push(other(config, None));
            }
        }
        index
    }

    /// The other configurations with a disk on a resource of this one, each with each volume once.
    fn shared(&self, config: &GuestConfig, volumes: &[DrbdVolume]) -> Vec<SharedWith> {
        let mut shared = Vec::new();
        let own = places(config, volumes);
        let resources: BTreeSet<&String> = own.iter().map(|(resource, _)| resource).collect();
        for resource in resources {
            let others = self.by_resource.get(resource).into_iter().flatten();
            for other in others.filter(|other| other.is_another_guest(config)) {
                let same = |volume: &Option<u32>| {
                    volume.is_none() || other.volume.is_none() || *volume == other.volume
                };
                let same_volume = own.iter().any(|(name, volume)| name == resource && same(volume));
                shared.push(SharedWith { resource: resource.clone(), path: other.path.clone(), same_volume });
            }
        }
        shared
    }

    /// The other configurations with the `uuid` of this one.
    fn same_uuid(&self, config: &GuestConfig) -> Vec<String> {
        let others = uuid(config).and_then(|uuid| self.by_uuid.get(&uuid));
        let others = others.into_iter().flatten().filter(|other| other.is_another_guest(config));
        others.map(|other| other.path.clone()).collect()
    }
}

impl Other {
    /// Whether it is the file of another guest. One guest may have two files: auto/ holds links.
    fn is_another_guest(&self, config: &GuestConfig) -> bool {
        self.path != config.path && self.name != config.name
    }
}

/// The resources of the disks of a configuration, each with each volume once; a disk need not
/// name the volume.
fn places(config: &GuestConfig, volumes: &[DrbdVolume]) -> BTreeSet<(String, Option<u32>)> {
    let disks = config.disks.value().into_iter().flatten();
    let place = |disk: &ConfigDisk| {
        let leads_to = disk.leads_to(volumes);
        leads_to.place().map(|(resource, volume)| (resource.to_string(), volume))
    };
    disks.filter_map(place).collect()
}

/// xl reads the digits of a uuid in either case.
fn uuid(config: &GuestConfig) -> Option<String> {
    Some(config.uuid.value()?.as_ref()?.to_ascii_lowercase())
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
