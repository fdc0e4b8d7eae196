//! What a domain configuration says, as plain data.
//!
//! Only what the rules on domain configurations need. Nothing here reads or
//! judges anything. A setting that Python code may have changed is
//! [`Known::Unknown`], never its default.

use crate::facts::Known;
use crate::place::Place;
use crate::target::Target;
use serde::Serialize;
use std::sync::Arc;

/// One domain configuration: a file that `xl create` or `xm create` is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct GuestConfig {
    /// The file.
    pub path: String,
    /// `name`.
    pub name: Known<Option<String>>,
    /// `uuid`; xl makes one up for a guest without.
    pub uuid: Known<Option<String>>,
    /// `type`, else `builder`, else PV, which is xl's default on x86.
    pub kind: Known<GuestKind>,
    /// `bootloader`, such as pygrub: it reads the guest's disk in dom0 before the guest runs.
    pub bootloader: Known<Option<String>>,
    /// `kernel`.
    pub kernel: Known<Option<String>>,
    /// `cmdline`: the whole kernel command line; xl then ignores `root` and `extra`.
    pub cmdline: Known<Option<String>>,
    /// `root`: the kernel's `root=`.
    pub root: Known<Option<String>>,
    /// `extra`: the rest of the kernel command line.
    pub extra: Known<Option<String>>,
    /// `device_model_stubdomain_override`: whether qemu runs in a domain of its own.
    pub stubdomain: Known<Option<bool>>,
    /// `disk`, in order; empty where the file has none.
    pub disks: Known<Vec<ConfigDisk>>,
    /// What was read and not understood, in order.
    pub not_evaluated: Vec<NotEvaluated>,
}

/// How the guest is virtualised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum GuestKind {
    /// Paravirtualised.
    Pv,
    /// In a hardware container, without qemu.
    Pvh,
    /// A full machine; qemu emulates its disks too.
    Hvm,
    /// Another word.
    Other(String),
}

/// Python code in a configuration. xl refuses a file that has any; xm ran it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct NotEvaluated {
    /// Where its statement begins.
    pub place: Place,
    /// One clause that names the setting or the word.
    pub what: String,
}

/// One element of `disk` (xl-disk-configuration(5)).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ConfigDisk {
    /// The element as written, its escapes resolved.
    pub text: String,
    /// Where its first quote stands.
    pub place: Place,
    /// What the backend is to open, or what `script` is given; empty for an empty CD drive.
    pub target: String,
    /// `script=`, or what the prefixes `drbd:`, `iscsi:`, `nbd:` and `enbd:` stand for.
    pub script: Option<String>,
    /// The guest's name of the disk. `None` only where `target=` swallowed the
    /// rest of the line; xl refuses a disk without one.
    pub vdev: Option<String>,
    /// What the guest may do.
    pub access: Access,
    /// The format of the image.
    pub format: Format,
    /// The domain that serves the disk; `None` is dom0.
    pub backend: Option<String>,
    /// What serves the disk there; `None` lets libxl choose.
    pub backendtype: Option<BackendType>,
    /// Whether it is a CD drive.
    pub cdrom: bool,
    /// Whether COLO replicates it.
    pub colo: bool,
    /// The deprecated prefixes as written (`phy:`, `tap:aio:`).
    pub prefix: Option<String>,
}

impl ConfigDisk {
    /// The words that `target=` swallowed because it was not the last: it takes
    /// the rest of the line, and a target without its name holds no comma.
    pub fn swallowed(&self) -> Vec<&str> {
        self.target.split(',').skip(1).map(str::trim).collect()
    }
}

/// What a guest may do with a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// `r`, `ro`; always for a CD drive.
    ReadOnly,
    /// `w`, `rw`.
    ReadWrite,
    /// `w!`: xm then skips the check that nobody else uses the device. xl refuses the word.
    Forced,
}

/// The format of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// None: the bytes of the disk.
    Raw,
    /// qemu's first.
    Qcow,
    /// qemu's second.
    Qcow2,
    /// Microsoft's.
    Vhd,
    /// qemu's third.
    Qed,
    /// A CD drive without a disc.
    Empty,
}

/// What serves a disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BackendType {
    /// blkback, in the kernel. The only one that runs a script.
    Phy,
    /// blktap.
    Tap,
    /// qemu.
    Qdisk,
    /// A virtio program that the toolstack does not start.
    Standalone,
    /// Another word; the xl of this writing refuses it.
    Other(String),
}

/// Everything about a domain configuration that the rules look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct GuestFacts {
    /// The configuration.
    pub config: GuestConfig,
    /// The hypervisor's version, which is that of the toolstack.
    pub xen: Known<(u32, u32)>,
    /// What stands at /etc/xen/scripts/block-drbd.
    pub script: Known<Script>,
    /// `run_hotplug_scripts` of xl.conf, where it is set.
    pub run_hotplug_scripts: Known<Option<bool>>,
    /// DRBD's volumes on this host, the same for every configuration.
    #[serde(skip)]
    pub volumes: Known<Arc<[DrbdVolume]>>,
    /// Which other configurations have disks on the same resources.
    pub others: Vec<SharedWith>,
    /// The other configurations with the same `uuid`, by their paths.
    pub same_uuid: Vec<String>,
}

