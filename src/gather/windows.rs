//! The windows that this node has opened for guests that move in.

use super::records;
use crate::facts::Window;
use crate::host::Host;
use crate::host::own::Unusable;

/// The directory of the records.
const DIRECTORY: &str = "/run/block-drbd/windows";

/// The record of one resource, if there is one.
pub fn read(host: &Host, resource: &str) -> Result<Option<Window>, Unusable> {
    let path = Window::path(resource);
    let remedy = format!("to end the window run: block-drbd release {resource}");
    let window = records::of_resource(host, &path, &remedy, resource, |window: &Window| &window.resource)?;
    Ok(window.map(|dated| dated.record))
}

/// The resources that have one, whether it can be believed or not.
pub fn resources(host: &Host) -> Result<Vec<String>, Unusable> {
    records::resources(host, DIRECTORY)
}
