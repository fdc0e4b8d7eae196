//! The LVM snapshots that are kept of a resource.

use crate::facts::snapshot::{self, LogicalVolume};
use crate::host::{Host, program};
use anyhow::{Context, Result};
use std::time::Duration;

const LVS: &str = "/sbin/lvs";

/// How long lvm2 may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// A host with ten thousand logical volumes stays below it.
const LARGEST: usize = 4 << 20;

/// The snapshots of a resource, as `group/name`; none where there is no lvm2.
pub fn of(host: &Host, resource: &str) -> Result<Vec<String>> {
    if host.kind(LVS)?.is_none() {
        return Ok(Vec::new());
    }
    let volumes = all(host)?.into_iter().filter(|volume| snapshot::is_of(resource, &volume.name));
    Ok(volumes.map(|volume| format!("{}/{}", volume.group, volume.name)).collect())
}

/// Every logical volume of the host.
pub fn all(host: &Host) -> Result<Vec<LogicalVolume>> {
    let words = [LVS, "--noheadings", "--options", "vg_name,lv_name"].map(String::from);
    let command = program::of_root(host, &words)?;
    let text = program::run(&command, host.deadline().at_most(PATIENCE), LARGEST).context("asking lvs")?;
    let volume = |line: &str| {
        let mut words = line.split_whitespace().map(String::from);
        Some(LogicalVolume { group: words.next()?, name: words.next()? })
    };
    Ok(text.lines().filter_map(volume).collect())
}
