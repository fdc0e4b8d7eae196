//! From what is known and judged to what is to be done: a list of steps.
//!
//! Pure: no module here touches the machine. To add a handler: a file
//! `src/handlers/its_name.rs` with a function from facts to [`Plan`], and its
//! line where `lib.rs` chooses.

pub mod add;
mod lone;
pub mod release;
pub mod remove;
#[cfg(test)]
mod tests;
pub mod window;

use crate::event::VbdPath;
use crate::facts::{Claim, Lone, PhysicalDevice, Window};
use serde::Serialize;
use std::time::Duration;

/// Every change that this program can make to a machine.
///
/// A step that changes something can be undone; `act` says how, next to how
/// it is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Step {
    /// Lets two nodes be Primary, for the guest that moves in: records that first,
    /// then asks DRBD, and a connected peer adopts it. Undone by closing it.
    OpenWindow {
        /// The record.
        window: Window,
    },
    /// Records who uses the resource and what was promoted for it. Stands
    /// before the promotion, so that no death of this process leaves a Primary
    /// of ours that nobody knows of. Undone by the record that was there.
    Record {
        /// What is recorded now.
        before: Option<Claim>,
        /// What is to be recorded.
        after: Claim,
    },
    /// Records what this node has written since it lost the peer, so that the guest may start here
    /// again without it. A step of its own, as it rests on what was gathered, not on what the
    /// release finds. Where it fails nothing else does: without a record less is allowed. Undone by
    /// the record that was there.
    RecordLone {
        /// The resource.
        resource: String,
        /// What is recorded now.
        before: Option<Lone>,
        /// What is to be recorded; nothing when no volume was written alone.
        after: Option<Lone>,
    },
    /// Makes one volume Primary, never by force. Undone by making it Secondary.
    Promote {
        /// The resource.
        resource: String,
        /// The volume's minor.
        minor: u32,
    },
    /// Opens the device and flushes it, and writes down how long that took. Changes nothing else.
    ProveFlush {
        /// The resource.
        resource: String,
        /// The device, to be found at `/dev/drbdN`.
        device: PhysicalDevice,
        /// How long it may take.
        within: Duration,
    },
    /// Judges once more under Xen's lock, then hands the device to blkback: the
    /// point of no return, so it is the last step and is never undone.
    Attach {
        /// The backend directory.
        vbd: VbdPath,
        /// What blkback is to open.
        device: PhysicalDevice,
    },
    /// Makes volumes Secondary that nobody uses any more, waiting for blkback
    /// to close them. What cannot be done in time stays recorded and is left to
    /// a detached release. Undone by nothing: nobody needs them Primary.
    Release {
        /// The record: its resource, and the minors in `promoted`.
        claim: Claim,
        /// Whether a detached release goes on with what is left; that release
        /// itself does not start another.
        hand_over: bool,
    },
    /// Makes one volume Secondary that nothing is recorded of, because an administrator has named
    /// its resource. DRBD refuses while anybody has it open; then it stays as it is, and stays
    /// unrecorded. Undone by nothing.
    Demote {
        /// The resource.
        resource: String,
        /// The volume's minor.
        minor: u32,
    },
    /// Forbids two Primaries again, on both nodes, and removes the record. What
    /// cannot be closed yet, because both are Primary, is left to a detached
    /// release. Undone by nothing: nobody needs it open.
    CloseWindow {
        /// The resource.
        resource: String,
        /// Whether it may be closed on this node only, while the peer cannot be reached.
        alone: bool,
        /// Whether a detached release goes on with it.
        hand_over: bool,
    },
    /// Tells the toolstack why not (`hotplug-error`).
    Refuse {
        /// The backend directory.
        vbd: VbdPath,
        /// One sentence.
        sentence: String,
    },
}

/// What is to be done, in this order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[must_use]
pub struct Plan {
    /// The steps.
    pub steps: Vec<Step>,
    /// What to tell of it when it is done: one clause.
    pub summary: String,
}

impl Plan {
    /// Nothing to do, and why.
    fn nothing(summary: String) -> Plan {
        Plan { steps: Vec::new(), summary }
    }
}
