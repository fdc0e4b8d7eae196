//! xl and blkback: domains come and go, and call our program.

use crate::drbd;
use crate::world::{Call, Device, Domain, Name, Node, Origin, Phase, World};

/// No more domains than these share a host.
pub const DOMAINS: usize = 2;

pub fn can_create(world: &World, n: usize) -> bool {
    world.left.creates > 0 && world.nodes[n].up && world.nodes[n].domains.len() < DOMAINS
}

/// `xl create` of a guest of its own, until it has started the hotplug script.
pub fn create(world: &mut World, n: usize) {
    let vm = world.next_domid;
    create_as(world, n, vm);
}

/// `xl create` of a guest with this uuid.
pub fn create_as(world: &mut World, n: usize, uuid: u8) {
    world.left.creates -= 1;
    let guest = Guest { vm: world.next_domid, uuid, origin: Origin::ThisDisk };
    arrives(world, n, guest, Name::Plain);
}

/// What moves from one domain to another.
#[derive(Clone, Copy)]
struct Guest {
    vm: u8,
    uuid: u8,
    origin: Origin,
}

/// xl makes a domain and runs `add` for its disk.
fn arrives(world: &mut World, n: usize, Guest { vm, uuid, origin }: Guest, name: Name) {
    let domid = world.next_domid;
    world.next_domid += 1;
    let domain = Domain { domid, vm, uuid, origin, phase: Phase::Creating, device: Device::Nothing, name };
    world.nodes[n].domains.push(domain);
    world.nodes[n].start(Call::Add(domid));
}

/// Whether a guest that runs can move to node `to`.
pub fn can_migrate(world: &World, to: usize, domain: &Domain) -> bool {
    let there = &world.nodes[to];
    world.left.migrations > 0 && domain.writes() && there.up && there.domains.len() < DOMAINS
}

/// `xl migrate`, until the memory has moved: the guest is suspended, and `add` runs where it goes.
pub fn migrate(world: &mut World, n: usize, domid: u8, to: usize) {
    world.left.migrations -= 1;
    let Some(domain) = world.nodes[n].domain_mut(domid) else { return };
    domain.phase = Phase::Suspended;
    let guest = Guest { vm: domain.vm, uuid: domain.uuid, origin: domain.origin };
    arrives(world, to, guest, Name::Incoming);
}

/// Whether a guest of another disk can move in.
pub fn can_move_in(world: &World, n: usize) -> bool {
    let node = &world.nodes[n];
    world.left.migrations > 0 && node.up && node.domains.len() < DOMAINS
}

/// `xl migrate` of a guest of another disk: its memory is here, and `add` runs.
pub fn move_in(world: &mut World, n: usize) {
    world.left.migrations -= 1;
    let vm = world.next_domid;
    arrives(world, n, Guest { vm, uuid: vm, origin: Origin::AnotherDisk }, Name::Incoming);
}

/// Whether the other half of a guest that moves is in one of these phases.
fn other_half_is(world: &World, domain: &Domain, phases: &[Phase]) -> bool {
    let mut domains = world.nodes.iter().flat_map(|node| &node.domains);
    domains.any(|other| other.vm == domain.vm && other.domid != domain.domid && phases.contains(&other.phase))
}

/// Whether the guest may run: it is not moving in, or xl where it comes from has let it go.
pub fn can_unpause(world: &World, domain: &Domain) -> bool {
    domain.phase == Phase::Ready
        && (domain.name != Name::Incoming
            || domain.origin == Origin::AnotherDisk
            || other_half_is(world, domain, &[Phase::Suspended]))
}

/// The guest runs. One that has moved in is called by its name, and xl at its source knows.
pub fn unpause(world: &mut World, n: usize, domid: u8) {
    let Some(domain) = world.nodes[n].domain_mut(domid) else { return };
    domain.phase = Phase::Running;
    let (vm, moved) = (domain.vm, domain.name == Name::Incoming);
    domain.name = Name::Plain;
    let domains = world.nodes.iter_mut().flat_map(|node| &mut node.domains);
    for other in domains.filter(|other| moved && other.vm == vm && other.phase == Phase::Suspended) {
        (other.phase, other.name) = (Phase::Away, Name::MigratedAway);
    }
}

