//! A guest moves to the host on which it runs: the disk is added for the new domain
//! while the old one has it, and the end of the old one does not demote.

use crate::guest::Guest;
use crate::pair::Pair;
use crate::settled;
use anyhow::{Result, ensure};

const RESOURCE: &str = "r6";

pub fn run(pair: &Pair) -> Result<()> {
    let a = &pair.a;
    pair.connect(RESOURCE)?;
    let guest = Guest::tiny("local", RESOURCE);
    guest.create(a)?;
    guest.is_suspendable(a)?;
    let before = a.ok("xl domid local")?;
    a.ok("xl migrate local localhost")?;
    let after = a.ok("xl domid local")?;
    ensure!(before != after, "it is still domain {before}");
    settled::with_guest(pair, a, guest.name, RESOURCE)?;
    a.ok("xl destroy local")?;
    settled::without_guest(pair, RESOURCE)
}
