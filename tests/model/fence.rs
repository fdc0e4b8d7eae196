//! DRBD's fence-peer handler: our program asks the peer over the management network, outdates its disk
//! there where the answer allows it, and asks again (act/fence.rs). DRBD takes the exit code
//! (drbd_nl.c, conn_try_outdate_peer).
//!
//! The program asks again where the peer is silent or still connected. Here it exits with 1 then: a
//! process can stand still for any time, so an answer that comes later is explored as well.

use crate::drbd::{self, Disk};
use crate::machine::Machine;
use crate::shown::Shown;
use crate::world::World;

/// A run of `block-drbd handler fence-peer`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Handler {
    pub cause: Cause,
    pub stage: Stage,
}

/// What DRBD asks it for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The node is to become Primary.
    Promotion,
    /// The node is Primary.
    LostPeer,
}

/// What it does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Runs the peer command.
    Asks,
    /// Runs the outdate-command.
    Outdates,
    /// Runs the peer command once more.
    AsksAgain,
    /// Exits with this code; DRBD takes it.
    Exits(i32),
}

/// What the program makes of one look at the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    /// A fact: DRBD's code.
    Fact(i32),
    /// The peer's disk may be outdated.
    MayOutdate,
    InDoubt,
}

/// The exit code without a fact.
const IN_DOUBT: i32 = 1;

/// DRBD of node `n` calls its handler, unless that runs.
pub fn ask(world: &mut World, n: usize, cause: Cause) {
    world.nodes[n].handler.get_or_insert(Handler { cause, stage: Stage::Asks });
}

/// The handler of node `n` does the next thing.
pub fn advance(machine: &Machine, world: &mut World, n: usize) {
    let Some(Handler { cause, stage }) = world.nodes[n].handler else { return };
    let stage = match stage {
        Stage::Asks => match look(machine, world, n) {
            Judged::Fact(code) => Stage::Exits(code),
            Judged::MayOutdate => Stage::Outdates,
            Judged::InDoubt => Stage::Exits(IN_DOUBT),
        },
        Stage::Outdates => {
            if reaches_peer(world, n) {
                drbd::outdate(world, 1 - n);
            }
            Stage::AsksAgain
        }
        Stage::AsksAgain => match look(machine, world, n) {
            Judged::Fact(code) => Stage::Exits(code),
            Judged::MayOutdate | Judged::InDoubt => Stage::Exits(IN_DOUBT),
        },
        Stage::Exits(code) => return end(world, n, code),
    };
    world.nodes[n].handler = Some(Handler { cause, stage });
}

fn reaches_peer(world: &World, n: usize) -> bool {
    world.management && world.nodes[1 - n].up
}

fn look(machine: &Machine, world: &World, n: usize) -> Judged {
    machine.judge_peer(reaches_peer(world, n).then(|| Shown::of(&world.nodes[1 - n].drbd)))
}

/// DRBD takes the answer.
fn end(world: &mut World, n: usize, code: i32) {
    world.nodes[n].handler = None;
    let drbd = &mut world.nodes[n].drbd;
    match code {
        3 => drbd.peer_disk = Disk::Inconsistent,
        4 | 7 => drbd.peer_disk = Disk::Outdated,
        5 if drbd.disk == Disk::UpToDate => drbd.peer_disk = Disk::Outdated,
        // A Primary's disk is not outdated (drbd_state.c, is_valid_state).
        6 if !drbd.primary => drbd.disk = Disk::Outdated,
        _ => {}
    }
    if matches!(drbd.peer_disk, Disk::Outdated | Disk::Inconsistent) {
        // What is left is the newest (drbd_nl.c, drbd_set_role).
        if drbd.disk == Disk::Consistent {
            drbd.disk = Disk::UpToDate;
        }
        drbd::resume_alone(world, n);
    }
}