/// The hotplug script that is installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Script {
    /// There is none.
    Missing,
    /// It cannot be executed.
    NotExecutable,
    /// It begins with `#!`: drbd-utils' own shell script.
    Shell,
    /// A program.
    Program,
}

/// A volume of this host, by all that a disk line may call it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct DrbdVolume {
    /// Its resource.
    pub resource: String,
    /// Its number there.
    pub number: u32,
    /// N of /dev/drbdN.
    pub minor: u32,
    /// The devices below it that hold its data and meta data, without /dev/.
    pub below: Vec<String>,
}

/// Another configuration on the same resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SharedWith {
    /// The resource.
    pub resource: String,
    /// The other file.
    pub path: String,
    /// Whether a disk there may be on the same volume as one here.
    pub same_volume: bool,
}

/// Where a disk line leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeadsTo<'a> {
    /// Through this program; the target, or what is wrong with it.
    Gate(Result<Target, String>),
    /// Past this program to a DRBD device; which volume it is, where that is known.
    Drbd(Option<&'a DrbdVolume>),
    /// Below a DRBD device, behind its back.
    BelowDrbd(&'a DrbdVolume),
    /// To something else, which DRBD does not replicate.
    Elsewhere,
    /// A CD drive.
    Cdrom,
}

/// The name of this program as a hotplug script.
pub const SCRIPT: &str = "block-drbd";

impl ConfigDisk {
    /// Where the disk leads on a host with these volumes.
    pub fn leads_to<'a>(&self, volumes: &'a [DrbdVolume]) -> LeadsTo<'a> {
        let script = self.script.as_deref().map(|script| script.rsplit('/').next().unwrap_or(script));
        if script == Some(SCRIPT) {
            return LeadsTo::Gate(Target::parse(self.target.as_bytes()));
        }
        if self.cdrom {
            return LeadsTo::Cdrom;
        }
        let device = self.target.strip_prefix("/dev/").unwrap_or(&self.target);
        if device.starts_with("drbd") {
            return LeadsTo::Drbd(volumes.iter().find(|volume| volume.is_called(device)));
        }
        if script.is_some() {
            return match volumes.iter().find(|volume| volume.resource == self.target) {
                Some(volume) => LeadsTo::Drbd(Some(volume)),
                None => LeadsTo::Elsewhere,
            };
        }
        let device = device.strip_prefix("mapper/").unwrap_or(device);
        match volumes.iter().find(|volume| volume.below.iter().any(|below| below == device)) {
            Some(volume) => LeadsTo::BelowDrbd(volume),
            None => LeadsTo::Elsewhere,
        }
    }
}

impl LeadsTo<'_> {
    /// The volume that it leads to, where that is known.
    pub fn target(&self) -> Option<Target> {
        match self {
            LeadsTo::Gate(Ok(target)) => Some(target.clone()),
            LeadsTo::Drbd(Some(volume)) => {
                Some(Target { resource: volume.resource.clone(), volume: Some(volume.number) })
            }
            _ => None,
        }
    }

    /// The resource that it leads to, and the volume where it names one, as far as that is known.
    pub fn place(&self) -> Option<(&str, Option<u32>)> {
        match self {
            LeadsTo::Gate(Ok(target)) => Some((&target.resource, target.volume)),
            LeadsTo::Drbd(Some(volume)) | LeadsTo::BelowDrbd(volume) => {
                Some((&volume.resource, Some(volume.number)))
            }
            _ => None,
        }
    }

    /// The resource that it leads to, where that is known.
    pub fn resource(&self) -> Option<&str> {
        self.place().map(|(resource, _)| resource)
    }

    /// Whether both lead to one volume. A resource without a number means its only volume.
    pub fn is_same_volume(&self, other: &LeadsTo) -> bool {
        let (Some((resource, volume)), Some(other)) = (self.place(), other.place()) else { return false };
        resource == other.0 && (volume.is_none() || other.1.is_none() || volume == other.1)
    }
}

impl DrbdVolume {
    /// Whether `device`, without /dev/, is a name of it: `drbd3`, `drbd/by-res/NAME` or `drbd/by-res/NAME/0`.
    fn is_called(&self, device: &str) -> bool {
        let DrbdVolume { resource, number, minor, .. } = self;
        device == format!("drbd{minor}")
            || device == format!("drbd_{resource}")
            || device == format!("drbd/by-res/{resource}/{number}")
            || (*number == 0 && device == format!("drbd/by-res/{resource}"))
    }
}
