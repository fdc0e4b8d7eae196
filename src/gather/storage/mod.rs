//! The block devices below DRBD, from `/sys/block` down to the disks.
//!
//! Reads each device once and judges nothing: whether a cache is dangerous is
//! for the rules. Never fails: what cannot be read, or is too much to read, is
//! [`Known::Unknown`] with its reason, at the device where the way ended.

mod cache_type;
mod device;
mod file;
mod identity;
mod lookup;
mod lower;
mod queue;
pub(super) mod sysfs;

use crate::facts::storage::{Device, DeviceKind, Devices, MOST_DEVICES};
use crate::facts::{Known, Resource};
use crate::host::Host;
use file::Files;
pub(super) use lookup::Lookup;
use std::collections::BTreeMap;

/// No stack is higher than this: a partition, RAID, encryption, LVM and bcache are five.
const HIGHEST_STACK: usize = 64;

/// Every device below the volumes of `resources`, and the DRBD devices themselves
/// (`drbd3`). Fills in what each volume's data and meta data lie on.
pub fn look(host: &Host, resources: &mut [Resource]) -> Devices {
    let lookup = Lookup::new(host);
    let mut below = BTreeMap::new();
    let mut roots = Vec::new();
    for volume in resources.iter_mut().flat_map(|resource| &mut resource.volumes) {
        let name = format!("drbd{}", volume.minor);
        below.insert(name.clone(), lower::find(&lookup, volume));
        // Data and meta data are usually below the DRBD device; not where only one of them was found.
        let parts = [&volume.data, &volume.meta].map(|part| part.value().cloned());
        roots.push([Some(name)].into_iter().chain(parts).flatten());
    }
    let mut walk =
        Walk { host, files: Files::new(&lookup), below, devices: Devices::new(), way: Vec::new(), room: 0 };
    for names in roots {
        walk.room = MOST_DEVICES;
        for name in names {
            // Refused only where there are too many devices, which one of them says.
            let _ = walk.add(&name);
        }
    }
    walk.devices
}

/// One walk down, depth first.
struct Walk<'a> {
    host: &'a Host,
    files: Files<'a>,
    /// What DRBD itself told of its devices.
    below: BTreeMap<String, Known<Vec<String>>>,
    devices: Devices,
    /// The devices on the way down to here.
    way: Vec<String>,
    /// How many devices may still be read for this volume.
    room: usize,
}

impl Walk<'_> {
    /// Adds the device and all below it. The error is why it was not added.
    fn add(&mut self, name: &str) -> Result<(), String> {
        sysfs::check_name(name)?;
        if self.devices.contains_key(name) {
            return Ok(());
        }
        if let Some(start) = self.way.iter().position(|above| above == name) {
            return Err(format!("{} stands on itself: {name}", self.way[start..].join(" on ")));
        }
        if self.way.len() >= HIGHEST_STACK {
            return Err(format!("{} and more are stacked above {name}", self.way.len()));
        }
        if self.room == 0 {
            return Err(format!("more than {MOST_DEVICES} devices are below {}", self.way[0]));
        }
        self.room -= 1;
        self.way.push(name.to_owned());
        let device = self.device(name);
        self.way.pop();
        self.devices.insert(name.to_owned(), device);
        Ok(())
    }

    fn device(&mut self, name: &str) -> Device {
        let told = self.below.get(name).cloned();
        let mut device = device::read(self.host, name, &self.files, told);
        for lower in device.below.value().cloned().unwrap_or_default() {
            if let Err(why) = self.add(&lower) {
                device.below = Known::Unknown(why);
                break;
            }
            if device.kind == DeviceKind::Partition
                && let Some(disk) = self.devices.get(&lower)
            {
                device::share_queue(&mut device, disk);
            }
        }
        device
    }
}
