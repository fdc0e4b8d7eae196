//! Which kernel modules the nodes and the guests get, and what these need.

use crate::paths;
use anyhow::{Context, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// Loaded by a node's init, in this order. drbd wants a crc32c that nothing names as a dependency.
pub const NODE: &[&str] = &[
    "virtio_pci",
    "virtio_console",
    "virtio_blk",
    "virtio_net",
    "crc32c_generic",
    "xen-gntdev",
    "xen-gntalloc",
    "xen-evtchn",
    "xen-privcmd",
    "xenfs",
    "xen-blkback",
    "drbd",
    "ext4",
];

/// There for scenarios that load them.
pub const NODE_EXTRA: &[&str] = &[
    "xen-blkfront",
    "loop",
    "dm-mod",
    "dm-snapshot",
    "dm-flakey",
    "dm-log-writes",
    "scsi_debug",
    "sd_mod",
    "raid1",
];

/// Loaded by a guest.
pub const GUEST: &[&str] = &["crc32c_generic", "xen-blkfront", "ext4"];

/// What depmod found: each module's path and the paths it needs, nearest first.
pub struct Modules {
    /// The kernel's version.
    pub version: String,
    needs: BTreeMap<String, Vec<String>>,
}

impl Modules {
    /// Reads the one kernel below `root`, after running the packages' own depmod on it.
    pub fn of(root: &Path) -> Result<Modules> {
        let version = fs::read_dir(root.join("lib/modules"))?
            .next()
            .context("no kernel modules")??
            .file_name()
            .into_string()
            .map_err(|name| anyhow::anyhow!("{name:?} as a kernel version"))?;
        let libraries = format!("{0}/usr/lib/x86_64-linux-gnu:{0}/lib/x86_64-linux-gnu", root.display());
        paths::output(
            Command::new(root.join("lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"))
                .args(["--argv0", "depmod", "--library-path", &libraries])
                .arg(root.join("bin/kmod"))
                .arg("-b")
                .arg(root)
                .arg(&version)
                .process_group(0),
        )?;
        let text = fs::read_to_string(root.join(format!("lib/modules/{version}/modules.dep")))?;
        let needs = text
            .lines()
            .filter_map(|line| line.split_once(':'))
            .map(|(path, needs)| {
                let needs = needs.split_whitespace().map(str::to_owned).collect();
                (path.to_owned(), needs)
            })
            .collect();
        Ok(Modules { version, needs })
    }

    /// The paths of these modules and of all they need, in the order to load them.
    pub fn closure(&self, names: &[&str]) -> Result<Vec<String>> {
        let mut seen = BTreeSet::new();
        let mut ordered = Vec::new();
        for name in names {
            let file = format!("{name}.ko");
            let (path, needs) = self
                .needs
                .iter()
                .find(|(path, _)| path.rsplit('/').next() == Some(&file))
                .with_context(|| format!("the kernel has no module {name}"))?;
            for path in needs.iter().rev().chain([path]) {
                if seen.insert(path.clone()) {
                    ordered.push(path.clone());
                }
            }
        }
        Ok(ordered)
    }
}
