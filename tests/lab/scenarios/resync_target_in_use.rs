//! Policies that let DRBD throw away the data below a running guest (`violently`): the
//! handler refuses, the nodes part, and the guest keeps what it has. Below a guest that
//! already runs on the peer's data a resync takes nothing away: that one is let go on.

use crate::drbd;
use crate::flushes;
use crate::guest::Guest;
use crate::handled;
use crate::node::Node;
use crate::pair::Pair;
use crate::settled;
use anyhow::{Result, ensure};

const RESOURCE: &str = "r4";

pub fn run(pair: &Pair) -> Result<()> {
    let a = &pair.a;
    handled::install(pair, "")?;
    pair.connect(RESOURCE)?;
    let guest = Guest::new("resynced", "checked", RESOURCE);
    guest.create(a)?;
    guest.wait_for(a, "fsynced 3")?;
    a.ok(&format!("drbdadm detach {RESOURCE}"))?;
    guest.goes_on(a)?;
    a.ok(&format!("drbdadm attach {RESOURCE}"))?;
    flushes::are_equal(pair, RESOURCE)?;
    handled::answered(a, RESOURCE, "before-resync-target", 0)?;
    guest.goes_on(a)?;
    a.ok("xl shutdown resynced")?;
    guest.wait_until_gone(a)?;
    settled::without_guest(pair, RESOURCE)?;
    is_refused(pair)?;
    handled::tell_times(pair, RESOURCE)
}

/// The guest here does not write, and b has written: `discard-zero-changes` gives up a's data.
fn is_refused(pair: &Pair) -> Result<()> {
    let (a, b) = (&pair.a, &pair.b);
    pair.both(let_drbd_discard)?;
    let guest = Guest::tiny("resync-kept", RESOURCE);
    guest.create(a)?;
    let before = a.ok(&digest(RESOURCE))?;
    pair.link.cut();
    pair.both(|node| node.wait_for_drbd(RESOURCE, "cs:WFConnection .* ds:UpToDate/DUnknown"))?;
    b.ok(&format!("drbdadm primary {RESOURCE}"))?;
    flushes::write(b, RESOURCE, 2..=2)?;
    b.ok(&format!("drbdadm secondary {RESOURCE}"))?;
    pair.link.restore();
    handled::wait_for(a, RESOURCE, "before-resync-target", 2)?;
    handled::answered(a, RESOURCE, "before-resync-target", 1)?;
    pair.both(|node| node.wait_for_drbd(RESOURCE, "cs:StandAlone"))?;
    ensure!(a.ok(&digest(RESOURCE))? == before, "the data below the guest has changed");
    settled::with_guest(pair, a, guest.name, RESOURCE)?;
    a.ok("xl destroy resync-kept")?;
    a.wait_for_drbd(RESOURCE, "ro:Secondary/")
}

fn digest(resource: &str) -> String {
    format!("dd if=/dev/drbd{} iflag=direct bs=64k status=none | md5sum", drbd::minor(resource))
}

fn let_drbd_discard(node: &Node) -> Result<()> {
    let port = drbd::port(RESOURCE);
    let (mine, other) = if node.name == "a" { (1, 2) } else { (2, 1) };
    node.ok(&format!(
        "drbdsetup net-options 10.0.0.{mine}:{port} 10.0.0.{other}:{port} --rr-conflict=violently \
         --after-sb-0pri=discard-zero-changes --after-sb-1pri=violently-as0p"
    ))?;
    Ok(())
}
