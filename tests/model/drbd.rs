//! DRBD 8.4 of one resource with one volume on two nodes.
//!
//! What it refuses and what it forgets is from the kernel (drbd_state.c, drbd_nl.c,
//! drbd_receiver.c) and from what was recorded of it; a change of state is one step here, and the
//! nodes tell each other at once as long as they can.

use crate::fence::{self, Cause};
use crate::world::{Node, World};

/// The resource on one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Drbd {
    pub primary: bool,
    /// Ghost: whether it is Primary because our program asked.
    pub ours: bool,
    pub disk: Disk,
    pub link: Link,
    /// The peer's role as it last told; not Primary while the node is not connected.
    pub peer_primary: bool,
    /// The peer's disk as it last told.
    pub peer_disk: Disk,
    /// `allow-two-primaries` as it is in force.
    pub two_primaries: bool,
    pub ahead: Ahead,
    /// Which data it has (the current UUID): another number for other data.
    pub generation: u8,
    /// Which data it had when the peer was lost, while the peer lacks some (the bitmap UUID); else 0.
    pub bitmap: u8,
    /// Whether its I/O is frozen until the peer is fenced (susp_fen).
    pub frozen: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Disk {
    UpToDate,
    /// Whether the peer's data is newer is not known.
    Consistent,
    /// The peer's data is newer.
    Outdated,
    Inconsistent,
    /// Of a peer: DUnknown.
    Unknown,
}

/// The connection as the node sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Link {
    /// Also for a while after the peer cannot be heard any more.
    Connected,
    Connecting,
    StandAlone,
}

/// What the node has that its peer lacks (the bitmap UUID is not 0).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Ahead {
    Nothing,
    /// A data generation of its own, without a write in it: it was promoted alone.
    Generation,
    /// Writes that a guest has been told are done.
    Data,
}

/// The fencing policy: what is done when a Primary loses its peer, or a node is to be promoted without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fencing {
    DontCare,
    /// The fence-peer handler is called.
    ResourceOnly,
    /// The fence-peer handler is called, and a Primary's I/O is frozen until it has answered.
    ResourceAndStonith,
}

/// What comes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    Done,
    Refused,
}

/// What comes of a request for the Primary role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promotion {
    Done,
    Refused,
    /// DRBD asks its fence-peer handler first.
    AsksHandler,
}

impl Drbd {
    pub fn healthy(two_primaries: bool) -> Drbd {
        Drbd {
            primary: false,
            ours: false,
            disk: Disk::UpToDate,
            link: Link::Connected,
            peer_primary: false,
            peer_disk: Disk::UpToDate,
            two_primaries,
            ahead: Ahead::Nothing,
            generation: 1,
            bitmap: 0,
            frozen: false,
        }
    }

    /// After a boot: the meta data stay, the rest is as configured (drbd_nl.c, drbd_adm_attach).
    fn booted(&self, two_primaries: bool, fencing: Fencing) -> Drbd {
        let peer_disk = match self.peer_disk {
            // One flag is kept of both (MDF_PEER_OUT_DATED).
            Disk::Outdated | Disk::Inconsistent => Disk::Outdated,
            _ => Disk::Unknown,
        };
        let disk = match self.disk {
            Disk::UpToDate | Disk::Consistent => {
                let newest = fencing == Fencing::DontCare || peer_disk == Disk::Outdated;
                if newest { Disk::UpToDate } else { Disk::Consistent }
            }
            disk => disk,
        };
        Drbd {
            link: Link::Connecting,
            disk,
            peer_disk,
            ahead: self.ahead,
            generation: self.generation,
            bitmap: self.bitmap,
            ..Drbd::healthy(two_primaries)
        }
    }
}

/// The node loses its power: what the resource on it is like after the next boot.
pub fn after_boot(world: &World, n: usize) -> Drbd {
    world.nodes[n].drbd.booted(world.two_primaries, world.fencing)
}

/// What is written on node `n` from now on the peer lacks (drbd_uuid_new_current, unless that was so before).
pub fn goes_ahead(world: &mut World, n: usize, ahead: Ahead) {
    let drbd = &mut world.nodes[n].drbd;
    if drbd.ahead == Ahead::Nothing {
        world.generations += 1;
        (drbd.bitmap, drbd.generation) = (drbd.generation, world.generations);
    }
    drbd.ahead = drbd.ahead.max(ahead);
}

/// Whether a request for the Primary role is answered now: while the node believes that it is
/// connected, the peer is asked, and the answer waits until the connection is found dead.
pub fn answers(world: &World, n: usize) -> bool {
    world.nodes[n].drbd.link != Link::Connected || world.linked()
}