/// The migration has failed where the guest goes: it goes on here.
pub fn can_resume(world: &World, domain: &Domain) -> bool {
    domain.phase == Phase::Suspended && !other_half_is(world, domain, &[Phase::Creating, Phase::Ready])
}

/// The guest's other half is gone, before it was let go: xl where it goes gives it up.
pub fn can_give_up(world: &World, domain: &Domain) -> bool {
    let waits = domain.phase == Phase::Ready && domain.name == Name::Incoming;
    waits && domain.origin == Origin::ThisDisk && !other_half_is(world, domain, &[Phase::Suspended])
}

/// What xl makes of the end of our program.
pub fn ended(node: &mut Node, call: Call, success: bool) {
    node.processes.retain(|process| process.call != call);
    match call {
        Call::Add(domid) => {
            let creating = |domain: &&mut Domain| domain.domid == domid && domain.phase == Phase::Creating;
            match (node.domains.iter_mut().find(creating), success) {
                (Some(domain), true) => domain.phase = Phase::Ready,
                (Some(_), false) => destroy(node, domid),
                (None, _) => {}
            }
        }
        Call::Remove(domid) => forget(node, domid),
        Call::Release | Call::Sweep => {}
    }
}

/// The domain dies, and `remove` is run for its disk.
pub fn destroy(node: &mut Node, domid: u8) {
    if let Some(domain) = node.domain_mut(domid) {
        domain.phase = Phase::Dying;
        node.start(Call::Remove(domid));
    }
}

/// xl removes the backend directory.
pub fn forget(node: &mut Node, domid: u8) {
    if let Some(domain) = node.domain_mut(domid) {
        domain.phase = Phase::Gone;
    }
    node.domains.retain(|domain| domain.phase != Phase::Gone || domain.device == Device::Open);
}

/// xenwatch opens what it was given: not before it gets round to it.
pub fn opens(node: &mut Node, domid: u8) {
    let primary = node.drbd.primary;
    if let Some(domain) = node.domain_mut(domid) {
        domain.device = if primary { Device::Open } else { Device::Closed };
    }
}

/// blkback closes the device of a dead domain: not before its last I/O has ended.
pub fn closes(node: &mut Node, domid: u8) {
    if let Some(domain) = node.domain_mut(domid) {
        domain.device = Device::Closed;
    }
    node.domains.retain(|domain| domain.phase != Phase::Gone || domain.device == Device::Open);
}

/// The node loses its power: what it had in memory is gone.
pub fn crash(world: &mut World, n: usize) {
    let drbd = drbd::after_boot(world, n);
    world.nodes[n] = Node { up: false, ..Node::new(drbd) };
}

pub fn boot(world: &mut World, n: usize) {
    world.nodes[n].up = true;
}

/// What an administrator types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    Primary,
    Secondary,
    Disconnect,
    Connect,
    /// `drbdadm resume-io`
    ResumeIo,
    Outdate,
    /// Starts a program of this domain that writes to the device, while no guest has that or is about
    /// to get it: beside a guest nobody can keep root from it.
    Open,
    Close,
}

/// Runs it; false where nothing can come of it.
pub fn by_hand(world: &mut World, n: usize, command: Command) -> bool {
    let before = (world.nodes[n].drbd, world.nodes[n].opened);
    match command {
        Command::Primary => drbd::answers(world, n) && drbd::promote(world, n) == drbd::Promotion::Done,
        Command::Secondary => drbd::demote(world, n) == drbd::Reply::Done,
        Command::Disconnect => {
            world.nodes[n].drbd.link = drbd::Link::StandAlone;
            true
        }
        Command::Connect => {
            if before.0.link == drbd::Link::StandAlone {
                world.nodes[n].drbd.link = drbd::Link::Connecting;
            }
            true
        }
        Command::ResumeIo => {
            drbd::resume_alone(world, n);
            true
        }
        Command::Outdate => {
            drbd::outdate(world, n);
            true
        }
        Command::Open => {
            let node = &mut world.nodes[n];
            let free = !node.is_locked() && !node.domains.iter().any(Domain::is_user);
            node.opened = node.drbd.primary && !node.drbd.ours && free;
            true
        }
        Command::Close => {
            world.nodes[n].opened = false;
            true
        }
    };
    (world.nodes[n].drbd, world.nodes[n].opened) != before
}
