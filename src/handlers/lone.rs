//! The record of a node that has gone on without its peer, brought up to date.

use super::Step;
use crate::facts::{Facts, Known, Lone, LoneVolume, Resource, Role, Volume};

/// The step that records which of the minors in `released` have been written since the peer was
/// lost, and forgets what no longer holds; None where the record says so already.
///
/// It stands before the release: a Primary that has lost its peer is the evidence, and what
/// happens until it is demoted shows in the generations when they are compared. But where the peer
/// may have been Primary too when it was lost, it may be writing: after a migration, or where two
/// Primaries are allowed, nothing is recorded. A record that cannot be read is left to whoever can,
/// unless there is something to put in its place.
pub fn step(facts: &Facts, released: &[u32]) -> Option<Step> {
    let resource = facts.resource.value()?.as_ref()?;
    let before = facts.lone.value().and_then(Clone::clone);
    let only_writer = facts.ends_here() && facts.window == Known::Is(None) && one_primary(resource);
    let written = |volume: &Volume| {
        let released = released.contains(&volume.minor) && volume.role == Role::Primary;
        only_writer && released && peer_lacks_some(volume)
    };
    let holds = |volume: &Volume| before.as_ref().is_some_and(|before| before.holds(volume));
    let volumes: Vec<LoneVolume> = match is_alone(resource) {
        true => resource
            .volumes
            .iter()
            .filter(|volume| written(volume) || holds(volume))
            .filter_map(recorded)
            .collect(),
        false => Vec::new(),
    };
    let after = (!volumes.is_empty()).then(|| Lone { version: 1, resource: resource.name.clone(), volumes });
    (before != after).then(|| Step::RecordLone { resource: resource.name.clone(), before, after })
}

fn is_alone(resource: &Resource) -> bool {
    !resource.connections.iter().any(|connection| connection.is_connected())
}

fn one_primary(resource: &Resource) -> bool {
    resource.connections.iter().all(|connection| connection.two_primaries == Known::Is(false))
}

fn peer_lacks_some(volume: &Volume) -> bool {
    volume.generations.value().is_some_and(|generations| generations.bitmap_uuid != 0)
}

fn recorded(volume: &Volume) -> Option<LoneVolume> {
    let generations = volume.generations.value()?;
    Some(LoneVolume { minor: volume.minor, current_uuid: generations.current_uuid & !1 })
}