/// `drbdsetup primary`, never by force (drbd_nl.c, drbd_set_role).
pub fn promote(world: &mut World, n: usize) -> Promotion {
    let fences = world.fencing != Fencing::DontCare;
    let drbd = &mut world.nodes[n].drbd;
    if drbd.primary {
        return Promotion::Done;
    }
    let connected = drbd.link == Link::Connected;
    let refused = match connected {
        true => {
            let no_data = drbd.disk != Disk::UpToDate && drbd.peer_disk != Disk::UpToDate;
            (drbd.peer_primary && !drbd.two_primaries) || no_data
        }
        false => !matches!(drbd.disk, Disk::UpToDate | Disk::Consistent),
    };
    if refused {
        return Promotion::Refused;
    }
    if !connected && fences && drbd.peer_disk == Disk::Unknown {
        return Promotion::AsksHandler;
    }
    drbd.primary = true;
    if !connected {
        goes_ahead(world, n, Ahead::Generation);
    }
    Promotion::Done
}

/// `drbdsetup secondary`: refused while the device is open.
pub fn demote(world: &mut World, n: usize) -> Reply {
    if world.nodes[n].is_open() {
        return Reply::Refused;
    }
    let drbd = &mut world.nodes[n].drbd;
    (drbd.primary, drbd.ours) = (false, false);
    Reply::Done
}

/// `drbdsetup net-options --allow-two-primaries`: a connected peer adopts it as soon as it hears of it.
pub fn allow_two_primaries(world: &mut World, n: usize, allowed: bool) -> Reply {
    let drbd = &mut world.nodes[n].drbd;
    // There is nothing to set it of.
    if drbd.link == Link::StandAlone {
        return Reply::Refused;
    }
    // ERR_NEED_ALLOW_TWO_PRI
    if !allowed && drbd.primary && drbd.peer_primary {
        return Reply::Refused;
    }
    drbd.two_primaries = allowed;
    if drbd.link == Link::Connected {
        world.on_the_way = Some((1 - n, allowed));
    }
    Reply::Done
}

/// A node that finds out that its peer cannot be heard.
pub fn can_notice(world: &World, n: usize) -> bool {
    world.nodes[n].up && world.nodes[n].drbd.link == Link::Connected && !world.linked()
}

pub fn notice(world: &mut World, n: usize) {
    world.nodes[n].drbd.link = Link::Connecting;
    lose_peer(world, n);
}

/// A Primary that has lost its peer makes a new generation at once, whether it is written or not; where
/// its I/O is frozen, as soon as that goes on (drbd_state.c, after_state_ch: "Lost contact to peer's
/// copy of the data", and NEW_CUR_UUID).
fn lose_peer(world: &mut World, n: usize) {
    let drbd = world.nodes[n].drbd;
    if !drbd.primary || drbd.disk != Disk::UpToDate {
        return;
    }
    let fences = needs_fence(world, n);
    if fences && world.fencing == Fencing::ResourceAndStonith {
        world.nodes[n].drbd.frozen = true;
    } else {
        goes_ahead(world, n, Ahead::Generation);
    }
    if fences {
        fence::ask(world, n, Cause::LostPeer);
    }
}

/// Whether DRBD asks its handler about the peer of a Primary: it may have good data (drbd_receiver.c,
/// conn_disconnect).
fn needs_fence(world: &World, n: usize) -> bool {
    let drbd = &world.nodes[n].drbd;
    world.fencing != Fencing::DontCare
        && drbd.primary
        && drbd.disk == Disk::UpToDate
        && matches!(drbd.peer_disk, Disk::UpToDate | Disk::Unknown)
}

/// The I/O that was frozen goes on without the peer (drbd_nl.c, drbd_adm_resume_io).
pub fn resume_alone(world: &mut World, n: usize) {
    if world.nodes[n].drbd.frozen {
        world.nodes[n].drbd.frozen = false;
        goes_ahead(world, n, Ahead::Generation);
    }
}

/// `drbdsetup outdate`: refused for a Primary; without effect while connected (drbd_state.c,
/// sanitize_state).
pub fn outdate(world: &mut World, n: usize) {
    let drbd = &mut world.nodes[n].drbd;
    let good = matches!(drbd.disk, Disk::UpToDate | Disk::Consistent);
    if good && !drbd.primary && drbd.link != Link::Connected {
        drbd.disk = Disk::Outdated;
    }
}

