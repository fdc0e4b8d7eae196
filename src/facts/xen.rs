//! What xenstore and sysfs say of Xen's backend devices.

use super::Known;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The end of the name that xl gives a guest until its migration has ended (xl_vmcontrol.c).
pub const INCOMING: &str = "--incoming";

/// The end of the name that xl gives the half of a guest that stays behind (xl_migrate.c).
pub const MIGRATED_AWAY: &str = "--migratedaway";

/// Our own backend directory in xenstore, as the toolstack wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Backend {
    /// The guest.
    pub domid: u32,
    /// The device within the guest.
    pub devid: u32,
    /// `params`: what `target=` said, verbatim.
    pub params: Vec<u8>,
    /// `state` (XenbusState): 2 is InitWait, in which the toolstack expects us.
    pub state: String,
    /// `physical-device`, once it is written: major and minor.
    pub physical_device: Option<PhysicalDevice>,
    /// The guest's name, for messages (`/local/domain/D/name`).
    pub guest: Option<String>,
    /// The guest's `vm` node (`/vm/UUID`).
    pub vm: Option<String>,
    /// The guest that this domain is the device model of (`/local/domain/D/target`).
    pub target: Option<u32>,
}

/// The first Xen in which a guest cannot write its own `name`, `vm` and `target`: libxl gives
/// `/local/domain/D` to dom0 (libxl_create.c, libxl__domain_make), xend gave it to the guest
/// (XendDomainInfo.py, _createDomain).
const NAMES_ARE_DOM0S: (u32, u32) = (4, 2);

/// Whether the guests of a host with this Xen cannot write their own `name`, `vm` and `target`.
/// Where the version is not known, they may.
pub fn names_are_dom0s(xen: &Known<(u32, u32)>) -> bool {
    xen.value().is_some_and(|version| *version >= NAMES_ARE_DOM0S)
}

/// Which guest a domain is, by what the toolstack writes below `/local/domain/D`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity<'a> {
    /// Its number.
    pub domid: u32,
    /// Its name.
    pub name: Option<&'a str>,
    /// Its `vm` node.
    pub vm: Option<&'a str>,
    /// The guest that it is the device model of.
    pub target: Option<u32>,
}

impl Identity<'_> {
    /// Whether the two have the `vm` node and the name of one guest, whichever half of it each is.
    /// Equal nodes alone may be two guests whose configurations have one `uuid`.
    pub fn is_same_guest(&self, other: &Identity) -> bool {
        let equal = |one: Option<&str>, other: Option<&str>| one.is_some() && one == other;
        equal(self.vm, other.vm) && equal(self.name.map(whole_name), other.name.map(whole_name))
    }

    /// Whether the two are certainly two guests: both names, or both `vm` nodes, are known and differ.
    pub fn is_another_guest(&self, other: &Identity) -> bool {
        let differ = |one: Option<&str>, other: Option<&str>| {
            one.is_some_and(|one| other.is_some_and(|other| one != other))
        };
        differ(self.vm, other.vm) || differ(self.name.map(whole_name), other.name.map(whole_name))
    }

    /// Whether the two are halves of one guest that moves within this host: xl tells them apart by
    /// the ends of their names (xl_migrate.c).
    pub fn is_half_of(&self, other: &Identity) -> bool {
        self.name != other.name && self.is_same_guest(other)
    }

    /// Whether one of the two is a stub domain, which runs the device model of the other.
    pub fn is_stub_of(&self, other: &Identity) -> bool {
        self.target == Some(other.domid) || other.target == Some(self.domid)
    }
}

/// A guest that has a volume of a resource, as its host tells other hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeUser {
    /// The volume's number.
    pub volume: u32,
    /// The guest's number on its host.
    pub domid: u32,
    /// The device within the guest, which keeps its number when the guest moves; `None` where the host has
    /// an older version of this program, which does not tell it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub devid: Option<u32>,
    /// The guest's name, where it has one.
    pub guest: Option<String>,
    /// The guest's `vm` node (`/vm/UUID`), which it keeps when it moves.
    pub vm: Option<String>,
}

impl VolumeUser {
    /// Which guest it is, by what its host says.
    pub fn identity(&self) -> Identity<'_> {
        let (name, vm) = (self.guest.as_deref(), self.vm.as_deref());
        Identity { domid: self.domid, name, vm, target: None }
    }
}

/// The name of a guest, of whichever half.
fn whole_name(name: &str) -> &str {
    name.strip_suffix(INCOMING).or_else(|| name.strip_suffix(MIGRATED_AWAY)).unwrap_or(name)
}

impl Backend {
    /// Which guest it belongs to.
    pub fn identity(&self) -> Identity<'_> {
        let (name, vm) = (self.guest.as_deref(), self.vm.as_deref());
        Identity { domid: self.domid, name, vm, target: self.target }
    }
}

/// Major and minor as `physical-device` spells them: `%x:%x`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhysicalDevice {
    /// The driver.
    pub major: u32,
    /// The device.
    pub minor: u32,
}

