//! A host loses its power in the middle of an `add`, of a `remove`, and of I/O: the
//! other takes the guest over, the first comes back clean and can have it again.
//!
//! What tells the survivor that the first is off is the lab itself, as a power
//! switch would: DRBD's fence-peer handler asks it.

use super::orphan_released;
use crate::block_lock;
use crate::drbd;
use crate::flushes::{self, are_kept};
use crate::guest::Guest;
use crate::node::LIMIT;
use crate::pair::Pair;
use crate::settled;
use anyhow::{Result, ensure};

const RESOURCE: &str = "r5";

/// How many records are acknowledged before the cut.
const SOME: u64 = 30;

pub fn run(pair: &Pair) -> Result<()> {
    for (what, disturb) in [
        ("add", in_the_middle_of_an_add as fn(&Pair) -> Result<u64>),
        ("remove", in_the_middle_of_a_remove),
        ("I/O", in_the_middle_of_io),
    ] {
        pair.connect(RESOURCE)?;
        pair.both(|node| flushes::disk_options(node, RESOURCE, "--fencing=resource-only"))?;
        let acknowledged = disturb(pair)?;
        pair.a.power_cut()?;
        println!("lab:   a lost its power in the middle of {what}");
        fail_over_and_back(pair, acknowledged)?;
        pair.clean_up(&[RESOURCE])?;
    }
    Ok(())
}

/// Returns, as the others do, the last record that is known to be acknowledged.
fn in_the_middle_of_an_add(pair: &Pair) -> Result<u64> {
    let create = Guest::tiny("reset-add", RESOURCE).command(&pair.a)?;
    block_lock::hold(&pair.a)?;
    pair.a.ok(&format!("( {create} ) >/run/lab-create 2>&1 &"))?;
    pair.a.wait_for_drbd(RESOURCE, "ro:Primary/Secondary")?;
    Ok(0)
}

fn in_the_middle_of_a_remove(pair: &Pair) -> Result<u64> {
    let guest = Guest::tiny("reset-remove", RESOURCE);
    guest.create(&pair.a)?;
    orphan_released::hold_device(&pair.a, RESOURCE)?;
    pair.a.ok("( xl destroy reset-remove ) >/run/lab-destroy 2>&1 &")?;
    orphan_released::wait_for_remove(&pair.a)?;
    Ok(0)
}

fn in_the_middle_of_io(pair: &Pair) -> Result<u64> {
    Guest::tiny("reset-io", RESOURCE).create(&pair.a)?;
    flushes::write(&pair.a, RESOURCE, 1..=SOME)?;
    let minor = drbd::minor(RESOURCE);
    pair.a.ok(&format!("/lab/agent write /dev/drbd{minor} {} 3000 >/run/lab-written 2>&1 &", SOME + 1))?;
    pair.a.wait_until("writing", &format!("grep -q 'fsynced {}' /run/lab-written", 2 * SOME), LIMIT)?;
    Ok(2 * SOME)
}

fn fail_over_and_back(pair: &Pair, acknowledged: u64) -> Result<()> {
    let (a, b) = (&pair.a, &pair.b);
    b.wait_for_drbd(RESOURCE, "cs:WFConnection ro:Secondary/Unknown")?;
    b.ok("touch /run/lab-peer-is-off")?;
    let taken_over = Guest::tiny("reset-taken-over", RESOURCE);
    taken_over.create(b)?;
    b.drbd_is(RESOURCE, "ro:Primary/Unknown")?;
    are_kept("the host that took over", 1..=acknowledged, &flushes::find(b, RESOURCE)?)?;

    a.power_on()?;
    a.wait_for_boot()?;
    flushes::join(pair, a, RESOURCE)?;
    settled::with_guest(pair, b, taken_over.name, RESOURCE)?;
    let said = taken_over.create_is_refused(a)?;
    ensure!(said.contains("[peer-primary]"), "a refuses it for another reason: {said}");
    b.ok("xl destroy reset-taken-over")?;
    settled::without_guest(pair, RESOURCE)?;

    let back = Guest::tiny("reset-back", RESOURCE);
    back.create(a)?;
    settled::with_guest(pair, a, back.name, RESOURCE)?;
    a.ok("xl destroy reset-back")?;
    settled::without_guest(pair, RESOURCE)
}
