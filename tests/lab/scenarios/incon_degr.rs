//! A Primary loses the last good copy: its own disk is gone, and then the peer. The
//! guest is paused, as the settings say, and goes on when the data is back.

use crate::flushes;
use crate::guest::Guest;
use crate::handled;
use crate::node::LIMIT;
use crate::pair::Pair;
use crate::settled;
use anyhow::{Result, ensure};

const RESOURCE: &str = "r2";

pub fn run(pair: &Pair) -> Result<()> {
    let a = &pair.a;
    handled::install(pair, "[handlers]\npri-on-incon-degr = \"pause\"\n")?;
    pair.connect(RESOURCE)?;
    let guest = Guest::tiny("degr", RESOURCE);
    guest.create(a)?;
    flushes::write(a, RESOURCE, 1..=1)?;
    a.ok(&format!("drbdadm detach {RESOURCE}"))?;
    a.wait_for_drbd(RESOURCE, "ro:Primary/Secondary ds:Diskless/UpToDate")?;

    pair.link.cut();
    handled::wait_for(a, RESOURCE, "pri-on-incon-degr", 1)?;
    handled::answered(a, RESOURCE, "pri-on-incon-degr", 0)?;
    a.wait_until("with a paused guest", "xl list | grep -qE '^degr .* [r-][b-]p--- '", LIMIT)?;
    let list = a.ok("block-drbd quarantine list")?;
    ensure!(list.contains(RESOURCE), "not listed: {list}");

    pair.link.restore();
    a.wait_for_drbd(RESOURCE, "cs:Connected ro:Primary/Secondary ds:Diskless/UpToDate")?;
    a.ok("xl unpause degr")?;
    flushes::write(a, RESOURCE, 2..=2)?;
    a.ok(&format!("drbdadm attach {RESOURCE}"))?;
    flushes::are_equal(pair, RESOURCE)?;
    settled::with_guest(pair, a, guest.name, RESOURCE)?;
    a.ok(&format!("block-drbd quarantine clear {RESOURCE} --reason 'the peer is back'"))?;
    a.ok("xl destroy degr")?;
    handled::tell_times(pair, RESOURCE)?;
    settled::without_guest(pair, RESOURCE)
}
