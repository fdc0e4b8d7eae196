//! The block devices below DRBD, as sysfs tells them, and what their caches do
//! to a flush.
//!
//! Pure data: `gather/storage/` reads it. A stack is not a tree: two volumes
//! may stand on one disk, so devices refer to each other by name.

use super::drbd::untold;
use super::{Known, PhysicalDevice};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Every device below the volumes that were asked for, by kernel name (`sda1`, `dm-0`).
pub type Devices = BTreeMap<String, Device>;

/// One block device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Device {
    /// What drives it.
    pub kind: DeviceKind,
    /// Its numbers (`dev`).
    #[serde(default = "untold")]
    pub number: Known<PhysicalDevice>,
    /// Names under which an administrator knows it and which stay when disks are
    /// found in another order: device mapper name (`vg-lv`), md name, serial
    /// number, wwid. Without `/dev/`.
    pub names: Vec<String>,
    /// What the queue says (`queue/write_cache`, since Linux 4.7): the kernel's view,
    /// which decides whether a flush is passed on or dropped with success. It can be
    /// set by hand and then changes nothing in the drive.
    pub write_cache: Known<WriteCache>,
    /// Whether the queue takes FUA (`queue/fua`).
    pub fua: Known<bool>,
    /// What a SCSI or virtio disk itself says (`scsi_disk/H:C:T:L/cache_type`, `vda/cache_type`);
    /// `None` of others.
    pub cache_type: Known<Option<CacheType>>,
    /// Whether it is a turning disk (`queue/rotational`).
    pub rotational: Known<bool>,
    /// Vendor and model, where the driver tells them.
    pub model: Option<String>,
    /// The devices that it stands on, by kernel name (`slaves/`, a partition's disk,
    /// the device of a loop device's file). Empty for a disk.
    pub below: Known<Vec<String>>,
    /// Of a loop device: the file and whether its file system flushes.
    pub file: Option<BackingFile>,
    /// Why the administrator says that its cache survives a power cut, where he does:
    /// `[[non-volatile]]` of the settings, put in before the rules look.
    #[serde(default)]
    pub non_volatile: Option<String>,
}

/// What drives a block device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceKind {
    /// A device mapper target; its type word (`linear`, `crypt`, …) is not in sysfs.
    DeviceMapper,
    /// Software RAID, with its level (`md/level`).
    Md(Known<String>),
    /// bcache, with its mode (`bcache/cache_mode`).
    Bcache(Known<String>),
    /// A file.
    Loop,
    /// A part of another device.
    Partition,
    /// NVMe.
    Nvme,
    /// A SCSI, SATA or SAS disk.
    Scsi,
    /// A virtual disk of QEMU.
    Virtio,
    /// A virtual disk of Xen: this host is itself a guest.
    XenBlkfront,
    /// Another DRBD.
    Drbd,
    /// Any other, by the letters of its name (`nbd`, `rbd`, `zram`).
    #[serde(untagged)]
    Other(String),
}

/// `queue/write_cache`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WriteCache {
    /// "write back": flushes are passed on.
    WriteBack,
    /// "write through": flushes are dropped, as there is nothing to flush.
    WriteThrough,
}

/// `cache_type` of a disk (drivers/scsi/sd.c, sd_cache_types).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CacheType {
    /// "write through"
    WriteThrough,
    /// "none"
    None,
    /// "write back", or "write back, no read (daft)".
    WriteBack,
    /// A word of a newer kernel.
    #[serde(untagged)]
    Other(String),
}

/// The file of a loop device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct BackingFile {
    /// Its path (`loop/backing_file`).
    pub path: String,
    /// Whether its file system is mounted so that an fsync flushes the disk:
    /// neither `nobarrier` nor `barrier=0` (mountinfo).
    pub flushes: Known<bool>,
}

/// What a power cut does to what a device has acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cache {
    /// Nothing: it has no cache that would lose it.
    None,
    /// Nothing: it has one, and the administrator says why it survives.
    NonVolatile(String),
    /// It loses what was not flushed.
    Volatile,
    /// It cannot be told: why.
    Unknown(String),
}

