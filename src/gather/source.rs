//! Who has the disk of a guest that moves in, as the node says that it comes from.
//!
//! Only the peer at the other end of the connection is asked: a resource of the same name on
//! another host is another resource.

use super::peers;
use crate::config::Settings;
use crate::facts::{Connection, Facts, Known, VolumeUser};
use crate::host::{Deadline, Host, program};
use anyhow::{Context, Result, bail, ensure};

/// The guests that have the resource on the peer of `connection`: as it has announced beforehand,
/// else asked until `by`, as the guest that moves stands still meanwhile.
pub fn ask(
    host: &Host,
    facts: &Facts,
    connection: &Connection,
    settings: &Settings,
    by: Deadline,
) -> Known<Vec<VolumeUser>> {
    if let Some(expected) = facts.announced() {
        return Known::Is(expected.users());
    }
    let resource = facts.target.as_ref().map_or("", |target| &target.resource);
    Known::from(users(host, resource, &connection.peer, settings, by))
}

fn users(
    host: &Host,
    resource: &str,
    peer: &str,
    settings: &Settings,
    by: Deadline,
) -> Result<Vec<VolumeUser>> {
    ensure!(!settings.incoming().is_zero(), "incoming-seconds is 0, so that {peer} is not asked");
    let how = settings.peers().get(peer);
    let how = how.with_context(|| format!("{peer} is not asked: the settings have no [peers.{peer}]"))?;
    let command = program::of_root(host, how.command())?;
    let resources = match peers::ask_until(peer, &command, by)?.resources {
        Known::Is(resources) => resources,
        Known::Unknown(why) => bail!("{peer} does not know its resources: {why}"),
    };
    let found = resources.into_iter().find(|other| other.name == resource);
    match found.with_context(|| format!("{peer} does not tell of {resource}"))?.users {
        Known::Is(users) => Ok(users),
        Known::Unknown(why) => bail!("{peer} does not know which guests have {resource}: {why}"),
    }
}
