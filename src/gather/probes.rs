//! The flushes that were tried on devices before guests got them.

use super::records;
use crate::facts::FlushProbe;
use crate::host::Host;
use crate::host::own::Unusable;
use anyhow::Result;

/// The last flush that was tried on a minor of the resource; `None` when none was.
pub fn last(host: &Host, resource: &str, minor: u32) -> Result<Option<FlushProbe>, Unusable> {
    let path = path(resource, minor);
    let remedy = format!("run: rm {path}, the next start of a guest writes it anew");
    Ok(records::read(host, &path, 1, &remedy)?.map(|dated| dated.record))
}

/// Writes the trial down.
pub fn remember(host: &mut Host, resource: &str, probe: &FlushProbe) -> Result<()> {
    host.write_record(&path(resource, probe.device.minor), probe)
}

/// The resource's name has been checked.
fn path(resource: &str, minor: u32) -> String {
    format!("/run/block-drbd/flushes/{resource}.{minor}.json")
}
