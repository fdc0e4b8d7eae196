//! The state of the two hosts, as small as it can be and still go wrong.
//!
//! Plain data: what may happen to it stands in `drbd`, `toolstack` and `program`.

use crate::drbd::{Drbd, Fencing};
use crate::fence::Handler;

/// Two hosts, the cable between them, and what may still happen to them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    pub nodes: [Node; 2],
    /// Whether the network between the two DRBDs carries anything.
    pub cable: bool,
    /// Whether the management network carries anything: a peer command goes over it.
    pub management: bool,
    /// What was set of `allow-two-primaries` and the node has not heard of; the connection, as long as
    /// it holds, delivers it.
    pub on_the_way: Option<(usize, bool)>,
    pub left: Left,
    /// The number of the next domain.
    pub next_domid: u8,
    /// How many generations of the data there have been: the number of the newest.
    pub generations: u8,
    /// Whether drbd.conf of both nodes allows two Primaries.
    pub two_primaries: bool,
    /// The fencing policy in drbd.conf of both nodes.
    pub fencing: Fencing,
    /// Ghost: whether the program has taken the role from under a guest that had the device.
    pub robbed: bool,
    /// Ghost, and a gap: whether the nodes may differ in what they allow when they meet again. While
    /// they were apart one has ended a window alone after the time that it has to wait, or at the
    /// source, which cannot know that time; or has opened or ended one at the moment in which the link
    /// was lost, or has been disconnected by hand. DRBD does not connect them then; an administrator
    /// has to, and nothing is lost.
    pub differs: bool,
    /// Ghost: whether the nodes have parted because one allowed two Primaries and the other did not,
    /// with one of them Primary, and had no right to differ.
    pub parted: bool,
}

/// How often what is not certain to happen may still happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Left {
    /// Guests created.
    pub creates: u8,
    /// Migrations begun.
    pub migrations: u8,
    /// Processes killed, nodes without power, cuts of the cable, failed flushes.
    pub faults: u8,
    /// drbdadm commands by hand.
    pub hands: u8,
}

/// A host. What it loses with its power is at its [`Node::new`] value while it is off.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Node {
    pub up: bool,
    pub drbd: Drbd,
    /// The record in /run/block-drbd/claims.
    pub claim: Option<ClaimId>,
    /// The record in /run/block-drbd/windows.
    pub window: Option<Window>,
    /// The generation in the record in /run/block-drbd/lone.
    pub lone: Option<u8>,
    /// In the order in which they were created.
    pub domains: Vec<Domain>,
    /// Runs of our program, at most one of a [`Call`].
    pub processes: Vec<Process>,
    /// The run of our program for whose answer DRBD waits.
    pub handler: Option<Handler>,
    /// Whether a program of this domain has the device open and writes to it: a backup, qemu, a loop
    /// device.
    pub opened: bool,
}

/// A record of a window that this node has opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// The domain that it is for.
    pub domid: u8,
    /// Its uuid, as of [`Domain::uuid`].
    pub uuid: u8,
    /// Whether it was opened long ago: longer than DRBD needs to connect again.
    pub old: bool,
}

/// A claim, by its place in the model's table of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClaimId(pub u16);

/// A plan, by its place in the model's table of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PlanId(pub u16);

/// A guest with one disk on the resource.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Domain {
    pub domid: u8,
    /// Which guest it is: that moves from one domain to another.
    pub vm: u8,
    /// The `uuid` in its configuration: another guest may have the same.
    pub uuid: u8,
    pub origin: Origin,
    pub phase: Phase,
    pub device: Device,
    pub name: Name,
}

/// Which disk the guest had where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// This one; or it comes from nowhere, because it was created.
    ThisDisk,
    /// Another: xl moves it in with the configuration of another guest, or out of another pair of
    /// hosts, whose resource has the same name. Its source is outside of the model, and waits.
    AnotherDisk,
}

/// What xl calls a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Name {
    Plain,
    /// `…--incoming`: it is moving in.
    Incoming,
    /// `…--migratedaway`: it has moved out.
    MigratedAway,
}

