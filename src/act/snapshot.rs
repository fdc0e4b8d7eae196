//! LVM snapshots of volumes that are about to be overwritten.

use crate::handlers::Snapshot;
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
        make(host, snapshot, percent).with_context(|| format!("no snapshot of {} was taken", snapshot.origin))
    })
}

/// One that is there already is from a resync that did not end: what it holds is older than what
/// is there now, and it goes.
fn make(host: &Host, snapshot: &Snapshot, percent: u64) -> Result<()> {
    run(host, &remove(&snapshot.name)).context("removing an older one")?;
    let extents = format!("{percent}%ORIGIN");
    let words = [LVCREATE, "--snapshot", "--extents", &extents, "--name", &snapshot.name, &snapshot.origin];
    run(host, &words.map(String::from))
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
