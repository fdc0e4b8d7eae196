//! What must hold in every state that can be reached.
//!
//! What must happen eventually is told of the states in which nothing happens any more by itself:
//! there everything that is certain has happened, whatever the order.

use crate::drbd::{Ahead, Disk, Link};
use crate::explore::Explored;
use crate::world::{Name, Node, Origin, World};
use stateright::Property;

pub fn all() -> Vec<Property<Explored>> {
    vec![
        Property::always("one writer", one_writer),
        Property::always("no guest on old or mixed data", newest_data),
        Property::always("a guest that has moved in has its own disk", own_disk),
        Property::always("no Primary of ours without a record", recorded),
        Property::always("no guest loses its disk to a release", |_, world: &World| !world.robbed),
        Property::always("what nobody uses is released", released),
        Property::always("no window without a record", window_recorded),
        Property::always("half a guest beside the other has a record", half_recorded),
        Property::always("a window ends with its migration", window_ends),
        Property::always("no window parts the nodes", |_, world: &World| !world.parted),
        Property::always("a healthy pair gives a guest its disk", starts),
    ]
}

/// Guests, and programs of dom0; while DRBD has frozen the I/O nobody writes.
fn one_writer(_: &Explored, world: &World) -> bool {
    let guests = |node: &Node| node.domains.iter().filter(|domain| domain.writes()).count();
    let nodes = world.nodes.iter().filter(|node| !node.drbd.frozen);
    nodes.map(|node| guests(node) + usize::from(node.opened)).sum::<usize>() <= 1
}

fn own_disk(_: &Explored, world: &World) -> bool {
    let mut domains = world.nodes.iter().flat_map(|node| &node.domains);
    domains.all(|domain| !domain.writes() || domain.origin == Origin::ThisDisk)
}

/// A guest sees every write that a guest was told is done.
fn newest_data(_: &Explored, world: &World) -> bool {
    let [a, b] = &world.nodes;
    [(a, b), (b, a)].into_iter().filter(|(node, _)| node.writes()).all(|(node, peer)| match node.drbd.disk {
        Disk::UpToDate => peer.drbd.ahead != Ahead::Data,
        _ => node.drbd.link == Link::Connected,
    })
}

fn recorded(_: &Explored, world: &World) -> bool {
    world.nodes.iter().all(|node| !node.drbd.ours || node.claim.is_some())
}

/// Where two Primaries are allowed and drbd.conf does not say so, a node that is up knows of it: the
/// one that has opened the window, the one whose claim says that it was not so before, or a process
/// that is about to end it.
fn window_recorded(explored: &Explored, world: &World) -> bool {
    let claims_before = |claim| explored.machine.claim(claim).two_primaries == Some(false);
    let knows = |node: &Node| {
        node.window.is_some()
            || node.claim.is_some_and(claims_before)
            || node.processes.iter().any(|process| explored.closes_window(process))
    };
    !is_window_open(world) || world.nodes.iter().any(knows) || is_forgotten(world)
}

/// Both nodes are Primary as long as a guest that moves has a half on each: also where the link is
/// lost and no window is open any more, the node that it moves to knows why.
fn half_recorded(_: &Explored, world: &World) -> bool {
    let used = |node: &Node| node.domains.iter().any(|domain| domain.is_live_user());
    let half = |node: &Node| {
        node.domains.iter().any(|domain| domain.name == Name::Incoming && domain.is_live_user())
    };
    let [a, b] = &world.nodes;
    let known = |node: &Node, peer: &Node| !half(node) || !used(peer) || node.window.is_some();
    world.two_primaries || (known(a, b) && known(b, a))
}

/// At rest, unless both nodes are Primary, which DRBD does not end.
fn window_ends(explored: &Explored, world: &World) -> bool {
    let both = world.nodes.iter().all(|node| node.drbd.primary);
    !is_window_open(world) || both || is_forgotten(world) || !explored.is_at_rest(world)
}

fn is_window_open(world: &World) -> bool {
    let open = |node: &Node| node.up && node.drbd.two_primaries != world.two_primaries;
    world.nodes.iter().any(open)
}

/// The gap: a node whose guest was destroyed while it moved has adopted a window that the other
/// opened only then, and the other loses its power or the link at once. Nobody remembers it.
fn is_forgotten(world: &World) -> bool {
    !world.linked() && world.nodes.iter().all(|node| !node.drbd.primary)
}

fn released(explored: &Explored, world: &World) -> bool {
    let released = |node: &Node| {
        let used = node.domains.iter().any(|domain| domain.is_live_user());
        used || (!node.drbd.ours && node.claim.is_none())
    };
    !explored.bounds.timer || world.nodes.iter().all(released) || !explored.is_at_rest(world)
}

/// On either node, unless a guest is there already or the resource is Primary on the other.
fn starts(explored: &Explored, world: &World) -> bool {
    let free = || world.nodes.iter().all(|node| node.domains.is_empty() && !node.drbd.primary);
    let starts = || (0..2).all(|n| explored.would_start(world, n));
    !explored.is_healthy(world) || !free() || starts() || !explored.is_at_rest(world)
}
