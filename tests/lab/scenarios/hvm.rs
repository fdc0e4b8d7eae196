//! An HVM guest: qemu opens its disk beside blkback, and both let go before it is released. After a
//! soft reset the same domain is given its disk a second time.

use crate::device_model;
use crate::drbd;
use crate::guest::{Guest, OURS};
use crate::node::{LIMIT, Node};
use crate::pair::Pair;
use crate::settled;
use anyhow::{Result, ensure};

const RESOURCE: &str = "r6";

pub fn run(pair: &Pair) -> Result<()> {
    let a = &pair.a;
    device_model::install(a)?;
    pair.connect(RESOURCE)?;
    runs_and_ends(pair)?;
    is_reset(pair)
}

fn runs_and_ends(pair: &Pair) -> Result<()> {
    let (a, more) = (&pair.a, configuration("idle"));
    Guest { more: &more, ..Guest::new("hvm", "", RESOURCE) }.create(a)?;
    settled::with_guest(pair, a, "hvm", RESOURCE)?;
    qemu_has_it(a)?;
    a.ok("xl destroy hvm")?;
    settled::without_guest(pair, RESOURCE)
}

/// xl gives the domain its disk once more under its number; between the two there is no `remove` where
/// the guest's frontend, which here is none, has not closed in time.
fn is_reset(pair: &Pair) -> Result<()> {
    let (a, more) = (&pair.a, configuration("soft-reset"));
    Guest { more: &more, ..Guest::new("reset", "", RESOURCE) }.create(a)?;
    let id = a.ok("xl domid reset")?;
    let twice = format!("[ $(grep -c ' add domid={} ' /var/log/syslog) = 2 ]", id.trim());
    a.wait_until("with the disk given twice", &twice, LIMIT)?;
    settled::with_guest(pair, a, "reset", RESOURCE)?;
    qemu_has_it(a)?;
    ensure!(a.ok("xl domid reset")? == id, "it is another domain");
    a.ok("xl destroy reset")?;
    settled::without_guest(pair, RESOURCE)
}

/// Our payload stands where Xen's own firmware would (libxl wants a BIOS for it all the same), and the
/// disk has the name of an emulated one.
fn configuration(payload: &str) -> String {
    format!(
        "type=\"hvm\"\nmemory=32\nfirmware_override=\"/lab/{payload}\"\nbios_path_override=\"/lab/{payload}\"\ntsc_mode=\"native\"\n\
         vnc=0\nnographic=1\nvga=\"none\"\nxen_platform_pci=0\n\
         disk=[\"vdev=hda,access=rw,script={OURS},target={RESOURCE}\"]\n"
    )
}

fn qemu_has_it(node: &Node) -> Result<()> {
    let device = format!("/dev/drbd{}", drbd::minor(RESOURCE));
    let opened = format!("ls -l /proc/$(pidof xen-qemu-system-i386)/fd | grep -q '{device}$'");
    node.wait_until("with the disk open in qemu", &opened, LIMIT)
}
