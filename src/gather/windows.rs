//! The windows that this node has opened for guests that move in.

use crate::facts::Window;
use crate::host::Host;
use crate::target::Target;
use anyhow::{Context, Result, ensure};

/// The directory of the records.
const DIRECTORY: &str = "/run/block-drbd/windows";

/// The record of one resource, if there is one.
pub fn read(host: &Host, resource: &str) -> Result<Option<Window>> {
    let path = Window::path(resource);
    let Some(text) = host.read_optional(&path)? else { return Ok(None) };
    let window: Window = serde_json::from_str(&text).with_context(|| {
        format!("{path} cannot be understood; to end the window run: block-drbd release {resource}")
    })?;
    ensure!(window.version == 1, "{path} is of version {}, this program knows version 1", window.version);
    ensure!(window.resource == resource, "{path} is a record of {:?}", window.resource);
    Ok(Some(window))
}

/// The resources that have one, readable or not.
pub fn resources(host: &Host) -> Result<Vec<String>> {
    let names = host.list(DIRECTORY)?;
    let resources = names.iter().filter_map(|name| name.strip_suffix(".json"));
    Ok(resources.filter(|name| Target::parse(name.as_bytes()).is_ok()).map(String::from).collect())
}
