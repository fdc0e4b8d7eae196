//! What this program has recorded of a node that has gone on without its peer.

use super::records;
use crate::facts::Lone;
use crate::host::Host;
use crate::host::own::Unusable;

/// The record of one resource, if there is one.
pub fn read(host: &Host, resource: &str) -> Result<Option<Lone>, Unusable> {
    let path = Lone::path(resource);
    let remedy = format!("run: rm {path}");
    let lone = records::of_resource(host, &path, &remedy, resource, |lone: &Lone| &lone.resource)?;
    Ok(lone.map(|dated| dated.record))
}
