//! Sets a resource aside and gives it back.

use crate::facts::Quarantine;
use crate::host::Host;
use anyhow::{Context, Result};

/// What was given back, and why: one line of JSON each.
const HISTORY: &str = "/var/lib/block-drbd/quarantine/history";

/// Writes the record, so that it is there after a power cut too.
pub fn set(host: &mut Host, entry: &Quarantine) -> Result<()> {
    let path = Quarantine::path(&entry.resource);
    let text = serde_json::to_string(entry).with_context(|| format!("writing {path}"))?;
    let written = host.write_synced(&path, &text);
    written.with_context(|| format!("{} is not in quarantine, although it should be", entry.resource))
}

/// Keeps the reason and removes the record, in this order: what is given back without a reason on
/// record could not be accounted for.
pub fn clear(host: &mut Host, resource: &str, history: &str) -> Result<()> {
    host.append_synced(HISTORY, history)?;
    host.remove_synced(&Quarantine::path(resource))
}