impl PhysicalDevice {
    /// Reads `93:3`.
    pub fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once(':')?;
        let number = |text: &str| u32::from_str_radix(text, 16).ok();
        Some(PhysicalDevice { major: number(major)?, minor: number(minor)? })
    }
}

/// Lower case and unpadded: Xen's scripts compare the text (`stat -c %t:%T`, block-common.sh).
impl fmt::Display for PhysicalDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}:{:x}", self.major, self.minor)
    }
}

/// A backend device that has been given a block device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Vbd {
    /// The guest.
    pub domid: u32,
    /// The device within the guest.
    pub devid: u32,
    /// The inode number of its entry in sysfs, which no other device ever has;
    /// `None` where the kernel does not list it.
    pub inode: Option<u64>,
    /// What it was given.
    pub device: PhysicalDevice,
}

/// Another backend device that has a volume of the resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct User {
    /// The guest.
    pub domid: u32,
    /// The device within the guest.
    pub devid: u32,
    /// The volume's minor.
    pub minor: u32,
    /// The guest's name, where it has one.
    pub guest: Option<String>,
    /// The guest's `vm` node (`/vm/UUID`).
    pub vm: Option<String>,
    /// The guest that this domain is the device model of.
    pub target: Option<u32>,
    /// Whether blkback may have it open: the guest exists and the device is not closed.
    pub live: bool,
    /// Whether the toolstack is taking it away (`online` is 0).
    pub leaving: bool,
}

/// A guest with a device on which a volume stands: it writes behind DRBD's back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LowerUser {
    /// The guest.
    pub domid: u32,
    /// The device in words: `vda`, `vda1, a part of vda`; unknown where only the kernel lists it.
    pub device: Known<String>,
    /// Whether its backend may have it open.
    pub live: bool,
    /// Whether the toolstack is taking it away (`online` is 0).
    pub leaving: bool,
}

impl User {
    /// Which guest it belongs to.
    pub fn identity(&self) -> Identity<'_> {
        let (name, vm) = (self.guest.as_deref(), self.vm.as_deref());
        Identity { domid: self.domid, name, vm, target: self.target }
    }

    /// Whether xenstore has nothing of the guest any more but this device: libxl removes the devices of a
    /// guest before the guest itself (libxl_domain.c), so that nothing will remove this one.
    pub fn domain_is_gone(&self) -> bool {
        self.guest.is_none() && self.vm.is_none()
    }

    /// How a message calls the guest: `guest vm (domain 5)`.
    pub fn called(&self) -> String {
        match &self.guest {
            Some(name) => format!("guest {name} (domain {})", self.domid),
            None => format!("domain {}", self.domid),
        }
    }

    /// What the guest calls the device, from its number (xen-vbd-interface(7)): `xvda`, `sdb1`.
    /// A number of no kind that is known stays a number.
    pub fn vdev(&self) -> String {
        vdev(self.devid)
    }

    /// Whether xl calls the guest one that is still moving in.
    pub fn is_incoming(&self) -> bool {
        self.guest.as_ref().is_some_and(|name| name.ends_with(INCOMING))
    }
}

/// What a guest calls the device with this number (xen-vbd-interface(7)).
pub fn vdev(devid: u32) -> String {
    let (prefix, disk, partition) = match (devid >> 28, devid >> 8, devid & 0xff) {
        (1, ..) => ("xvd", (devid & 0x0fff_ffff) >> 8, devid & 0xff),
        (0, 202, low) => ("xvd", low >> 4, low & 15),
        (0, 8, low) => ("sd", low >> 4, low & 15),
        (0, 3, low) => ("hd", low >> 6, low & 63),
        (0, 22, low) => ("hd", 2 + (low >> 6), low & 63),
        _ => return devid.to_string(),
    };
    let partition = if partition == 0 { String::new() } else { partition.to_string() };
    format!("{prefix}{}{partition}", letters(disk))
}

/// 0 is a, 25 is z, 26 is aa.
fn letters(disk: u32) -> String {
    let last = char::from(b'a' + (disk % 26) as u8);
    match disk / 26 {
        0 => last.to_string(),
        more => format!("{}{last}", letters(more - 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::vdev;

    #[test]
    fn a_device_is_called_as_in_its_guest() {
        for (devid, name) in [
            (51712, "xvda"),
            (51713, "xvda1"),
            (51728, "xvdb"),
            (51952, "xvdp"),
            (268_439_552, "xvdq"),
            (268_442_112, "xvdaa"),
            (268_435_456 + 16, "xvda16"),
            (2048, "sda"),
            (2065, "sdb1"),
            (768, "hda"),
            (832, "hdb"),
            (5632, "hdc"),
            (5697, "hdd1"),
            (0, "0"),
            (4_294_967_295, "4294967295"),
        ] {
            assert_eq!(vdev(devid), name, "{devid}");
        }
    }
}
