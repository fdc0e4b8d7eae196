//! DRBD 8.4 of one resource with one volume on two nodes, without fencing.
//!
//! What it refuses and what it forgets is from the kernel (drbd_state.c, drbd_nl.c,
//! drbd_receiver.c) and from what was recorded of it; a change of state is one step here, and the
//! nodes tell each other at once as long as they can.

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
    /// Which data it has (the current UUID): another number for other data, on this node.
    pub generation: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Disk {
    UpToDate,
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

/// What comes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    Done,
    Refused,
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
        }
    }

    /// What is written now the peer lacks (drbd_uuid_new_current, unless that was so before).
    fn goes_ahead(&mut self, ahead: Ahead) {
        self.generation += u8::from(self.ahead == Ahead::Nothing);
        self.ahead = self.ahead.max(ahead);
    }

    /// After a boot: the meta data stay, the rest is as configured.
    pub fn booted(&self, two_primaries: bool) -> Drbd {
        Drbd {
            link: Link::Connecting,
            disk: self.disk,
            ahead: self.ahead,
            generation: self.generation,
            ..Drbd::healthy(two_primaries)
        }
    }
}

/// Whether a request for the Primary role is answered now: while the node believes that it is
/// connected, the peer is asked, and the answer waits until the connection is found dead.
pub fn answers(world: &World, n: usize) -> bool {
    world.nodes[n].drbd.link != Link::Connected || world.linked()
}

/// `drbdsetup primary`, never by force.
pub fn promote(world: &mut World, n: usize) -> Reply {
    let drbd = &mut world.nodes[n].drbd;
    let connected = drbd.link == Link::Connected;
    if drbd.primary {
        return Reply::Done;
    }
    let refused = match connected {
        true => {
            let no_data = drbd.disk != Disk::UpToDate && drbd.peer_disk != Disk::UpToDate;
            (drbd.peer_primary && !drbd.two_primaries) || no_data
        }
        false => drbd.disk != Disk::UpToDate,
    };
    if refused {
        return Reply::Refused;
    }
    drbd.primary = true;
    if !connected {
        drbd.goes_ahead(Ahead::Generation);
    }
    Reply::Done
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

/// A Primary makes a new generation at once, whether it is written or not (drbd_state.c,
/// after_state_ch: "Lost contact to peer's copy of the data").
pub fn notice(world: &mut World, n: usize) {
    let drbd = &mut world.nodes[n].drbd;
    drbd.link = Link::Connecting;
    if drbd.primary && drbd.disk == Disk::UpToDate {
        drbd.goes_ahead(Ahead::Generation);
    }
}

/// Both try to connect and can.
pub fn can_shake_hands(world: &World) -> bool {
    world.reach() && world.nodes.iter().all(|node| node.drbd.link == Link::Connecting)
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
        return;
    }
    (a.link, b.link) = (Link::Connected, Link::Connected);
    if a_ahead {
        b.disk = Disk::Inconsistent;
    }
    if b_ahead {
        a.disk = Disk::Inconsistent;
    }
}

/// A resync can end.
pub fn can_sync(world: &World) -> bool {
    world.linked() && world.nodes.iter().any(|node| node.drbd.disk == Disk::Inconsistent)
}

pub fn sync(world: &mut World) {
    for Node { drbd, .. } in &mut world.nodes {
        drbd.generation += u8::from(drbd.disk == Disk::Inconsistent);
        (drbd.disk, drbd.ahead) = (Disk::UpToDate, Ahead::Nothing);
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
            let (writes, configured) = (self.nodes[n].writes(), self.two_primaries);
            let drbd = &mut self.nodes[n].drbd;
            match drbd.link {
                Link::Connected if linked => {
                    (drbd.peer_primary, drbd.peer_disk) = (peer.primary, peer.disk);
                }
                Link::Connected => {}
                Link::Connecting | Link::StandAlone => {
                    drbd.peer_primary = false;
                    if drbd.peer_disk == Disk::UpToDate {
                        drbd.peer_disk = Disk::Unknown;
                    }
                    if writes {
                        drbd.goes_ahead(Ahead::Data);
                    }
                    // StandAlone, 8.4 has forgotten what was set by hand (drbd_state.c:2048-2070).
                    if drbd.link == Link::StandAlone {
                        self.differs |= drbd.two_primaries != configured;
                        drbd.two_primaries = configured;
                    }
                }
            }
        }
    }
}
