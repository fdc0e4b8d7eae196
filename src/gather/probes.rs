//! The flushes that were tried on devices before guests got them.

use crate::facts::FlushProbe;
use crate::host::Host;
use anyhow::{Context, Result, ensure};

/// The last flush that was tried on a minor of the resource; `None` when none was.
pub fn last(host: &Host, resource: &str, minor: u32) -> Result<Option<FlushProbe>> {
    let path = path(resource, minor);
    let Some(text) = host.read_optional(&path)? else { return Ok(None) };
    let probe: FlushProbe =
        serde_json::from_str(&text).with_context(|| format!("{path} cannot be understood; remove it"))?;
    ensure!(probe.version == 1, "{path} is of version {}, this program knows version 1", probe.version);
    Ok(Some(probe))
}

/// Writes the trial down.
pub fn remember(host: &mut Host, resource: &str, probe: &FlushProbe) -> Result<()> {
    let path = path(resource, probe.device.minor);
    host.write(&path, &serde_json::to_string(probe).with_context(|| format!("writing {path}"))?)
}

/// The resource's name has been checked.
fn path(resource: &str, minor: u32) -> String {
    format!("/run/block-drbd/flushes/{resource}.{minor}.json")
}
