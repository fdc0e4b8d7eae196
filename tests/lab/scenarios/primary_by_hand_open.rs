//! The device is Primary by hand and something in dom0 writes to it, which neither the mount table nor
//! sysfs shows: a loop device, and qemu as another guest's backend. The guest is refused, and nothing is
//! demoted below the writer. Primary by hand with nobody at the device, the guest starts.

use crate::device_model;
use crate::drbd;
use crate::guest::Guest;
use crate::node::LIMIT;
use crate::pair::Pair;
use crate::settled;
use anyhow::{Context, Result, ensure};

const RESOURCE: &str = "r3";

pub fn run(pair: &Pair) -> Result<()> {
    pair.connect(RESOURCE)?;
    pair.a.ok(&format!("drbdadm primary {RESOURCE}"))?;
    below_a_loop_device(pair).context("a loop device")?;
    below_qemu(pair).context("qemu")?;

    let a = &pair.a;
    let guest = Guest::tiny("by-hand", RESOURCE);
    guest.create(a)?;
    settled::with_guest(pair, a, guest.name, RESOURCE)?;
    a.ok("xl destroy by-hand")?;
    settled::without_guest(pair, RESOURCE)
}

fn below_a_loop_device(pair: &Pair) -> Result<()> {
    let device = device();
    let a = &pair.a;
    a.ok(&format!("/sbin/modprobe loop && losetup /dev/loop0 {device}"))?;
    let refused = is_refused(pair);
    a.ok("losetup -d /dev/loop0")?;
    refused
}

fn below_qemu(pair: &Pair) -> Result<()> {
    let a = &pair.a;
    device_model::install(a)?;
    let tiny = Guest::tiny("qdisk", RESOURCE);
    let disk = format!("disk=[\"vdev=xvda,access=rw,format=raw,backendtype=qdisk,target={}\"]\n", device());
    let more = format!("{}{disk}", tiny.more);
    Guest { more: &more, ..tiny }.create(a)?;
    let opened = format!("ls -l /proc/$(pidof xen-qemu-system-i386)/fd | grep -q '{}$'", device());
    a.wait_until("with the device open in qemu", &opened, LIMIT)?;
    is_refused(pair)?;
    a.ok("xl list qdisk && xl destroy qdisk")?;
    a.wait_until("without qemu", "! pidof xen-qemu-system-i386", LIMIT)
}

fn is_refused(pair: &Pair) -> Result<()> {
    let said = Guest::tiny("by-hand", RESOURCE).create_is_refused(&pair.a)?;
    ensure!(said.contains("[held]"), "xl does not name the rule: {said}");
    pair.a.drbd_is(RESOURCE, "ro:Primary/Secondary")?;
    pair.a.ok("! xl list by-hand").map(drop)
}

fn device() -> String {
    format!("/dev/drbd{}", drbd::minor(RESOURCE))
}
