//! From what is known and judged to what is to be done: a list of steps.
//!
//! Pure: no module here touches the machine. To add a handler: a file
//! `src/handlers/its_name.rs` with a function from facts to [`Plan`], and its
//! line where its caller chooses: for an event of DRBD in [`drbd::ALL`].

pub mod add;
mod after_resync_target;
mod before_resync_source;
mod before_resync_target;
mod disconnected;
pub mod drbd;
#[cfg(test)]
mod drbd_tests;
pub mod fence_peer;
mod initial_split_brain;
mod local_io_error;
mod lone;
mod out_of_sync;
mod pri_lost;
mod pri_lost_after_sb;
mod pri_on_incon_degr;
mod quorum_lost;
pub mod release;
pub mod remove;
mod set_aside;
pub mod snapshot;
mod split_brain;
#[cfg(test)]
mod tests;
mod unfence_peer;
pub mod window;

use crate::event::VbdPath;
use crate::event::drbd::Variables;
use crate::facts::{
    Act, Claim, Expected, Fenced, Known, Lone, PhysicalDevice, Quarantine, VolumeUser, Window,
};
use crate::printable::Line;
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
    /// Makes one volume Secondary that is Primary for no guest, before a guest is given it: DRBD
    /// refuses while anybody has it open. The resource's lock keeps other adds away. Undone by
    /// nothing: nobody had it open, so nobody needs the role.
    HandBack {
        /// The resource.
        resource: String,
        /// The volume, to be found at `/dev/drbdN`.
        device: PhysicalDevice,
        /// How long to wait for whoever is just closing it.
        within: Duration,
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
    /// Strikes a volume off the announcement of the guest that brings it. Undone by nothing: a guest that
    /// does not arrive after all is announced anew with its next migration.
    StrikeExpected {
        /// The resource.
        resource: String,
        /// What is left of the announcement.
        left: Option<Expected>,
    },
    /// Judges once more under Xen's lock, then hands the device to blkback: the
    /// point of no return, so it is the last step and is never undone.
    Attach {
        /// The backend directory.
        vbd: VbdPath,
        /// What blkback is to open.
        device: PhysicalDevice,
        /// What the node has said that a guest moves in from: it is not asked again.
        at_source: Known<Vec<VolumeUser>>,
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
    /// cannot be done yet, because both are Primary or half a guest is still here,
    /// is left to a detached release. Undone by nothing: nobody needs it open.
    CloseWindow {
        /// The resource.
        resource: String,
        /// Whether it may be closed on this node only, while the peer cannot be reached.
        alone: bool,
        /// Why its record stays when it is closed.
        kept: Option<String>,
        /// Whether a detached release goes on with it.
        hand_over: bool,
    },
    /// Pauses, shuts down or destroys guests with xl. A pause is waited for, the others are not: they
    /// wait for DRBD, which waits for the handler. Undone by nothing.
    Guests {
        /// What is done.
        act: Act,
        /// To whom.
        domids: Vec<u32>,
    },
    /// Sets a resource aside: no guest is given it. Undone by nothing: in doubt it stays aside.
    Quarantine {
        /// The record.
        entry: Quarantine,
    },
    /// Gives a resource back, and keeps why. Undone by nothing.
    Unquarantine {
        /// The resource.
        resource: String,
        /// What is kept: one line of JSON.
        history: String,
    },
    /// Takes LVM snapshots of volumes that are about to be overwritten: all of them or none.
    /// Undone by removing those that took the place of an earlier one; one that may have been there
    /// before stays.
    Snapshot {
        /// The snapshots, each with its origin.
        snapshots: Vec<Snapshot>,
        /// How large each is, in percent of its origin.
        percent: u64,
    },
    /// Removes such snapshots again. Undone by nothing.
    DropSnapshot {
        /// Their names.
        names: Vec<String>,
    },
    /// Has the peers of a resource asked again for what they say of themselves, without waiting
    /// for it. Changes nothing else.
    AskPeers {
        /// The resource.
        resource: String,
    },
    /// Records what fence-peer has established. Undone by nothing.
    RecordFenced {
        /// The record.
        fenced: Fenced,
    },
    /// Takes back what fence-peer has placed: runs programs, without waiting for them, and removes
    /// the record. Undone by nothing.
    Unfence {
        /// The resource.
        resource: String,
        /// The programs with their arguments.
        commands: Vec<Vec<String>>,
        /// DRBD's variables, which they get.
        variables: Variables,
    },
    /// Tells somebody, without waiting for it. Changes nothing.
    Notify {
        /// The program with all its arguments.
        command: Vec<String>,
        /// How long it may take.
        within: Duration,
    },
    /// Tells the toolstack why not (`hotplug-error`).
    Refuse {
        /// The backend directory.
        vbd: VbdPath,
        /// One sentence.
        sentence: Line,
    },
}

/// An LVM snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Snapshot {
    /// Its name, which is also what it is removed by.
    pub name: String,
    /// The logical volume that it is of, below /dev.
    pub origin: String,
    /// What becomes of an earlier one of that name.
    pub earlier: snapshot::Earlier,
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
    /// Steps of which there is nothing to tell.
    pub fn of(steps: Vec<Step>) -> Plan {
        Plan { steps, summary: String::new() }
    }

    /// Nothing to do, and why.
    fn nothing(summary: String) -> Plan {
        Plan { steps: Vec::new(), summary }
    }
}
