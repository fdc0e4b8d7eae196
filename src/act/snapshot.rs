//! LVM snapshots of volumes that are about to be overwritten.

use crate::gather;
use crate::handlers::Snapshot;
use crate::handlers::snapshot::Earlier;
use crate::host::{Host, program};
use anyhow::{Context, Result};
use std::time::Duration;

const LVCREATE: &str = "/sbin/lvcreate";
const LVREMOVE: &str = "/sbin/lvremove";

/// How long one call of lvm2 may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Takes all of them. What was made before one fails, the undo removes.
pub fn take(host: &Host, snapshots: &[Snapshot], percent: u64) -> Result<()> {
    snapshots.iter().try_for_each(|snapshot| {
        make(host, snapshot, percent)
            .with_context(|| format!("no snapshot of {} could be taken", snapshot.origin))
    })
}

fn make(host: &Host, snapshot: &Snapshot, percent: u64) -> Result<()> {
    if snapshot.earlier == Earlier::Replaced {
        run(host, &remove(&snapshot.name)).context("removing an earlier one")?;
    }
    let extents = format!("{percent}%ORIGIN");
    let words = [LVCREATE, "--snapshot", "--extents", &extents, "--name", &snapshot.name, &snapshot.origin];
    match run(host, &words.map(String::from)) {
        // lvcreate takes no name twice.
        Err(_) if snapshot.earlier == Earlier::Stays && is_there(host, &snapshot.name) => Ok(()),
        made => made.map(|_| ()),
    }
}

/// Whether a snapshot of that name is known to be there.
fn is_there(host: &Host, name: &str) -> bool {
    gather::snapshots::all(host).is_ok_and(|volumes| volumes.iter().any(|volume| volume.name == name))
}

/// Removes those that took the place of an earlier one, which has gone before in any case.
pub fn undo(host: &Host, snapshots: &[Snapshot]) -> Result<()> {
    let replaced = snapshots.iter().filter(|snapshot| snapshot.earlier == Earlier::Replaced);
    let names: Vec<String> = replaced.map(|snapshot| snapshot.name.clone()).collect();
    drop(host, &names)
}

fn run(host: &Host, command: &[String]) -> Result<()> {
    let command = program::of_root(host, command)?;
    program::run(&command, host.deadline().at_most(PATIENCE), 1 << 16).map(|_| ())
}

/// By name in whatever volume group: only this program gives such names.
fn remove(name: &str) -> Vec<String> {
    let select = format!("lv_name={name}");
    [LVREMOVE, "--yes", "--select", &select].map(String::from).into()
}

/// Removes them, and waits for it: a removal that came late would remove the next one.
pub fn drop(host: &Host, names: &[String]) -> Result<()> {
    names.iter().try_for_each(|name| {
        run(host, &remove(name)).with_context(|| format!("whether {name} is gone is not known"))
    })
}
