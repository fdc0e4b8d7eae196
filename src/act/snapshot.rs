//! LVM snapshots of volumes that are about to be overwritten.

use crate::handlers::Snapshot;
use crate::host::{Host, program};
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::time::Duration;

const LVCREATE: &str = "/sbin/lvcreate";
const LVREMOVE: &str = "/sbin/lvremove";

/// How long one may take to be made, and to be removed without anybody waiting.
const MAKE: Duration = Duration::from_secs(10);
const REMOVE: Duration = Duration::from_secs(60);

/// Takes all of them; where one fails, removes those before it.
pub fn take(host: &Host, snapshots: &[Snapshot], percent: u64) -> Result<()> {
    for (made, snapshot) in snapshots.iter().enumerate() {
        if let Err(error) = make(host, snapshot, percent) {
            let names: Vec<String> = snapshots[..made].iter().map(|other| other.name.clone()).collect();
            drop_later(host, &names)?;
            return Err(error).with_context(|| format!("no snapshot of {} was taken", snapshot.origin));
        }
    }
    Ok(())
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
    program::run(&command, host.deadline().at_most(MAKE), 1 << 16).map(|_| ())
}

/// By name in whatever volume group: only this program gives such names.
fn remove(name: &str) -> Vec<String> {
    let select = format!("lv_name={name}");
    [LVREMOVE, "--yes", "--select", &select].map(String::from).into()
}

/// Removes them, which may take longer than DRBD should wait.
pub fn drop_later(host: &Host, names: &[String]) -> Result<()> {
    names.iter().try_for_each(|name| {
        let command = program::of_root(host, &remove(name))?;
        program::leave(host, &format!("removal of {name}"), &command, &BTreeMap::new(), REMOVE)
    })
}
