//! Sets a resource aside and gives it back.

use crate::facts::Quarantine;
use crate::host::{Host, lock};
use crate::printable::Text;
use anyhow::{Context, Result};
use std::time::Duration;

/// What was given back, and why: one line of JSON each.
const HISTORY: &str = "/var/lib/block-drbd/quarantine/history";

/// How long another handler of the same resource is waited for, which DRBD may call at the same time.
const OTHER: Duration = Duration::from_secs(1);

/// Writes the record, so that it is there after a power cut too.
pub fn set(host: &mut Host, entry: &Quarantine) -> Result<()> {
    // Not the lock of the resource: an add holds that for seconds. Without it two may spoil one
    // another's record, which then refuses all the same.
    let before = host.deadline();
    host.set_deadline(before.at_most(OTHER));
    let _lock = lock::take(host, &format!("/run/block-drbd/quarantining/{}", entry.resource)).ok();
    host.set_deadline(before);
    let path = Quarantine::path(&entry.resource);
    let text = serde_json::to_string(entry).with_context(|| format!("writing {path}"))?;
    let written = host.write_synced(&path, &Text::json(&text));
    written.with_context(|| format!("{} is not in quarantine, although it should be", entry.resource))
}

/// Keeps the reason and removes the record, in this order: what is given back without a reason on
/// record could not be accounted for.
pub fn clear(host: &mut Host, resource: &str, history: &str) -> Result<()> {
    host.append_synced(HISTORY, history)?;
    host.remove_synced(&Quarantine::path(resource))
}
