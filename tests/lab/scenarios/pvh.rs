//! A PVH guest gets the disk as a PV guest does.

use crate::guest::Guest;
use crate::pair::Pair;
use anyhow::Result;

pub fn run(pair: &Pair) -> Result<()> {
    pair.connect("r2")?;
    let plain = Guest::new("pvh", "raw", "r2");
    // Without the native TSC the console is flooded under TCG.
    let more = format!("{}type=\"pvh\"\ntsc_mode=\"native\"\n", plain.more);
    let guest = Guest { more: &more, ..plain };
    guest.create(&pair.a)?;
    guest.wait_for(&pair.a, "done")?;
    guest.wait_until_gone(&pair.a)?;
    pair.a.wait_for_drbd("r2", "ro:Secondary/Secondary")
}
