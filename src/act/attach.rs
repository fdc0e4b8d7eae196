//! What the toolstack and blkback read: the device, or why there is none.

use crate::config::Settings;
use crate::event::{Action, Caller, Hotplug, VbdPath};
use crate::facts::{Known, PhysicalDevice, Role, VolumeUser};
use crate::gather::{sharing, toolstack};
use crate::host::xenstore::{Error, Transaction};
use crate::host::{Host, lock};
use crate::printable::Line;
use crate::{gather, report, rules};
use anyhow::{Result, bail, ensure};

/// XenbusStateInitWait: blkback has written what it can and waits for the device.
const INIT_WAIT: &str = "2";

/// Hands the device to blkback, if everything still holds under Xen's own lock.
pub fn attach(
    host: &mut Host,
    vbd: &VbdPath,
    device: PhysicalDevice,
    at_source: &Known<Vec<VolumeUser>>,
    settings: &Settings,
) -> Result<()> {
    let _lock = lock::take_xen_block(host, toolstack::lock_protocol(host))?;
    let event = Hotplug { action: Action::Add, vbd: vbd.clone(), caller: Caller::Libxl };
    let mut facts = gather::facts(host, &event, &gather::target(host, &event), settings);
    facts.at_source = at_source.clone();
    let verdict = rules::evaluate(&facts, settings);
    ensure!(verdict.allows(), "{}", report::refusal(&facts, &verdict));
    let role = facts.volume().map(|volume| &volume.role);
    ensure!(
        role == Some(&Role::Primary),
        "/dev/drbd{} is not Primary any more; start the guest again",
        device.minor
    );
    if let Known::Is(vbds) = &facts.vbds
        && let Some(text) = host.timed("sharing", || sharing::to_remember(host, vbds))
    {
        host.write(sharing::MEMORY, &text)?;
    }
    let values = [
        ("physical-device-path", format!("/dev/drbd{}", device.minor)),
        ("physical-device", device.to_string()),
        ("hotplug-status", "connected".to_string()),
    ];
    // One transaction that reads `state`: when the toolstack gives up at the
    // same time, the commit fails and this looks again (xen.md 3.4).
    host.xenstore_mut()?.transaction(|transaction| -> Result<()> {
        expect_init_wait(transaction, vbd)?;
        for (name, value) in &values {
            transaction.write(&vbd.node(name), value.as_bytes())?;
        }
        Ok(())
    })
}

fn expect_init_wait(transaction: &Transaction, vbd: &VbdPath) -> Result<()> {
    match transaction.read(&vbd.node("state"))? {
        Some(state) if state == INIT_WAIT.as_bytes() => Ok(()),
        Some(state) => bail!(
            "{} is in state {} and no longer in {INIT_WAIT}: the toolstack has given the disk up; start the guest again",
            vbd.path,
            String::from_utf8_lossy(&state)
        ),
        None => bail!("{} is gone: the toolstack has given the disk up; start the guest again", vbd.path),
    }
}

/// Writes the reason where libxl and xend look for it, if the directory is still
/// there: a write would bring a dead one back (xen.md, rule R9).
pub fn refuse(host: &mut Host, vbd: &VbdPath, sentence: &Line) -> Result<()> {
    host.xenstore_mut()?.transaction(|transaction| -> Result<(), Error> {
        if transaction.read(&vbd.node("state"))?.is_none() {
            return Ok(());
        }
        transaction.write(&vbd.node("hotplug-error"), sentence.as_bytes())?;
        transaction.write(&vbd.node("hotplug-status"), b"error")
    })?;
    Ok(())
}
