//! qemu as the device model of an HVM guest.
//!
//! The nodes' root does not have it: every boot would unpack its 30 MB, for one scenario.

use crate::cpio::Archive;
use crate::node::Node;
use crate::{packages, paths};
use anyhow::{Context, Result};
use std::io::Write;
use std::process::{Command, Stdio};

/// Unpacks it in a node that runs.
pub fn install(node: &Node) -> Result<()> {
    let packages = packages::device_model()?;
    let mut archive = Archive::default();
    archive.tree(&packages.root, &wanted)?;
    node.put("/run/device-model.cpio.gz", &packed(&archive.finish()?)?)?;
    node.ok("cd / && gunzip -c /run/device-model.cpio.gz | cpio -i -d -u && rm /run/device-model.cpio.gz")?;
    Ok(())
}

/// Of what all programs share, it asks for the keymaps only.
fn wanted(path: &str) -> bool {
    const KEYMAPS: &str = "usr/share/qemu/keymaps";
    let on_the_way = KEYMAPS.starts_with(path) || path.starts_with(KEYMAPS);
    on_the_way || !(path.starts_with("usr/share") || path.starts_with("etc"))
}

fn packed(archive: &[u8]) -> Result<Vec<u8>> {
    let file = paths::lab("device-model.cpio");
    std::fs::File::create(&file)?.write_all(archive).with_context(|| file.display().to_string())?;
    paths::output(Command::new("gzip").arg("-c").arg(&file).stdin(Stdio::null()))
}
