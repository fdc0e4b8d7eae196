//! What this program has recorded of a node that has gone on without its peer.

use crate::facts::Lone;
use crate::host::Host;
use anyhow::{Context, Result, ensure};

/// The record of one resource, if there is one.
pub fn read(host: &Host, resource: &str) -> Result<Option<Lone>> {
    let path = Lone::path(resource);
    let Some(text) = host.read_optional(&path)? else { return Ok(None) };
    let lone: Lone = serde_json::from_str(&text).with_context(|| format!("{path} cannot be understood"))?;
    ensure!(lone.version == 1, "{path} is of version {}, this program knows version 1", lone.version);
    ensure!(lone.resource == resource, "{path} is a record of {:?}", lone.resource);
    Ok(Some(lone))
}
