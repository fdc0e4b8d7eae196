//! `add` fails after it has promoted: it demotes again before it exits.
//!
//! libxl runs no `remove` after a failed block-attach, so nobody else would. The
//! add is run by hand on a backend directory of a domain that does not exist
//! (state 2 from the start: the kernel takes up only directories in state 1).
//! While the add waits for the `block` lock, the state leaves 2, as it does when
//! the toolstack gives the disk up in that moment.

use crate::block_lock;
use crate::node::LIMIT;
use crate::pair::Pair;
use anyhow::{Result, ensure};

/// The directory that stands for a guest's disk.
pub const BACKEND: &str = "backend/vbd/9999/51712";

pub fn run(pair: &Pair) -> Result<()> {
    let result = fail_after_promotion(pair);
    // Nothing else knows of this domain, and the next scenario must not see it.
    pair.a.run("xenstore-rm /local/domain/0/backend/vbd/9999; xenstore-rm /local/domain/9999")?;
    result
}

fn fail_after_promotion(pair: &Pair) -> Result<()> {
    let a = &pair.a;
    pair.connect("r6")?;
    make_backend(pair)?;
    block_lock::hold(a)?;
    a.ok(&format!(
        "rm -f /run/lab-add-code
         ( XENBUS_PATH={BACKEND} XENBUS_TYPE=vbd XENBUS_BASE_PATH=backend script=/etc/xen/scripts/block-drbd \
           /etc/xen/scripts/block-drbd add 2>/run/lab-add; echo $? >/run/lab-add-code ) &"
    ))?;
    a.wait_for_drbd("r6", "ro:Primary/Secondary")?;
    // The claim is there now: that it is gone later says something.
    a.ok("[ -e /run/block-drbd/claims/r6.json ]")?;
    a.ok(&format!("xenstore-write /local/domain/0/{BACKEND}/state 5"))?;
    block_lock::release(a)?;

    a.wait_until("done with the add", "[ -s /run/lab-add-code ]", LIMIT)?;
    let code = a.ok("cat /run/lab-add-code")?;
    ensure!(code.trim() != "0", "the add succeeded in state 5");
    // Any other reason, such as patience that ended at the lock, would be another test.
    let said = a.ok("cat /run/lab-add")?;
    ensure!(said.contains("is in state 5"), "the add failed, and not because of the state: {said}");
    a.drbd_is("r6", "ro:Secondary/Secondary")?;
    a.ok(&format!("! xenstore-exists /local/domain/0/{BACKEND}/physical-device"))?;
    a.ok("! ls -A /run/block-drbd/claims | grep .")?;
    Ok(())
}

/// Puts it up, for r6.
pub fn make_backend(pair: &Pair) -> Result<()> {
    let nodes = [
        ("domain", "by-hand"),
        ("frontend", "/local/domain/9999/device/vbd/51712"),
        ("frontend-id", "9999"),
        ("params", "r6"),
        ("script", "/etc/xen/scripts/block-drbd"),
        ("online", "1"),
        ("removable", "0"),
        ("bootable", "1"),
        ("dev", "xvda"),
        ("type", "phy"),
        ("mode", "w"),
        ("device-type", "disk"),
        ("state", "2"),
    ];
    let mut command = "xenstore-write /local/domain/9999/name by-hand".to_owned();
    for (name, value) in nodes {
        command += &format!(" /local/domain/0/{BACKEND}/{name} {value}");
    }
    pair.a.ok(&command)?;
    Ok(())
}
