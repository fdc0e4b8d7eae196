//! One host as a whole: what `block-drbd facts --json` prints and what a peer asks for.

use super::drbd::untold;
use super::drbd::{Connection, Resource, Volume};
use super::storage::{Device, Devices};
use super::{Known, PhysicalDevice, ProgramKind, storage};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The version of [`NodeFacts`]' JSON.
pub const FACTS_VERSION: u32 = 1;

/// Everything gathered of a host and its resources. The JSON is a promise:
/// fields are only ever added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeFacts {
    /// [`FACTS_VERSION`].
    pub version: u32,
    /// When they were gathered, in seconds since 1970 by the host's own clock.
    pub at: u64,
    /// The host.
    pub node: Node,
    /// Its resources, or those that were asked for.
    pub resources: Known<Vec<Resource>>,
    /// The block devices below them, and the DRBD devices themselves (`drbd3`).
    pub devices: Devices,
}

impl NodeFacts {
    /// Leaves out the devices on which no resource stands.
    pub fn keep_devices_of_resources(&mut self) {
        let resources = self.resources.value().map_or(&[][..], Vec::as_slice);
        self.devices = devices_below(&self.devices, resources);
    }
}

/// Of `devices`, those on which one of the resources stands.
pub fn devices_below(devices: &Devices, resources: &[Resource]) -> Devices {
    let below = stack_of(devices, resources).into_iter();
    below.map(|(name, device)| (name.to_string(), device.clone())).collect()
}

/// The same by name, without a copy: of each volume no more devices than a volume can stand on.
pub fn stack_of<'a>(devices: &'a Devices, resources: &[Resource]) -> BTreeMap<&'a str, &'a Device> {
    let mut below = BTreeMap::new();
    for volume in resources.iter().flat_map(|resource| &resource.volumes) {
        let drbd = format!("drbd{}", volume.minor);
        let lower = [&volume.data, &volume.meta].into_iter().filter_map(Known::value);
        let roots = lower.chain([&drbd]).filter_map(|root| devices.get_key_value(root));
        let roots: Vec<&str> = roots.map(|(name, _)| name.as_str()).collect();
        below.extend(storage::stacks(devices, &roots).found);
    }
    below
}

/// A host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its name (/proc/sys/kernel/hostname), which is also its name in drbd.conf.
    pub host: Known<String>,
    /// What tells one boot from the next (/proc/sys/kernel/random/boot_id).
    pub boot_id: Known<String>,
    /// Its kernel (/proc/sys/kernel/osrelease).
    pub kernel: Known<String>,
    /// The hypervisor, which has the version of its toolstack: major, minor (/sys/hypervisor/version).
    pub xen: Known<(u32, u32)>,
    /// DRBD's module (/sys/module/drbd/version, else the first line of /proc/drbd).
    pub drbd: Known<String>,
    /// Module parameter: whether writes are copied before they are sent.
    pub disable_sendpage: Known<bool>,
    /// Module parameter: what the module runs for its handlers.
    pub usermode_helper: Known<String>,
    /// What stands there.
    #[serde(default = "untold")]
    pub usermode_helper_kind: Known<ProgramKind>,
}

impl Node {
    /// Its name, for messages.
    pub fn name(&self) -> &str {
        self.host.value().map_or("this node", String::as_str)
    }
}

/// What a peer said of itself when it was last asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerAnswer {
    /// The peer's host name.
    pub peer: String,
    /// The connections to it, as DRBD calls them: a name or an address.
    pub connections: Vec<String>,
    /// When it was asked, in seconds since 1970.
    pub at: u64,
    /// What it said.
    pub facts: NodeFacts,
}

impl PeerAnswer {
    /// Whether it came from the other end of `connection`.
    pub fn is_of(&self, connection: &Connection) -> bool {
        self.peer == connection.peer || self.connections.contains(&connection.peer)
    }

    /// What it said of one volume of a resource; `None` where it said nothing of that.
    pub fn volume(&self, resource: &str, number: u32) -> Option<&Volume> {
        let resource = self.facts.resources.value()?.iter().find(|other| other.name == resource)?;
        resource.volumes.iter().find(|volume| volume.number == number)
    }
}

/// A flush that was tried on a device before a guest got it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlushProbe {
    /// The version of this format: 1.
    pub version: u32,
    /// The device.
    pub device: PhysicalDevice,
    /// When, in seconds since 1970.
    pub at: u64,
    /// How long it took, in microseconds, or why it did not work.
    pub result: Result<u64, String>,
}
