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
use crate::facts::{DiskState, Facts, Known, LowerUser, PhysicalDevice, Volume};
use crate::host::{Host, device};
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;

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

/// Every guest that has a device on which the named volume stands.
pub fn look(host: &Host, around: &Around, facts: &Facts) -> Result<Vec<LowerUser>> {
    let (Some(volume), Known::Is(vbds)) = (facts.volume(), &facts.vbds) else { return Ok(Vec::new()) };
    if volume.disk == DiskState::Diskless {
        return Ok(Vec::new());
    }
    let is_drbd = |opened: &Opened| facts.major == Known::Is(opened.device.major);
    let mut others: Vec<Opened> = vbds.iter().map(of_vbd).collect();
    others.extend(around.qdisks(host)?.iter().cloned());
    others.retain(|opened| !(is_drbd(opened) && opened.device.minor == volume.minor));
    let unseen = unseen(host, vbds)?;
    if others.is_empty() && unseen.is_empty() {
        return Ok(Vec::new());
    }
    let mut lower = Lower::below(host, facts, volume, others.iter().all(is_drbd));
    let gone = Presence { live: true, leaving: true };
    let mut users: Vec<LowerUser> = unseen.into_iter().map(closing).collect();
    for opened in others {
        let Some(device) = lower.name_of(opened.device, is_drbd(&opened)) else { continue };
        let found = presence(host.xenstore()?, &opened.backend)?.or(opened.is_listed.then_some(gone));
        let Some(Presence { live, leaving }) = found else { continue };
        users.push(LowerUser { domid: opened.domid, device: Known::Is(device), live, leaving });
    }
    match lower.unknown {
        Some(why) if !users.iter().any(|user| user.live) => bail!("{why}"),
        _ => Ok(users),
    }
}

/// A guest of whose device only the kernel knows.
fn closing(domid: u32) -> LowerUser {
    let why = format!("the kernel lists a device of domain {domid}, of which xenstore says nothing");
    LowerUser { domid, device: Known::Unknown(why), live: true, leaving: true }
}

fn of_vbd(vbd: &crate::facts::Vbd) -> Opened {
    let backend = format!("{BACKENDS}/{}/{}", vbd.domid, vbd.devid);
    Opened { domid: vbd.domid, backend, device: vbd.device, is_listed: vbd.inode.is_some() }
}

/// Every block device that qemu serves to a guest. `params` is `FORMAT:PATH` there (libxl_device.c,
/// libxl__device_disk_string_of_format).
pub fn qdisks(host: &Host) -> Result<Vec<Opened>> {
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
struct Lower<'a> {
    lookup: Lookup<'a>,
    /// What a message calls each device.
    names: BTreeMap<(u32, u32), String>,
    unknown: Option<String>,
}

impl<'a> Lower<'a> {
    /// Where guests have DRBD devices only, the number of another device need not be known.
    fn below(host: &'a Host, facts: &Facts, volume: &Volume, drbd_only: bool) -> Lower<'a> {
        let parts = [&volume.data, &volume.meta];
        let roots: Vec<&str> = parts.into_iter().filter_map(Known::value).map(String::as_str).collect();
        let walk = stacks(&facts.devices, &roots);
        let unknown = parts.into_iter().find_map(reason).or(walk.unknown);
        let mut lower = Lower { lookup: Lookup::new(host), names: BTreeMap::new(), unknown };
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

    /// What a message calls the device, where it is one of these or a loop device on one.
    fn name_of(&mut self, device: PhysicalDevice, is_drbd: bool) -> Option<String> {
        let number = (device.major, device.minor);
        if let Some(name) = self.names.get(&number) {
            return Some(name.clone());
        }
        if !MAYBE_LOOPS.contains(&device.major) {
            return None;
        }
        match self.loop_on(device) {
            Ok(found) => found,
            Err(_) if is_drbd => None,
            Err(error) => {
                self.unknown = Some(format!("{error:#}"));
                None
            }
        }
    }

    fn loop_on(&self, device: PhysicalDevice) -> Result<Option<String>> {
        let host = self.lookup.host;
        let name = self.lookup.by_number(&format!("{}:{}", device.major, device.minor))?;
        let place = sysfs::find(host, &name).with_context(|| format!("sysfs has no {name}"))?;
        let disk = place.disk.as_deref().unwrap_or(&name);
        if !disk.starts_with("loop") {
            return Ok(None);
        }
        let file = host.read_optional(&format!("/sys/block/{disk}/loop/backing_file"))?;
        let Some(number) = number_at(host, &file.unwrap_or_default())? else { return Ok(None) };
        let below = self.names.get(&(number.major, number.minor));
        Ok(below.map(|below| format!("{name}, a loop device on {below}")))
    }
}

fn reason<T>(known: &Known<T>) -> Option<String> {
    match known {
        Known::Is(_) => None,
        Known::Unknown(why) => Some(why.clone()),
    }
}
