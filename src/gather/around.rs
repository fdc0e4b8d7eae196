//! What is the same for every resource of a host: read once, however many there are.

use super::{lower_users, sharing, storage};
use crate::facts::storage::Devices;
use crate::facts::{Known, Resource, Vbd, devices_below};
use crate::host::Host;
use anyhow::{Result, anyhow};
use std::cell::OnceCell;

/// What is the same for every resource of a host.
pub struct Around {
    /// The major number of DRBD's devices.
    pub(super) major: Known<u32>,
    /// Every backend device of this host that has been given a block device.
    pub(super) vbds: Known<Vec<Vbd>>,
    /// The devices below all resources, where all were looked at.
    devices: Option<Devices>,
    /// The block devices that guests have, once they were asked for.
    opened: OnceCell<Known<lower_users::AllOpened>>,
}

impl Around {
    /// For one resource, whose devices are looked at with it.
    pub fn look(host: &Host) -> Around {
        let vbds = Known::from(host.timed("sharing", || sharing::vbds(host)));
        Around { major: Known::from(super::major(host)), vbds, devices: None, opened: OnceCell::new() }
    }

    /// For all `resources`. Fills in what each volume's data and meta data lie on.
    pub fn all(host: &Host, resources: &mut [Resource]) -> Around {
        let devices = host.timed("storage", || storage::look(host, resources));
        Around { devices: Some(devices), ..Around::look(host) }
    }

    /// The devices below all resources; none where they were not looked at.
    pub fn devices(&self) -> Option<&Devices> {
        self.devices.as_ref()
    }

    /// The block devices that guests have.
    pub(super) fn opened(&self, host: &Host) -> Result<&lower_users::AllOpened> {
        let read = || match &self.vbds {
            Known::Is(vbds) => Known::from(lower_users::AllOpened::read(host, vbds, &self.major)),
            Known::Unknown(why) => Known::Unknown(why.clone()),
        };
        match self.opened.get_or_init(read) {
            Known::Is(opened) => Ok(opened),
            Known::Unknown(why) => Err(anyhow!("{why}")),
        }
    }

    /// The devices below one resource.
    pub(super) fn devices_of(&self, host: &Host, resource: &mut Resource) -> Devices {
        match &self.devices {
            Some(devices) => devices_below(devices, std::slice::from_ref(resource)),
            None => host.timed("storage", || storage::look(host, std::slice::from_mut(resource))),
        }
    }
}
