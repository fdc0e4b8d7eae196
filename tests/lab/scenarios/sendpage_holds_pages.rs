//! Why the rule `sendpage` warns: the link is lost below a guest that writes, and the
//! guest is destroyed. What was sent without a copy is still in the send queue of the
//! lost connection, so blkback cannot give the guest's pages back, and it waits for
//! them in xenwatch, which every device of every guest of the host waits for.
//! With `disable_sendpage=Y` the guest ends at once.

use crate::flushes;
use crate::guest::Guest;
use crate::node::LIMIT;
use crate::pair::Pair;
use anyhow::{Context, Result};
use std::time::Instant;

const RESOURCE: &str = "r1";

/// Where xenwatch waits (drivers/xen/grant-table.c).
const WAITS: &str = "grep -q gnttab_unmap_refs_sync /proc/$(pidof xenwatch)/stack";

pub fn run(pair: &Pair) -> Result<()> {
    let a = &pair.a;
    pair.connect(RESOURCE)?;
    destroy_over_a_lost_link(pair, "copied", "Y")?;
    a.wait_for_no_vbds(LIMIT).context("with disable_sendpage=Y")?;
    pair.link.restore();
    flushes::are_equal(pair, RESOURCE)?;

    destroy_over_a_lost_link(pair, "not-copied", "N")?;
    a.wait_until("hanging in xenwatch", WAITS, LIMIT)?;
    pair.link.restore();
    let restored = Instant::now();
    match a.wait_for_no_vbds(2 * LIMIT) {
        Ok(()) => {
            println!("lab:   xenwatch hung until {} s after the link was back", restored.elapsed().as_secs())
        }
        Err(_) => println!("lab:   xenwatch hangs {} s after the link is back", restored.elapsed().as_secs()),
    }
    // What is left of it nobody can clean up.
    a.power_cut()
}

fn destroy_over_a_lost_link(pair: &Pair, name: &str, disable_sendpage: &str) -> Result<()> {
    let a = &pair.a;
    a.ok(&format!("echo {disable_sendpage} >/sys/module/drbd/parameters/disable_sendpage"))?;
    let guest = Guest::new(name, "checked", RESOURCE);
    guest.create(a)?;
    guest.wait_for(a, "fsynced 3")?;
    pair.link.cut();
    a.wait_for_drbd(RESOURCE, "cs:WFConnection ")?;
    guest.goes_on(a)?;
    a.ok(&format!("( xl destroy {name} ) >/run/lab-destroy 2>&1 &"))?;
    Ok(())
}
