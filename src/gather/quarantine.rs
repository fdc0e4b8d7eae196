//! What handlers of DRBD have set aside, and what they have fenced.

use super::records;
use crate::facts::{Fenced, Quarantine};
use crate::host::Host;
use crate::host::own::Unusable;

/// The directory of the records.
const DIRECTORY: &str = "/var/lib/block-drbd/quarantine";

/// The record of one resource, if there is one.
pub fn read(host: &Host, resource: &str) -> Result<Option<Quarantine>, Unusable> {
    let path = Quarantine::path(resource);
    let remedy = format!(
        "see what the log says of {resource}: journalctl -t block-drbd -g {resource}; then run: block-drbd quarantine clear {resource} --reason \"...\""
    );
    let entry = records::of_resource(host, &path, &remedy, resource, |entry: &Quarantine| &entry.resource)?;
    Ok(entry.map(|dated| dated.record))
}

/// The resources that have one, whether it can be believed or not.
pub fn resources(host: &Host) -> Result<Vec<String>, Unusable> {
    records::resources(host, DIRECTORY)
}

/// What fence-peer has recorded of the peer of a resource.
pub fn fenced(host: &Host, resource: &str) -> Result<Option<Fenced>, Unusable> {
    let path = Fenced::path(resource);
    let remedy = format!("run: rm {path}");
    Ok(records::read(host, &path, 1, &remedy)?.map(|dated| dated.record))
}
