//! The disk below the Primary fails: DRBD drops it and calls the handler. By default
//! the guest goes on over the peer's disk, also while a mended disk is filled again
//! below it; where the settings say so it is ended. Either way the resource is set aside.

use super::boot_storm;
use crate::drbd::{self, SHARED_DISK, SMALL_SECTORS};
use crate::flushes;
use crate::guest::Guest;
use crate::handled;
use crate::node::{LIMIT, Node};
use crate::pair::Pair;
use crate::settled;
use anyhow::{Result, ensure};

/// The first of the small ones, which begins where the shared disk does.
const RESOURCE: &str = "s00";

pub fn run(pair: &Pair) -> Result<()> {
    handled::install(pair, "")?;
    boot_storm::connect(pair, &[RESOURCE])?;
    goes_on_over_the_peer(pair)?;
    pair.a.put("/etc/xen/block-drbd.toml", b"[handlers]\nlocal-io-error = \"destroy\"\n")?;
    is_ended(pair)?;
    handled::tell_times(pair, RESOURCE)
}

fn goes_on_over_the_peer(pair: &Pair) -> Result<()> {
    let a = &pair.a;
    call_us(a)?;
    let guest = Guest::tiny("io-goes-on", RESOURCE);
    guest.create(a)?;
    write(a, 1)?;
    set_table(a, "error")?;
    write(a, 2)?;
    handled::wait_for(a, RESOURCE, "local-io-error", 1)?;
    handled::answered(a, RESOURCE, "local-io-error", 0)?;
    a.wait_for_drbd(RESOURCE, "ro:Primary/Secondary ds:Diskless/UpToDate")?;
    write(a, 3)?;
    let list = a.ok("block-drbd quarantine list")?;
    ensure!(list.contains(RESOURCE) && list.contains(guest.name), "not listed: {list}");

    mend(pair)?;
    handled::answered(a, RESOURCE, "before-resync-target", 0)?;
    let device = format!("/dev/drbd{}", drbd::minor(RESOURCE));
    let found =
        a.ok(&format!("dd if={device} iflag=direct bs=4k skip=1 count=3 status=none | tr -d '\\0'"))?;
    ensure!(found == "record 1\nrecord 2\nrecord 3\n", "of three records there are {found}");
    settled::with_guest(pair, a, guest.name, RESOURCE)?;
    a.ok(&format!("xl destroy {}", guest.name))?;
    clear(a)
}

fn is_ended(pair: &Pair) -> Result<()> {
    let a = &pair.a;
    call_us(a)?;
    let guest = Guest::tiny("io-ended", RESOURCE);
    guest.create(a)?;
    set_table(a, "error")?;
    // Whether this write comes before or after the end of the guest does not matter.
    a.run(&writer(4))?;
    handled::wait_for(a, RESOURCE, "local-io-error", 2)?;
    a.wait_until("without the guest", &format!("! xl list {}", guest.name), LIMIT)?;
    a.wait_for_drbd(RESOURCE, "ro:Secondary/Secondary ds:Diskless/UpToDate")?;
    mend(pair)?;
    let said = Guest::tiny("io-again", RESOURCE).create_is_refused(a)?;
    ensure!(said.contains("[quarantined]"), "xl does not name the rule: {said}");
    clear(a)
}

fn write(node: &Node, number: usize) -> Result<()> {
    node.ok(&writer(number))?;
    Ok(())
}

/// A record of its own: the other ones lie further apart than this disk is large.
fn writer(number: usize) -> String {
    format!(
        "set -o pipefail; echo record {number} | dd bs=4k conv=sync status=none \
         | dd of=/dev/drbd{} bs=4k seek={number} oflag=direct conv=fsync status=none",
        drbd::minor(RESOURCE)
    )
}

/// An option of the disk, which goes with it.
fn call_us(node: &Node) -> Result<()> {
    flushes::disk_options(node, RESOURCE, "--on-io-error=call-local-io-error")
}

fn clear(node: &Node) -> Result<()> {
    node.wait_for_drbd(RESOURCE, "ro:Secondary/Secondary ds:UpToDate/UpToDate")?;
    node.ok(&format!("block-drbd quarantine clear {RESOURCE} --reason 'a new disk'"))?;
    Ok(())
}

/// A new disk: the same space, without what was there.
fn mend(pair: &Pair) -> Result<()> {
    let a = &pair.a;
    set_table(a, &format!("linear /dev/{SHARED_DISK} 0"))?;
    a.ok(&format!("drbdadm -- --force create-md {RESOURCE} && drbdadm attach {RESOURCE}"))?;
    flushes::are_equal(pair, RESOURCE)
}

fn set_table(node: &Node, target: &str) -> Result<()> {
    node.ok(&format!(
        "export DM_DISABLE_UDEV=1
         /sbin/dmsetup suspend --noflush --nolockfs {RESOURCE}
         /sbin/dmsetup load {RESOURCE} --table '0 {SMALL_SECTORS} {target}'
         /sbin/dmsetup resume {RESOURCE}"
    ))?;
    Ok(())
}