impl Device {
    /// What its own cache does. Of a disk; a device on others has none of its own.
    pub fn cache(&self) -> Cache {
        if let Some(reason) = &self.non_volatile {
            return Cache::NonVolatile(reason.clone());
        }
        match (&self.cache_type, &self.write_cache) {
            // The drive's word comes before the queue's, which may have been set by hand.
            (Known::Is(Some(CacheType::WriteBack)), _) => Cache::Volatile,
            (Known::Is(Some(CacheType::WriteThrough | CacheType::None)), _) => Cache::None,
            (Known::Is(Some(CacheType::Other(word))), _) => {
                Cache::Unknown(format!("its cache_type is {word:?}"))
            }
            (Known::Unknown(why), _) => Cache::Unknown(why.clone()),
            (Known::Is(None), Known::Is(WriteCache::WriteBack)) => Cache::Volatile,
            (Known::Is(None), Known::Is(WriteCache::WriteThrough)) => Cache::None,
            (Known::Is(None), Known::Unknown(why)) => Cache::Unknown(why.clone()),
        }
    }
}

/// No volume stands on more devices than this.
pub const MOST_DEVICES: usize = 1000;

/// What was found on the way down from a device.
pub struct Walk<'a> {
    /// Each device once, from the top down.
    pub found: Vec<(&'a str, &'a Device)>,
    /// What is not known of the way, where something is not.
    pub unknown: Option<String>,
}

/// Every device below `root`, itself included.
pub fn stack<'a>(devices: &'a Devices, root: &'a str) -> Walk<'a> {
    walk(devices, &[root], |_| true)
}

/// Every device below any of `roots`, themselves included, up to [`MOST_DEVICES`].
pub fn stacks<'a>(devices: &'a Devices, roots: &[&'a str]) -> Walk<'a> {
    walk(devices, roots, |_| true)
}

/// Of the devices below `root` that have a volatile disk below them, or are one, which
/// disk. In one pass: what a peer has told of may be long.
pub fn volatile_below<'a>(devices: &'a Devices, root: &'a str) -> BTreeMap<&'a str, &'a str> {
    let found = stack(devices, root).found;
    let mut above: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, device) in found.iter().filter(|(_, device)| device.non_volatile.is_none()) {
        for below in device.below.value().into_iter().flatten() {
            above.entry(below).or_default().push(name);
        }
    }
    let is_volatile =
        |device: &Device| device.below == Known::Is(Vec::new()) && device.cache() == Cache::Volatile;
    let mut disks = BTreeMap::new();
    for (disk, _) in found.iter().filter(|(_, device)| is_volatile(device)) {
        let mut next = vec![*disk];
        while let Some(name) = next.pop() {
            if !disks.contains_key(name) {
                disks.insert(name, *disk);
                next.extend(above.get(name).into_iter().flatten());
            }
        }
    }
    disks
}

/// The disks at the bottom, and what the administrator vouches for: below that
/// nothing matters any more.
pub fn leaves<'a>(devices: &'a Devices, root: &'a str) -> Walk<'a> {
    let mut walk = walk(devices, &[root], |device| device.non_volatile.is_none());
    walk.found.retain(|(_, device)| device.non_volatile.is_some() || device.below == Known::Is(Vec::new()));
    walk
}

fn walk<'a>(devices: &'a Devices, roots: &[&'a str], enter: impl Fn(&Device) -> bool) -> Walk<'a> {
    let mut seen = BTreeSet::new();
    let mut next: VecDeque<&str> = roots.iter().copied().filter(|root| seen.insert(*root)).collect();
    let mut walk = Walk { found: Vec::new(), unknown: None };
    while let Some(name) = next.pop_front() {
        if walk.found.len() == MOST_DEVICES {
            walk.unknown =
                Some(format!("more than {MOST_DEVICES} devices are below {}", roots.join(" and ")));
            break;
        }
        let Some(device) = devices.get(name) else {
            walk.unknown = Some(format!("{name} was not looked at"));
            continue;
        };
        walk.found.push((name, device));
        match &device.below {
            _ if !enter(device) => {}
            Known::Is(below) => {
                let new = below.iter().map(String::as_str).filter(|name| seen.insert(name));
                // One more than may be found says that there are too many.
                next.extend(new.take(MOST_DEVICES + 1));
            }
            Known::Unknown(why) => walk.unknown = Some(format!("what {name} stands on is unknown: {why}")),
        }
    }
    walk
}
