//! Programs in dom0 keep the values in their vector registers beside a guest that flushes all the time.
//!
//! They do so only with `spec-ctrl=eager-fpu` (see `qemu`). Without it whatever runs in dom0 fails at random,
//! and no result of the lab is worth anything.

use crate::guest::Guest;
use crate::pair::Pair;
use anyhow::{Result, ensure};

/// Two at a time, so that they can get each other's values.
const COMPUTE: &str = "/lab/agent registers 300 >/run/lab-registers & /lab/agent registers 300 && wait $! && cat /run/lab-registers";

pub fn run(pair: &Pair) -> Result<()> {
    let a = &pair.a;
    pair.connect_erased("f0")?;
    let guest = Guest::new("registers", "endless lab.first=1", "f0");
    guest.create(a)?;
    guest.wait_for(a, "fsynced 10")?;
    let wrong = a.ok(COMPUTE)?;
    ensure!(wrong == "0\n0\n", "so many of 300 results of each program are wrong: {wrong}");
    guest.goes_on(a)?;
    a.ok("xl destroy registers")?;
    guest.wait_until_gone(a)?;
    a.wait_for_drbd("f0", "ro:Secondary/Secondary")
}
