//! What xenstore and sysfs say of Xen's backend devices.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Our own backend directory in xenstore, as the toolstack wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Backend {
    /// `params`: what `target=` said, verbatim.
    pub params: Vec<u8>,
    /// `state` (XenbusState): 2 is InitWait, in which the toolstack expects us.
    pub state: String,
    /// `physical-device`, once it is written: major and minor.
    pub physical_device: Option<PhysicalDevice>,
    /// The guest's name, for messages (`/local/domain/D/name`).
    pub guest: Option<String>,
    /// The guest's `vm` node, which is the same for both halves of a localhost migration.
    pub vm: Option<String>,
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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
    /// Whether blkback may have it open: the guest exists and the device is not closed.
    pub live: bool,
    /// Whether the toolstack is taking it away (`online` is 0).
    pub leaving: bool,
    /// Whether it belongs to the same guest as our own device: a localhost
    /// migration, or a stub domain and its guest.
    pub same_guest: bool,
}
