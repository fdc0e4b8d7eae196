//! The time during which a live migration lets two nodes be Primary.

use serde::{Deserialize, Serialize};

/// A window for one migration, in `/run/block-drbd/windows/RES.json` on the node that the guest
/// moves to. It stands there from before two Primaries are allowed until they are not, and nothing
/// here is half a guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// The version of this format: 1.
    pub version: u32,
    /// The resource.
    pub resource: String,
    /// The guest that moves in, by the `vm` node that both its halves have (`/vm/UUID`).
    pub vm: String,
    /// The guest's number on this node.
    pub domid: u32,
    /// When it was opened, in seconds since 1970.
    pub opened: u64,
}

impl Window {
    /// Where the record of `resource` stands. The name has been checked by [`crate::target::Target::parse`].
    pub fn path(resource: &str) -> String {
        format!("/run/block-drbd/windows/{resource}.json")
    }

    /// How many seconds it has been open; `None` when the clock has jumped back before it.
    pub fn age(&self, now: u64) -> Option<u64> {
        now.checked_sub(self.opened)
    }
}
