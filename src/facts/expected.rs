//! The guest that `block-drbd migrate` on the peer has announced.

use super::{Identity, Known, Volume, VolumeUser};
use serde::{Deserialize, Serialize};

/// How long an announcement holds, in seconds: the memory of a large guest moves for minutes.
const HOLDS: u64 = 3600;

/// Which guest comes with which volumes of a resource, in `/run/block-drbd/expected/RES.json` on the
/// node that it moves to. Only root of the source can have it written. It spares the guest the
/// question to the source while it stands still; without it the source is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// The version of this format: 1.
    pub version: u32,
    /// The resource.
    pub resource: String,
    /// The guest's `vm` node (`/vm/UUID`), which it keeps when it moves.
    pub vm: String,
    /// Its name at the source.
    pub guest: String,
    /// Its number at the source.
    pub domid: u32,
    /// The volumes that it brings and that have not arrived yet.
    pub volumes: Vec<ExpectedVolume>,
    /// When it was announced, in seconds since 1970.
    pub at: u64,
}

/// A volume in an [`Expected`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedVolume {
    /// Its number.
    pub number: u32,
    /// The generation of its data at the source ([`super::Generations::current_uuid`]). A resource of
    /// another pair of hosts may have the same name, but has other data.
    pub current_uuid: u64,
    /// The device within the guest; `None` where the source has an older version of this program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub devid: Option<u32>,
}

impl Expected {
    /// Where the record of `resource` stands. The name has been checked by [`crate::target::Target::parse`].
    pub fn path(resource: &str) -> String {
        format!("/run/block-drbd/expected/{resource}.json")
    }

    /// Whether this guest was announced with this very volume, not long before `now`.
    pub fn holds(&self, guest: &Identity, volume: &Volume, now: u64) -> bool {
        let Known::Is(generations) = volume.generations else { return false };
        let age = now.checked_sub(self.at);
        let named = self.volumes.iter().find(|expected| expected.number == volume.number);
        guest.is_same_guest(&self.identity())
            && age.is_some_and(|age| age <= HOLDS)
            && named.is_some_and(|expected| generations.is_of(expected.current_uuid))
    }

    fn identity(&self) -> Identity<'_> {
        Identity { domid: self.domid, name: Some(&self.guest), vm: Some(&self.vm), target: None }
    }

    /// The guest that it announces, as its source would tell of it.
    pub fn users(&self) -> Vec<VolumeUser> {
        let user = |volume: &ExpectedVolume| {
            let (guest, vm) = (Some(self.guest.clone()), Some(self.vm.clone()));
            VolumeUser { volume: volume.number, domid: self.domid, devid: volume.devid, guest, vm }
        };
        self.volumes.iter().map(user).collect()
    }

    /// What is left of it when this volume has arrived; `None` when that was the last.
    pub fn without(&self, number: u32) -> Option<Expected> {
        let volumes = self.volumes.iter().filter(|volume| volume.number != number).cloned().collect();
        let left = Expected { volumes, ..self.clone() };
        (!left.volumes.is_empty()).then_some(left)
    }
}
