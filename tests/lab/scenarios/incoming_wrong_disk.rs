//! `xl migrate -C` with a configuration that names the disk of another guest: the destination asks the
//! source which guest has the disk, and refuses. With its own disk the guest moves.

use crate::guest::Guest;
use crate::handled;
use crate::moving::{self, RESOURCE};
use crate::pair::Pair;
use crate::settled;
use anyhow::{Result, ensure};

/// The disk of the other guest.
const OTHERS: &str = "r1";

/// The emulated source needs longer than the default to answer.
const SETTINGS: &str = "incoming-seconds = 10\n";

pub fn run(pair: &Pair) -> Result<()> {
    let (a, b) = (&pair.a, &pair.b);
    handled::install(pair, SETTINGS)?;
    let mover = moving::guest_on_a(pair, "mover")?;
    pair.connect(OTHERS)?;
    Guest::tiny("owner", OTHERS).create(a)?;
    let said = moving::with_another_disk_fails(pair, &mover, OTHERS)?;
    ensure!(said.contains("[incoming]"), "xl does not name the rule: {said}");
    both_are_on_a(pair)?;

    // b no longer knows how to ask a. The settings make a refusal of that.
    b.put("/etc/xen/block-drbd.toml", b"[rules]\nincoming-unproven = \"refuse\"\n")?;
    mover.is_suspendable(a)?;
    let said = a.fails("xl migrate mover b")?;
    ensure!(said.contains("[incoming-unproven]"), "xl does not name the rule: {said}");
    both_are_on_a(pair)?;

    handled::install(pair, SETTINGS)?;
    a.ok("xl destroy owner")?;
    settled::with_guest(pair, a, mover.name, RESOURCE)?;
    moving::move_to(pair, &mover, a, b)?;
    moving::destroy(pair, &mover, b)
}

fn both_are_on_a(pair: &Pair) -> Result<()> {
    pair.a.ok("xl list mover && xl list owner")?;
    for resource in [RESOURCE, OTHERS] {
        settled::is_free(&pair.b, resource)?;
        pair.a.drbd_is(resource, "cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate ")?;
    }
    Ok(())
}
