//! Which backend device of this host has been given which block device.
//!
//! A guest's start must look at every other one, so a host that starts n guests
//! would read n² values. It need not: blkback takes `physical-device` once and
//! refuses a later change (xen-blkback/xenbus.c, backend_changed), so what was
//! read stays true as long as that very device lives. The kernel names a device
//! anew by an inode number that it never uses twice (fs/kernfs/dir.c:620-630). Each value is read once and remembered under that number.

use super::vbd::BACKENDS;
use crate::facts::{PhysicalDevice, Vbd};
use crate::host::Host;
use anyhow::Result;
use std::collections::{BTreeMap, BTreeSet};

/// Where this program remembers what it has read; `act` writes it.
pub const MEMORY: &str = "/run/block-drbd/vbds";

/// The kernel's own list: one entry `vbd-DOMAIN-DEVICE` a device.
pub(super) const KERNEL_LIST: &str = "/sys/bus/xen-backend/devices";

/// A backend device by its guest, its number there, and its inode number in
/// sysfs, where the kernel lists it.
type Device = (u32, u32, Option<u64>);

/// Every backend device that has been given a block device.
pub fn vbds(host: &Host) -> Result<Vec<Vbd>> {
    let devices = devices(host)?;
    let memory = memory(host);
    let remembered = |device: &Device| memory.get(device).copied();
    let new: Vec<Device> = devices.iter().copied().filter(|device| remembered(device).is_none()).collect();
    let old = devices.iter().filter_map(|device| Some(vbd(*device, remembered(device)?)));
    let mut vbds: Vec<Vbd> = old.collect();
    vbds.extend(read(host, &new)?);
    Ok(vbds)
}

/// The text of the memory that `vbds` make, where it is not what is there: only
/// what can be told from a successor is remembered.
pub fn to_remember(host: &Host, vbds: &[Vbd]) -> Option<String> {
    let text = text(vbds);
    let there = remembered_text(host);
    (there.trim_end() != text.trim_end()).then_some(text)
}

fn text(vbds: &[Vbd]) -> String {
    let line = |vbd: &Vbd| Some(format!("{} {} {} {}\n", vbd.domid, vbd.devid, vbd.inode?, vbd.device));
    let mut lines: Vec<String> = vbds.iter().filter_map(line).collect();
    lines.sort();
    lines.concat()
}

fn vbd((domid, devid, inode): Device, device: PhysicalDevice) -> Vbd {
    Vbd { domid, devid, inode, device }
}

/// From the kernel's list; from xenstore where the kernel has none.
fn devices(host: &Host) -> Result<Vec<Device>> {
    let listed = host.list_inodes(KERNEL_LIST)?;
    if listed.is_empty() {
        return devices_in_xenstore(host);
    }
    let parse = |(name, inode): (String, u64)| {
        let (domid, devid) = name.strip_prefix("vbd-")?.split_once('-')?;
        Some((domid.parse().ok()?, devid.parse().ok()?, Some(inode)))
    };
    Ok(listed.into_iter().filter_map(parse).collect())
}

fn devices_in_xenstore(host: &Host) -> Result<Vec<Device>> {
    let xenstore = host.xenstore()?;
    let mut devices = Vec::new();
    for domid in numbers(xenstore.directory(BACKENDS)?) {
        for devid in numbers(xenstore.directory(&format!("{BACKENDS}/{domid}"))?) {
            devices.push((domid, devid, None));
        }
    }
    Ok(devices)
}

pub(super) fn numbers(names: Option<Vec<String>>) -> Vec<u32> {
    names.unwrap_or_default().iter().filter_map(|name| name.parse().ok()).collect()
}

/// Asks xenstore for the devices that are not remembered.
fn read(host: &Host, devices: &[Device]) -> Result<Vec<Vbd>> {
    let path = |(domid, devid, _): &Device| format!("{BACKENDS}/{domid}/{devid}/physical-device");
    let paths: Vec<String> = devices.iter().map(path).collect();
    let values = host.xenstore()?.read_many(&paths)?;
    let parse = |value: Vec<u8>| PhysicalDevice::parse(std::str::from_utf8(&value).ok()?);
    let told = devices.iter().zip(values).map(|(device, value)| (*device, value.and_then(parse)));
    let kernel = |device: &Device| device_of_kernel(host, device);
    Ok(told.filter_map(|(device, told)| Some(vbd(device, told.or_else(|| kernel(&device))?))).collect())
}

/// What blkback itself says that it has opened. It says nothing before it has, and nothing any more from the
/// moment in which it begins to close (xen-blkback/xenbus.c, xenvbd_sysfs_addif and xenvbd_sysfs_delif).
fn device_of_kernel(host: &Host, (domid, devid, inode): &Device) -> Option<PhysicalDevice> {
    (*inode)?;
    let path = format!("{KERNEL_LIST}/vbd-{domid}-{devid}/physical_device");
    PhysicalDevice::parse(&host.read_optional(&path).ok()??)
}

/// The guests with a device that the kernel lists and of which nothing else is known: xenstore has no
/// directory of it any more, and blkback may still be closing it.
pub(super) fn unseen(host: &Host, vbds: &[Vbd]) -> Result<Vec<u32>> {
    let known: BTreeSet<(u32, u32)> = vbds.iter().map(|vbd| (vbd.domid, vbd.devid)).collect();
    let listed = devices(host)?.into_iter().filter(|(_, _, inode)| inode.is_some());
    let left: Vec<Device> = listed.filter(|(domid, devid, _)| !known.contains(&(*domid, *devid))).collect();
    let state = |(domid, devid, _): &Device| format!("{BACKENDS}/{domid}/{devid}/state");
    let states = host.xenstore()?.read_many(&left.iter().map(state).collect::<Vec<_>>())?;
    Ok(left.iter().zip(states).filter(|(_, state)| state.is_none()).map(|(device, _)| device.0).collect())
}

/// What is not to be believed is not remembered, and read anew.
fn remembered_text(host: &Host) -> String {
    host.read_own(MEMORY).ok().flatten().map(|stored| stored.text).unwrap_or_default()
}

/// What earlier calls have read. A line that cannot be understood is read anew.
fn memory(host: &Host) -> BTreeMap<Device, PhysicalDevice> {
    if !inodes_are_unique(host) {
        return BTreeMap::new();
    }
    remembered_text(host).lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<(Device, PhysicalDevice)> {
    let words: Vec<&str> = line.split(' ').collect();
    let [domid, devid, inode, device] = words[..] else { return None };
    let device = PhysicalDevice::parse(device)?;
    Some(((domid.parse().ok()?, devid.parse().ok()?, Some(inode.parse().ok()?)), device))
}

/// Read in Linux 6.1, where numbers have 64 bits and only grow. Older kernels
/// have not been read: there nothing is remembered.
fn inodes_are_unique(host: &Host) -> bool {
    let release = host.read_text("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split(['.', '-']).map(|number| number.parse::<u32>());
    matches!((numbers.next(), numbers.next()), (Some(Ok(major)), Some(Ok(minor))) if (major, minor) >= (6, 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_read_back() {
        let device = PhysicalDevice { major: 147, minor: 3 };
        let vbds = [vbd((5, 51712, Some(77)), device), vbd((6, 51712, None), device)];
        let text = text(&vbds);
        assert_eq!(text, "5 51712 77 93:3\n");
        assert_eq!(parse_line(text.trim_end()), Some(((5, 51712, Some(77)), device)));
        for line in ["", "5 51712 77", "5 51712 77 93:3 x", "a b c d", "5 51712 -1 93:3"] {
            assert_eq!(parse_line(line), None, "{line}");
        }
    }
}
