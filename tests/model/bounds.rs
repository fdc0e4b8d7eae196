//! The explorations: how much may happen in each.
//!
//! All together cannot happen in one: what happens multiplies its states.

use crate::drbd::Fencing;
use crate::explore::{Action, Network};
use crate::toolstack::Command;
use crate::world::{Left, Name, Phase, World};

/// One exploration.
pub struct Bounds {
    pub name: &'static str,
    pub left: Left,
    /// Whether drbd.conf allows two Primaries.
    pub two_primaries: bool,
    /// The fencing policy in drbd.conf.
    pub fencing: Fencing,
    /// Whether the timer that releases each minute is enabled, which an installation leaves to the
    /// administrator. Without it nothing mends what a node without power, a lost link or a detached
    /// release that was killed leave behind: these are no faults then.
    pub timer: bool,
    pub scope: Scope,
}

/// Which kinds of things happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All of which there is some left; the peer command is not used.
    General,
    /// A guest moves, the link is lost meanwhile, and somebody destroys the half that he sees and
    /// starts the guest again.
    StartedAgain,
    /// Guests are started and destroyed while the networks are cut and nodes lose their power.
    Fencing,
    /// A second guest is created from a copy of the first one's configuration.
    SameUuid,
    /// A guest moves in with a disk that is not the one that it left.
    WrongDisk,
    /// A program of dom0 uses the device.
    OpenInDom0,
}

impl Scope {
    /// What an administrator types.
    pub fn commands(self) -> &'static [Command] {
        match self {
            Scope::General => &[Command::Primary, Command::Secondary, Command::Disconnect],
            Scope::StartedAgain | Scope::SameUuid | Scope::WrongDisk => &[],
            Scope::Fencing => &[Command::ResumeIo, Command::Outdate],
            Scope::OpenInDom0 => &[Command::Primary, Command::Secondary, Command::Open],
        }
    }
}

impl Bounds {
    /// Whether the action, which is possible, is one of those that are explored.
    pub fn allows(&self, world: &World, action: Action) -> bool {
        match self.scope {
            Scope::General => is_general(action),
            Scope::SameUuid => match action {
                Action::Create(_) => world.left.creates == self.left.creates,
                Action::CreateCopy(_) => world.left.creates < self.left.creates,
                action => is_general(action),
            },
            Scope::WrongDisk => moves_in_wrongly(action),
            Scope::OpenInDom0 => is_general(action),
            Scope::StartedAgain => self.starts_again(world, action),
            Scope::Fencing => loses_its_peer(world, action),
        }
    }

    fn starts_again(&self, world: &World, action: Action) -> bool {
        let first = world.left.creates == self.left.creates;
        match action {
            Action::Create(_) => first || world.left.faults == 0,
            Action::Migrate(..) => true,
            Action::Cut(Network::Drbd) => world.left.migrations == 0,
            Action::Destroy(n, domid) => {
                world.nodes[n].domain(domid).is_some_and(|domain| domain.name == Name::Incoming)
            }
            _ => false,
        }
    }
}

/// Whether the guest concerned has a uuid and a disk of its own.
fn is_general(action: Action) -> bool {
    !matches!(action, Action::Cut(Network::Management) | Action::CreateCopy(_) | Action::MovesIn(_))
}

/// No guest moves out, and no process is killed.
fn moves_in_wrongly(action: Action) -> bool {
    match action {
        Action::MovesIn(_) | Action::Cut(_) => true,
        Action::Migrate(..) | Action::MigrateHere(..) | Action::Killed(..) | Action::FlushFails(..) => false,
        action => is_general(action),
    }
}

fn loses_its_peer(world: &World, action: Action) -> bool {
    match action {
        // One that does not run has written nothing.
        Action::Destroy(n, domid) => {
            world.nodes[n].domain(domid).is_some_and(|domain| domain.phase == Phase::Running)
        }
        Action::Create(_)
        | Action::Cut(_)
        | Action::Mended(_)
        | Action::Crash(_)
        | Action::Boot(_)
        | Action::ByHand(..) => true,
        _ => false,
    }
}

const fn bounds(name: &'static str, [creates, migrations, faults, hands]: [u8; 4]) -> Bounds {
    let left = Left { creates, migrations, faults, hands };
    Bounds {
        name,
        left,
        two_primaries: false,
        fencing: Fencing::DontCare,
        timer: true,
        scope: Scope::General,
    }
}

const fn scope(name: &'static str, scope: Scope, left: [u8; 4]) -> Bounds {
    Bounds { scope, timer: false, ..bounds(name, left) }
}

const fn fencing(name: &'static str, fencing: Fencing, left: [u8; 4]) -> Bounds {
    Bounds { fencing, scope: Scope::Fencing, ..bounds(name, left) }
}

pub const ALL: &[Bounds] = &[
    bounds("two guests", [2, 0, 1, 0]),
    bounds("two guests, a fault, by hand", [2, 0, 1, 1]),
    Bounds { two_primaries: true, ..bounds("two Primaries allowed", [2, 0, 1, 0]) },
    bounds("two faults, by hand", [1, 0, 2, 1]),
    bounds("a migration, by hand", [1, 1, 0, 1]),
    bounds("there and back", [1, 2, 0, 0]),
    bounds("a migration, a fault", [1, 1, 1, 0]),
    Bounds { timer: false, ..bounds("a migration, a fault, no timer", [1, 1, 1, 0]) },
    Bounds { timer: false, ..bounds("a migration, two guests, no timer", [2, 1, 0, 0]) },
    Bounds { scope: Scope::StartedAgain, ..bounds("a migration, started again", [2, 1, 1, 0]) },
    scope("a copied configuration", Scope::SameUuid, [2, 1, 0, 0]),
    scope("a wrong disk", Scope::WrongDisk, [1, 1, 1, 0]),
    scope("open in dom0", Scope::OpenInDom0, [1, 0, 0, 2]),
    fencing("fencing resource-only", Fencing::ResourceOnly, [2, 0, 2, 0]),
    fencing("fencing resource-only, by hand", Fencing::ResourceOnly, [2, 0, 1, 1]),
    fencing("fencing resource-and-stonith", Fencing::ResourceAndStonith, [2, 0, 2, 0]),
    fencing("fencing resource-and-stonith, by hand", Fencing::ResourceAndStonith, [2, 0, 1, 1]),
    Bounds {
        fencing: Fencing::ResourceOnly,
        scope: Scope::StartedAgain,
        ..bounds("a migration, resource-only", [2, 1, 1, 0])
    },
    Bounds {
        fencing: Fencing::ResourceAndStonith,
        scope: Scope::StartedAgain,
        ..bounds("a migration, resource-and-stonith", [2, 1, 1, 0])
    },
];