/// Both try to connect and can; DRBD 8.4 does not while it waits to promote (state_mutex).
pub fn can_shake_hands(world: &World) -> bool {
    let promotes = |node: &Node| node.handler.is_some_and(|handler| handler.cause == Cause::Promotion);
    let tries = |node: &Node| node.drbd.link == Link::Connecting && !promotes(node);
    world.reach() && world.nodes.iter().all(tries)
}

/// The nodes compare their settings, roles and generations (receive_protocol, drbd_sync_handshake).
pub fn shake_hands(world: &mut World) {
    let [a, b] = &mut world.nodes;
    let (a, b) = (&mut a.drbd, &mut b.drbd);
    let [a_ahead, b_ahead] = [a.ahead != Ahead::Nothing, b.ahead != Ahead::Nothing];
    let split_brain = a_ahead && b_ahead;
    let two_primaries = a.primary && b.primary && !(a.two_primaries && b.two_primaries);
    // A node that is Primary does not become the target of a resync.
    let refuses = (a_ahead && b.primary) || (b_ahead && a.primary);
    let parts = a.two_primaries != b.two_primaries && (a.primary || b.primary);
    world.parted |= parts && !world.differs;
    world.differs = false;
    if a.two_primaries != b.two_primaries || split_brain || two_primaries || refuses {
        (a.link, b.link) = (Link::StandAlone, Link::StandAlone);
        for n in (0..2).filter(|n| needs_fence(world, *n)).collect::<Vec<_>>() {
            fence::ask(world, n, Cause::LostPeer);
        }
        return;
    }
    for (node, peer_ahead) in [(a, b_ahead), (b, a_ahead)] {
        node.link = Link::Connected;
        node.frozen = false;
        node.disk = match node.disk {
            _ if peer_ahead => Disk::Inconsistent,
            // They vanish with a connection (drbd_state.c, sanitize_state).
            Disk::Consistent | Disk::Outdated => Disk::UpToDate,
            disk => disk,
        };
    }
    // Its answer would be ignored (drbd_nl.c, conn_try_outdate_peer: connect_cnt).
    world.nodes.iter_mut().for_each(|node| node.handler = None);
}

/// A resync can end.
pub fn can_sync(world: &World) -> bool {
    world.linked() && world.nodes.iter().any(|node| node.drbd.disk == Disk::Inconsistent)
}

/// The target has the source's data, and its generation.
pub fn sync(world: &mut World) {
    let [a, b] = world.nodes.each_ref().map(|node| node.drbd);
    for (node, peer) in world.nodes.iter_mut().zip([b, a]) {
        if node.drbd.disk == Disk::Inconsistent {
            node.drbd.generation = peer.generation;
        }
        (node.drbd.disk, node.drbd.ahead, node.drbd.bitmap) = (Disk::UpToDate, Ahead::Nothing, 0);
    }
}

impl World {
    /// Whether the nodes are connected and hear each other.
    pub fn linked(&self) -> bool {
        self.reach() && self.nodes.iter().all(|node| node.drbd.link == Link::Connected)
    }

    /// What follows at once from any change: connected nodes tell each other, and what a guest
    /// writes without a connection makes its node's data newer.
    pub fn settle(&mut self) {
        let linked = self.linked();
        if !self.nodes.iter().all(|node| node.up && node.drbd.link == Link::Connected) {
            self.differs |= self.on_the_way.take().is_some();
        } else if linked && let Some((to, allowed)) = self.on_the_way.take() {
            self.nodes[to].drbd.two_primaries = allowed;
        }
        let [a, b] = [self.nodes[0].drbd, self.nodes[1].drbd];
        for (n, peer) in [(0, b), (1, a)] {
            match self.nodes[n].drbd.link {
                Link::Connected if linked => {
                    let drbd = &mut self.nodes[n].drbd;
                    (drbd.peer_primary, drbd.peer_disk) = (peer.primary, peer.disk);
                }
                Link::Connected => {}
                Link::Connecting | Link::StandAlone => self.goes_on_alone(n),
            }
        }
    }

    fn goes_on_alone(&mut self, n: usize) {
        if self.nodes[n].writes() {
            goes_ahead(self, n, Ahead::Data);
        }
        let (configured, drbd) = (self.two_primaries, &mut self.nodes[n].drbd);
        drbd.peer_primary = false;
        if drbd.peer_disk == Disk::UpToDate {
            drbd.peer_disk = Disk::Unknown;
        }
        // StandAlone, 8.4 has forgotten what was set by hand (drbd_state.c:2048-2070).
        if drbd.link == Link::StandAlone {
            self.differs |= drbd.two_primaries != configured;
            drbd.two_primaries = configured;
        }
    }
}
