//! Opens and closes the window in which a live migration lets two nodes be Primary.
//!
//! One request is enough for both nodes: a connected peer adopts the option (drbd_receiver.c,
//! receive_protocol with P_PROTOCOL_UPDATE, from protocol version 100 on).

use super::ask::{Reply, ask};
use super::detach;
use crate::facts::{Connection, Window};
use crate::gather;
use crate::gather::drbd::{self, codes};
use crate::handlers::window;
use crate::host::Host;
use anyhow::{Context, Result, bail, ensure};

/// Records the window, opens it, and starts what will close it.
pub fn open(host: &mut Host, window: &Window) -> Result<()> {
    let resource = &window.resource;
    host.write_record(&Window::path(resource), window)?;
    if let Reply::Refused { text, .. } = allow(host, resource, true)? {
        bail!("DRBD refuses to let two nodes have {resource} Primary: {text}; see dmesg | grep {resource}");
    }
    read_back(host, resource, true)?;
    detach(host, resource)
}

/// Closes it and removes the record, or says why not yet; `alone` lets it close on this node
/// while there is no connection, and `kept` says why the record stays.
pub fn close(host: &mut Host, resource: &str, alone: bool, kept: Option<&str>) -> Result<Option<String>> {
    let path = Window::path(resource);
    // What is down keeps no option.
    let Some(found) = gather::resource(host, resource)? else {
        host.remove(&path)?;
        return Ok(None);
    };
    if let Some(why) = window::stays_open(&found, alone) {
        return Ok(Some(format!("two nodes may still have {resource} Primary, for a migration: {why}")));
    }
    if found.connections.iter().any(Connection::allows_two_primaries) {
        match allow(host, resource, false)? {
            Reply::Done | Reply::NothingToDo => read_back(host, resource, false)?,
            Reply::Refused { code: codes::NEED_ALLOW_TWO_PRI, text } => {
                return Ok(Some(format!("two nodes may still have {resource} Primary: {text}")));
            }
            Reply::Refused { text, .. } => {
                bail!("DRBD refuses to end the migration window of {resource}: {text}")
            }
        }
    }
    if let Some(why) = kept {
        return Ok(Some(format!(
            "two nodes may not have {resource} Primary any more, but its migration is not over: {why}"
        )));
    }
    host.remove(&path)?;
    Ok(None)
}

fn allow(host: &Host, resource: &str, allowed: bool) -> Result<Reply> {
    let what = format!("{} two Primaries of {resource}", if allowed { "allow" } else { "forbid" });
    ask(host, &what, |genl, generation| drbd::allow_two_primaries(genl, generation, resource, allowed))
}

fn read_back(host: &Host, resource: &str, allowed: bool) -> Result<()> {
    let found = gather::resource(host, resource)?.with_context(|| format!("{resource} is gone"))?;
    ensure!(
        found.connections.iter().any(Connection::allows_two_primaries) == allowed,
        "DRBD said that allow-two-primaries of {resource} is {allowed}, and it is not"
    );
    Ok(())
}