/// What xl has done with a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// The backend is in state 2, `add` runs.
    Creating,
    /// `add` was successful, the domain is still paused.
    Ready,
    Running,
    /// It has moved out as far as its memory goes, and goes on here if that fails.
    Suspended,
    /// It runs where it has moved to.
    Away,
    /// It was to move in, and the xl that received it is gone: it stays as it is, paused.
    Orphaned,
    /// It is dead, `online` is 0 and the backend in state 6; `remove` runs.
    Dying,
    /// The backend directory is gone, blkback still has the device open.
    Gone,
}

/// What blkback has of the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Device {
    /// `physical-device` is not written.
    Nothing,
    /// It is written, and xenwatch has not opened the device yet.
    Given,
    Open,
    /// It could not be opened, or is closed again.
    Closed,
}

/// What our program was started for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    Add(u8),
    Remove(u8),
    /// The detached release, which tries again until it is done.
    Release,
    /// The end of a run of the hotplug script: it looks after windows.
    Sweep,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Process {
    pub call: Call,
    pub stage: Stage,
    /// Once what it was started for has ended: whether that was a success.
    pub success: Option<bool>,
}

/// What a process does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Takes the resource's lock.
    Lock,
    /// Gathers, judges, plans.
    Judge,
    /// Takes part `part` of step `step`; `left` when the part before has left something undone,
    /// `pending` when a step before has.
    Act { plan: PlanId, step: u8, part: u8, left: bool, pending: bool },
    /// Undoes step `step`; `primary` when a demotion has failed before.
    Undo { plan: PlanId, step: u8, primary: bool },
}

impl World {
    /// Both nodes up, connected and UpToDate, nobody on them.
    pub fn new(left: Left, two_primaries: bool, fencing: Fencing) -> World {
        let node = Node::new(Drbd::healthy(two_primaries));
        World {
            nodes: [node.clone(), node],
            cable: true,
            management: true,
            on_the_way: None,
            left,
            next_domid: 1,
            generations: 1,
            two_primaries,
            fencing,
            robbed: false,
            differs: false,
            parted: false,
        }
    }

    /// Whether the nodes' DRBDs can hear each other.
    pub fn reach(&self) -> bool {
        self.cable && self.nodes.iter().all(|node| node.up)
    }
}

impl Node {
    /// A node that has just booted.
    pub fn new(drbd: Drbd) -> Node {
        Node {
            up: true,
            drbd,
            claim: None,
            window: None,
            lone: None,
            domains: Vec::new(),
            processes: Vec::new(),
            handler: None,
            opened: false,
        }
    }

    /// Whether anybody has the device open, blkback or a program of this domain: DRBD's open count.
    pub fn is_open(&self) -> bool {
        self.opened || self.domains.iter().any(|domain| domain.device == Device::Open)
    }

    /// Whether a guest writes here: while DRBD has frozen the I/O none does.
    pub fn writes(&self) -> bool {
        !self.drbd.frozen && self.domains.iter().any(Domain::writes)
    }

    pub fn domain(&self, domid: u8) -> Option<&Domain> {
        self.domains.iter().find(|domain| domain.domid == domid)
    }

    pub fn domain_mut(&mut self, domid: u8) -> Option<&mut Domain> {
        self.domains.iter_mut().find(|domain| domain.domid == domid)
    }

    /// Starts our program, unless it runs for that already.
    pub fn start(&mut self, call: Call) {
        if !self.processes.iter().any(|process| process.call == call) {
            self.processes.push(Process { call, stage: Stage::Lock, success: None });
        }
    }

    /// Whether a process has the resource's lock.
    pub fn is_locked(&self) -> bool {
        self.processes.iter().any(|process| process.stage != Stage::Lock)
    }
}

impl Domain {
    /// Whether the guest runs on the device.
    pub fn writes(&self) -> bool {
        self.phase == Phase::Running && self.device == Device::Open
    }

    /// Whether xenstore shows it with a device: one of the program's `users`.
    pub fn is_user(&self) -> bool {
        self.device != Device::Nothing && self.phase != Phase::Gone
    }

    /// Whether the device is its own and it is not on its way out.
    pub fn is_live_user(&self) -> bool {
        self.is_user() && self.phase != Phase::Dying
    }
}
