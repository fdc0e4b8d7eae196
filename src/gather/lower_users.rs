//! Guests that have a device below the volume: they write behind DRBD's back.
//!
//! blkback and qemu open a device although DRBD holds it. They may have it by another device, too: by a
//! partition of it, or by a loop device on it. What is looked at here does not grow with the number of
//! guests, but for those that qemu or a loop device serves.

use super::Around;
use super::sharing::{numbers, unseen};
use super::storage::{Lookup, sysfs};
use super::vbd::{BACKENDS, Presence, presence, text};
use crate::facts::storage::{DeviceKind, stacks};
use crate::facts::{DiskState, Facts, Known, LowerUser, PhysicalDevice, Vbd, Volume};
use crate::host::{Host, device};
use anyhow::{Context, Result, bail};
use std::collections::{BTreeMap, HashMap};

/// Where the toolstack writes which disks qemu serves.
pub(super) const QDISKS: &str = "/local/domain/0/backend/qdisk";

/// The major number of loop devices, and the one that many drivers share, such as for their partitions
/// (Documentation/admin-guide/devices.txt).
const MAYBE_LOOPS: [u32; 2] = [7, 259];

/// A block device that a guest has.
#[derive(Clone)]
pub struct Opened {
    domid: u32,
    /// Its backend directory in xenstore.
    backend: String,
    device: PhysicalDevice,
    /// Whether the kernel lists it, so that it may be open although its directory is gone.
    is_listed: bool,
}

/// The block devices that guests have, read once for all resources.
pub struct AllOpened {
    by_number: HashMap<Number, Vec<Opened>>,
    /// Those that are loop devices, by the number of the device that the loop device stands on.
    by_backing: HashMap<Number, Vec<(Opened, String)>>,
    /// The domains with a device that only the kernel lists.
    unseen: Vec<u32>,
    /// Whether all of them are DRBD's.
    drbd_only: bool,
    /// Why it is not known of a loop device what it stands on.
    unknown: Option<String>,
}

/// Major and minor.
type Number = (u32, u32);

impl AllOpened {
    pub(super) fn read(host: &Host, vbds: &[Vbd], major: &Known<u32>) -> Result<AllOpened> {
        let is_drbd = |opened: &Opened| *major == Known::Is(opened.device.major);
        let mut all: Vec<Opened> = vbds.iter().map(of_vbd).collect();
        all.extend(qdisks(host)?);
        let mut read = AllOpened {
            by_number: HashMap::new(),
            by_backing: HashMap::new(),
            unseen: unseen(host, vbds)?,
            drbd_only: all.iter().all(is_drbd),
            unknown: None,
        };
        let lookup = Lookup::new(host);
        for opened in all {
            match backing(&lookup, opened.device) {
                Ok(Some((name, number))) => {
                    read.by_backing.entry(number).or_default().push((opened.clone(), name));
                }
                Ok(None) => {}
                Err(_) if is_drbd(&opened) => {}
                Err(error) => read.unknown = Some(format!("{error:#}")),
            }
            read.by_number.entry((opened.device.major, opened.device.minor)).or_default().push(opened);
        }
        Ok(read)
    }

    /// Whether no guest has another device than that of this number.
    fn has_only(&self, own: Option<Number>) -> bool {
        self.unseen.is_empty() && self.by_number.keys().all(|number| Some(*number) == own)
    }

    /// Those who have the device of this number, and what a message calls it for each.
    fn of<'a>(&'a self, number: Number, name: &str) -> impl Iterator<Item = (&'a Opened, String)> {
        let name = name.to_string();
        let on_loops = self.by_backing.get(&number).into_iter().flatten();
        let by_loop: Vec<_> =
            on_loops.map(|(opened, on_it)| (opened, format!("{on_it}, a loop device on {name}"))).collect();
        let direct = self.by_number.get(&number).into_iter().flatten();
        direct.map(move |opened| (opened, name.clone())).chain(by_loop)
    }
}

/// Every guest that has a device on which the named volume stands.
pub fn look(host: &Host, around: &Around, facts: &Facts) -> Result<Vec<LowerUser>> {
    let (Some(volume), Known::Is(_)) = (facts.volume(), &facts.vbds) else { return Ok(Vec::new()) };
    if volume.disk == DiskState::Diskless {
        return Ok(Vec::new());
    }
    let all = around.opened(host)?;
    let own = facts.major.value().map(|major| (*major, volume.minor));
    if all.has_only(own) {
        return Ok(Vec::new());
    }
    let lower = Lower::below(host, facts, volume, all.drbd_only);
    let gone = Presence { live: true, leaving: true };
    let mut users: Vec<LowerUser> = all.unseen.iter().copied().map(closing).collect();
    let below = lower.names.iter().filter(|(number, _)| Some(**number) != own);
    for (opened, device) in below.flat_map(|(number, name)| all.of(*number, name)) {
        let found = presence(host.xenstore()?, &opened.backend)?.or(opened.is_listed.then_some(gone));
        let Some(Presence { live, leaving }) = found else { continue };
        users.push(LowerUser { domid: opened.domid, device: Known::Is(device), live, leaving });
    }
    match lower.unknown.as_ref().or(all.unknown.as_ref()) {
        Some(why) if !users.iter().any(|user| user.live) => bail!("{why}"),
        _ => Ok(users),
    }
}

