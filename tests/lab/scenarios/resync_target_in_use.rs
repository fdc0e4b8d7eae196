//! Policies that let DRBD throw away the data below a running guest (`violently`): the
//! handler refuses and the nodes part. DRBD has called the disk Outdated by then and
//! fails the guest's I/O, but what the guest has written is there, for an administrator to
//! decide. Below a guest that already runs on the peer's data a resync takes nothing
//! away: that one is let go on.

use crate::drbd;
use crate::flushes;
use crate::guest::Guest;
use crate::handled;
use crate::node::Node;
use crate::pair::Pair;
use crate::settled;
use anyhow::{Result, ensure};

const RESOURCE: &str = "r4";

/// Records that no guest writes: one that both nodes have, and one that only b has.
const OURS: u64 = 1000;
const THEIRS: u64 = 1001;

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
    flushes::write(a, RESOURCE, OURS..=OURS)?;
    pair.link.cut();
    pair.both(|node| node.wait_for_drbd(RESOURCE, "cs:WFConnection .* ds:UpToDate/DUnknown"))?;
    b.ok(&format!("drbdadm primary {RESOURCE}"))?;
    flushes::write(b, RESOURCE, THEIRS..=THEIRS)?;
    b.ok(&format!("drbdadm secondary {RESOURCE}"))?;
    pair.link.restore();
    handled::wait_for(a, RESOURCE, "before-resync-target", 2)?;
    handled::answered(a, RESOURCE, "before-resync-target", 1)?;
    a.wait_for_drbd(RESOURCE, "cs:StandAlone")?;
    settled::with_guest(pair, a, guest.name, RESOURCE)?;
    a.ok("xl destroy resync-kept")?;
    a.wait_for_drbd(RESOURCE, "ro:Secondary/")?;
    let found = a.ok(&format!(
        "dd if=/dev/{} iflag=direct bs=64k status=none | /lab/agent find",
        drbd::disk(RESOURCE)
    ))?;
    let has = |number: u64| found.lines().any(|line| line == number.to_string());
    ensure!(has(OURS) && !has(THEIRS), "the disk below the guest has these records: {found}");
    Ok(())
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
