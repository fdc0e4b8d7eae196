//! Another guest writes to a device below the volume, past DRBD, which does not hinder blkback: the
//! guest that wants the volume is refused as long as the other one runs.

use super::boot_storm;
use crate::drbd::SHARED_DISK;
use crate::guest::Guest;
use crate::pair::Pair;
use crate::settled;
use anyhow::{Context, Result, ensure};

/// A resource, and a device below it: the disk, the disk below the disk, and that of the metadata.
const CASES: &[(&str, &str)] = &[("r3", "vdd"), ("s00", "mapper/s00"), ("s00", SHARED_DISK), ("f1", "vdm")];

pub fn run(pair: &Pair) -> Result<()> {
    pair.connect("r3")?;
    pair.connect("f1")?;
    boot_storm::connect(pair, &["s00"])?;
    CASES.iter().try_for_each(|(resource, device)| one(pair, resource, device).context(*device))
}

fn one(pair: &Pair, resource: &str, device: &str) -> Result<()> {
    let a = &pair.a;
    let guest = Guest::tiny("above", resource);
    let tiny = Guest::tiny("below", resource);
    let more = format!("{}disk=[\"phy:/dev/{device},xvda,w\"]\n", tiny.more);
    Guest { more: &more, ..tiny }.create(a)?;
    let said = guest.create_is_refused(a)?;
    ensure!(said.contains("[other-guest]"), "xl does not name the rule: {said}");
    a.drbd_is(resource, "ro:Secondary/Secondary")?;
    a.ok("xl list below && xl destroy below")?;
    settled::without_guest(pair, resource)?;
    guest.create(a)?;
    settled::with_guest(pair, a, guest.name, resource)?;
    a.ok("xl destroy above")?;
    settled::without_guest(pair, resource)
}
