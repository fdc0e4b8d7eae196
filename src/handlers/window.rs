//! The window of a live migration: when it opens, and when it may close.
//!
//! Only an add opens one, and only for the guest that moves in. Everything that runs later closes
//! it, because whoever opened it may be dead. DRBD guards the end itself: it refuses to close while
//! both nodes are Primary (drbd_nl.c, _check_net_options: ERR_NEED_ALLOW_TWO_PRI).

use super::Step;
use crate::facts::{Connection, Facts, Known, Resource, Role, Window};

/// How many seconds a link that is lost inside a window may take to come back before a node ends
/// the window alone: DRBD tries again each 10 s (connect-int). Two nodes that differ in it do not
/// connect (drbd_receiver.c, receive_protocol), so it had better be ended for both at once.
const RECONNECT: u64 = 15;

/// What opens the window for the guest of `facts`, where it needs one that is not there yet.
pub fn open(facts: &Facts, domid: u32) -> Option<Step> {
    let resource = facts.resource.value()?.as_ref()?;
    let vm = facts.backend.value()?.as_ref()?.vm.clone()?;
    let volume = facts.volume()?;
    let peer = resource.connections.iter().find(|connection| connection.has_primary(volume.number))?;
    // Allowed already: by the configuration, which is not ours to end, or by a window of this guest's,
    // through which it came with another disk, or went where it now comes back from.
    if peer.allows_two_primaries() && (opened_here(facts) || !facts.claims_one_primary()) {
        return None;
    }
    let window = Window { version: 1, resource: resource.name.clone(), vm, domid, opened: facts.now };
    Some(Step::OpenWindow { window })
}

/// What ends the window of the resource, where there is one and `released` tells that no guest
/// here needs it: when both nodes must stay Primary for now, the step says so.
pub fn close(facts: &Facts, released: bool, hand_over: bool) -> Option<Step> {
    let resource = &facts.target.as_ref().ok()?.resource;
    let (here, there) = (opened_here(facts), opened_there(facts, released));
    let recent = match &facts.window {
        Known::Is(Some(window)) => window.age(facts.now).is_some_and(|age| age < RECONNECT),
        _ => false,
    };
    (here || there).then(|| Step::CloseWindow {
        resource: resource.clone(),
        alone: !recent,
        kept: here.then(|| half(facts)).flatten(),
        hand_over,
    })
}

/// Why the record is still needed when the window has ended: half a guest is here, and this node is
/// Primary for it. Where the link is lost the other may be, too.
fn half(facts: &Facts) -> Option<String> {
    let users = match &facts.users {
        Known::Is(users) => users,
        Known::Unknown(why) => {
            return Some(format!("whether a guest is still moving in cannot be told: {why}"));
        }
    };
    let half = users.iter().find(|user| user.live && user.is_incoming())?;
    let guest = half.guest.as_deref().unwrap_or_default();
    Some(format!("guest {guest} (domain {}) is still moving in", half.domid))
}

/// Whether this node has opened one. A record that cannot be read is one.
fn opened_here(facts: &Facts) -> bool {
    facts.window != Known::Is(None)
}

/// Whether the peer has opened one, for a guest of ours that moves there: more is allowed than when
/// we claimed the resource. Before the peer is Primary it is not ours to end.
fn opened_there(facts: &Facts, released: bool) -> bool {
    let Some(Some(resource)) = facts.resource.value() else { return false };
    let ended = |connection: &Connection| {
        connection.allows_two_primaries() && (released || !connection.is_connected())
    };
    facts.claims_one_primary() && resource.connections.iter().any(ended)
}

/// Why the window of `resource` cannot end now; `alone` when it may end on this node only.
pub fn stays_open(resource: &Resource, alone: bool) -> Option<String> {
    match resource.connections.iter().find(|connection| connection.is_connected()) {
        Some(peer) if resource.role == Role::Primary && peer.peer_role == Role::Primary => {
            Some(format!("this node and {} are both Primary", peer.peer))
        }
        None if !alone => Some("the peer may come back".into()),
        _ => None,
    }
}
