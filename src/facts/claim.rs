//! What this program itself has recorded of a resource.

use serde::{Deserialize, Serialize};

/// What this program records of a resource, in `/run/block-drbd/claims/RES.json`,
/// before it promotes.
///
/// A record with nobody in `users` is a pending release: it was promoted, is no
/// longer needed and could not be demoted yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// The version of this format: 1.
    pub version: u32,
    /// The resource.
    pub resource: String,
    /// The minors that this program promoted and has not demoted.
    pub promoted: Vec<u32>,
    /// Who has, or is about to get, a volume.
    pub users: Vec<Claimant>,
    /// Whether two Primaries were allowed when this was first recorded: by the configuration, before
    /// any window was open. `None` where that could not be known. What is allowed beyond it is a
    /// window, which the other node has opened.
    pub two_primaries: Option<bool>,
}

/// A device in a [`Claim`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claimant {
    /// The guest.
    pub domid: u32,
    /// The device within the guest.
    pub devid: u32,
    /// The volume's minor.
    pub minor: u32,
    /// Why it could not be proved, when the guest moved in, that it came with this volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unproven: Option<String>,
}

impl Claim {
    /// Where the record of `resource` stands. The name has been checked by [`crate::target::Target::parse`].
    pub fn path(resource: &str) -> String {
        format!("/run/block-drbd/claims/{resource}.json")
    }

    /// An empty record.
    pub fn new(resource: &str) -> Self {
        Claim {
            version: 1,
            resource: resource.into(),
            promoted: Vec::new(),
            users: Vec::new(),
            two_primaries: None,
        }
    }

    /// Whether this device of this guest is in it.
    pub fn has(&self, domid: u32, devid: u32) -> bool {
        self.of(domid, devid).is_some()
    }

    /// What it says of this device of this guest.
    pub fn of(&self, domid: u32, devid: u32) -> Option<&Claimant> {
        self.users.iter().find(|user| (user.domid, user.devid) == (domid, devid))
    }

    /// Whether nothing is recorded, so that the file may go.
    pub fn is_empty(&self) -> bool {
        self.promoted.is_empty() && self.users.is_empty()
    }
}
