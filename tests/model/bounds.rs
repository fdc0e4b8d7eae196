//! The explorations: how much may happen in each.
//!
//! All together cannot happen in one: what happens multiplies its states.

use crate::world::Left;

/// One exploration.
pub struct Bounds {
    pub name: &'static str,
    pub left: Left,
    /// Whether drbd.conf allows two Primaries.
    pub two_primaries: bool,
    /// Whether the timer that releases each minute is enabled, which an installation leaves to the
    /// administrator. Without it nothing mends what a node without power, a lost link or a detached
    /// release that was killed leave behind: these are no faults then.
    pub timer: bool,
    /// Whether a guest moves, the link is lost meanwhile, and somebody destroys the half that he sees and
    /// starts the guest again, and nothing else happens.
    pub again: bool,
}

const fn bounds(name: &'static str, [creates, migrations, faults, hands]: [u8; 4]) -> Bounds {
    let left = Left { creates, migrations, faults, hands };
    Bounds { name, left, two_primaries: false, timer: true, again: false }
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
    Bounds { again: true, ..bounds("a migration, started again", [2, 1, 1, 0]) },
];
