//! Guests of this host as xenstore has them: which there are, and what disks they have.

use super::sharing::numbers;
use super::vbd::{BACKENDS, text};
use crate::facts::PhysicalDevice;
use crate::host::Host;
use anyhow::{Result, bail};

/// A guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domain {
    /// Its number on this host.
    pub domid: u32,
    /// Its name.
    pub name: String,
    /// Its `vm` node (`/vm/UUID`).
    pub vm: Option<String>,
    /// Its disks whose backend is this host.
    pub disks: Vec<Disk>,
}

/// A disk of a guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// Its number within the guest.
    pub devid: u32,
    /// How the guest calls it (`dev`), such as xvda; its number where that is missing.
    pub name: String,
    /// The DRBD device that blkback was given (`physical-device`), where it is one.
    pub drbd_minor: Option<u32>,
    /// What the disk line named (`params`).
    pub params: String,
}

/// The guest with that name or number. As for xl, a word of digits is a number and never a name
/// (libxl_utils.c, libxl_domain_qualifier_to_domid): a guest that is called 7 is found by its own number.
pub fn find(host: &Host, word: &str) -> Result<Option<Domain>> {
    let xenstore = host.xenstore()?;
    let is_number = word.bytes().all(|byte| byte.is_ascii_digit());
    let mut found = None;
    for domid in numbers(xenstore.directory("/local/domain")?) {
        let Some(name) = text(xenstore, &format!("/local/domain/{domid}/name"))? else { continue };
        let is_meant = if is_number { word.parse() == Ok(domid) } else { name == word };
        if !is_meant {
            continue;
        }
        if let Some((other, _)) = found {
            bail!("domains {other} and {domid} are both called {word}; name the one you mean by its number");
        }
        found = Some((domid, name));
    }
    let with_disks = |(domid, name)| {
        let vm = text(xenstore, &format!("/local/domain/{domid}/vm"))?;
        Ok(Domain { domid, name, vm, disks: disks(host, domid)? })
    };
    found.map(with_disks).transpose()
}

fn disks(host: &Host, domid: u32) -> Result<Vec<Disk>> {
    let directory = format!("{BACKENDS}/{domid}");
    let (xenstore, major) = (host.xenstore()?, super::major(host)?);
    let mut disks = Vec::new();
    for devid in numbers(xenstore.directory(&directory)?) {
        let node = |name: &str| text(xenstore, &format!("{directory}/{devid}/{name}"));
        disks.push(Disk {
            devid,
            name: node("dev")?.unwrap_or_else(|| devid.to_string()),
            drbd_minor: node("physical-device")?
                .and_then(|device| PhysicalDevice::parse(&device))
                .filter(|device| device.major == major)
                .map(|device| device.minor),
            params: node("params")?.unwrap_or_default(),
        });
    }
    Ok(disks)
}
