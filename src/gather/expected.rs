//! Which guest the peer has announced with a resource.

use super::records;
use crate::facts::Expected;
use crate::host::Host;
use crate::host::own::Unusable;

/// The record of one resource, if there is one.
pub fn read(host: &Host, resource: &str) -> Result<Option<Expected>, Unusable> {
    let path = Expected::path(resource);
    let remedy = format!("run: rm {path}");
    let expected =
        records::of_resource(host, &path, &remedy, resource, |expected: &Expected| &expected.resource)?;
    Ok(expected.map(|dated| dated.record))
}