/// A guest of whose device only the kernel knows.
fn closing(domid: u32) -> LowerUser {
    let why = format!("the kernel lists a device of domain {domid}, of which xenstore says nothing");
    LowerUser { domid, device: Known::Unknown(why), live: true, leaving: true }
}

fn of_vbd(vbd: &Vbd) -> Opened {
    let backend = format!("{BACKENDS}/{}/{}", vbd.domid, vbd.devid);
    Opened { domid: vbd.domid, backend, device: vbd.device, is_listed: vbd.inode.is_some() }
}

/// Every block device that qemu serves to a guest. `params` is `FORMAT:PATH` there (libxl_device.c,
/// libxl__device_disk_string_of_format).
fn qdisks(host: &Host) -> Result<Vec<Opened>> {
    let xenstore = host.xenstore()?;
    let mut opened = Vec::new();
    for domid in numbers(xenstore.directory(QDISKS)?) {
        for devid in numbers(xenstore.directory(&format!("{QDISKS}/{domid}"))?) {
            let backend = format!("{QDISKS}/{domid}/{devid}");
            let params = text(xenstore, &format!("{backend}/params"))?.unwrap_or_default();
            let path = params.split_once(':').map_or("", |(_, path)| path);
            if let Some(device) = number_at(host, path)? {
                opened.push(Opened { domid, backend, device, is_listed: false });
            }
        }
    }
    Ok(opened)
}

/// The number of the block device at `path`; `None` for a file, and for what is no path.
fn number_at(host: &Host, path: &str) -> Result<Option<PhysicalDevice>> {
    if !path.starts_with('/') {
        return Ok(None);
    }
    let number = device::number(host, &host.follow(path)?);
    if number.is_none() && path.starts_with("/dev/") && host.kind(path)?.is_none() {
        bail!("{path}, which is in use, does not exist");
    }
    let number = number.map(|(major, minor)| (u32::try_from(major), u32::try_from(minor)));
    Ok(number.and_then(|(major, minor)| Some(PhysicalDevice { major: major.ok()?, minor: minor.ok()? })))
}

/// The devices below the volume, and their partitions.
struct Lower {
    /// What a message calls each device.
    names: BTreeMap<Number, String>,
    unknown: Option<String>,
}

impl Lower {
    /// Where guests have DRBD devices only, the number of another device need not be known.
    fn below(host: &Host, facts: &Facts, volume: &Volume, drbd_only: bool) -> Lower {
        let parts = [&volume.data, &volume.meta];
        let roots: Vec<&str> = parts.into_iter().filter_map(Known::value).map(String::as_str).collect();
        let walk = stacks(&facts.devices, &roots);
        let unknown = parts.into_iter().find_map(reason).or(walk.unknown);
        let mut lower = Lower { names: BTreeMap::new(), unknown };
        for (name, device) in &walk.found {
            if device.number.value().is_some() || !drbd_only || device.kind == DeviceKind::Drbd {
                lower.add(&device.number, (*name).to_string());
            }
        }
        // A guest on another partition of a disk is healthy, unless the disk is used as a whole.
        let of_whole = walk.found.iter().filter(|(_, device)| device.kind != DeviceKind::Partition);
        let stood_on = of_whole.flat_map(|(_, device)| device.below.value().into_iter().flatten());
        let whole: Vec<&str> = stood_on.map(String::as_str).chain(roots).collect();
        for disk in whole {
            for (part, number) in sysfs::partitions(host, disk) {
                if number.value().is_some() || !drbd_only {
                    lower.add(&number, format!("{part}, a part of {disk}"));
                }
            }
        }
        lower
    }

    fn add(&mut self, number: &Known<PhysicalDevice>, name: String) {
        match number {
            Known::Is(PhysicalDevice { major, minor }) => {
                self.names.entry((*major, *minor)).or_insert(name);
            }
            Known::Unknown(why) => self.unknown = Some(why.clone()),
        }
    }
}

/// The name of the device and the number of the one that it stands on, where it is a loop device on another.
fn backing(lookup: &Lookup, device: PhysicalDevice) -> Result<Option<(String, Number)>> {
    if !MAYBE_LOOPS.contains(&device.major) {
        return Ok(None);
    }
    let host = lookup.host;
    let name = lookup.by_number(&format!("{}:{}", device.major, device.minor))?;
    let place = sysfs::find(host, &name).with_context(|| format!("sysfs has no {name}"))?;
    let disk = place.disk.as_deref().unwrap_or(&name);
    if !disk.starts_with("loop") {
        return Ok(None);
    }
    let file = host.read_optional(&format!("/sys/block/{disk}/loop/backing_file"))?;
    let number = number_at(host, &file.unwrap_or_default())?;
    Ok(number.map(|number| (name, (number.major, number.minor))))
}

fn reason<T>(known: &Known<T>) -> Option<String> {
    match known {
        Known::Is(_) => None,
        Known::Unknown(why) => Some(why.clone()),
    }
}
