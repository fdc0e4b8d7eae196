//! Block device nodes: opened only when they are what they are said to be.

#![allow(clippy::disallowed_methods)]

use super::Host;
use super::root::Last;
use anyhow::{Context, Result, ensure};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};

/// The block major that the kernel gave to `driver` (/proc/devices).
pub fn major(host: &Host, driver: &str) -> Result<u32> {
    let text = host.read_text("/proc/devices")?;
    let block = text.split("Block devices:").nth(1).unwrap_or("");
    block
        .lines()
        .filter_map(|line| line.trim().split_once(' '))
        .find(|(_, name)| *name == driver)
        .and_then(|(number, _)| number.parse().ok())
        .with_context(|| format!("/proc/devices has no block driver {driver}"))
}

/// The major and minor number of the block device node at `path`, or `None` where
/// there is no such node. `path` must be free of links, as [`Host::follow`] makes it.
pub fn number(host: &Host, path: &str) -> Option<(u64, u64)> {
    let metadata = host.root.metadata(path, Last::AsItIs).ok()?;
    let number = metadata.rdev();
    let is_device = metadata.file_type().is_block_device();
    is_device.then(|| (nix::sys::stat::major(number), nix::sys::stat::minor(number)))
}

/// The number of the block device that the link at `path` leads to, such as `/proc/PID/fd/N`. The
/// kernel follows it on this machine, and finds what stands in another namespace, too.
pub fn led_to(host: &Host, path: &str) -> Option<(u64, u64)> {
    let metadata = host.root.metadata(path, Last::Followed).ok()?;
    let number = metadata.rdev();
    let is_device = metadata.file_type().is_block_device();
    is_device.then(|| (nix::sys::stat::major(number), nix::sys::stat::minor(number)))
}

/// Opens the block device `path` for writing, if it is `major`:`minor`.
///
/// Never creates anything: without the device, a shell's redirection makes a
/// regular file of that name, which then hides the device (captures, surprise 1).
pub fn open(host: &Host, path: &str, major: u32, minor: u32) -> Result<File> {
    let flags = libc::O_CLOEXEC | libc::O_NOFOLLOW;
    let opened = host
        .root
        .place(path)
        .and_then(|place| OpenOptions::new().read(true).write(true).custom_flags(flags).open(&*place));
    let file = opened.with_context(|| format!("opening {path}"))?;
    let metadata = file.metadata().with_context(|| format!("looking at {path}"))?;
    ensure!(
        metadata.file_type().is_block_device(),
        "{path} is not a block device; remove it and run: udevadm trigger"
    );
    let found = (nix::sys::stat::major(metadata.rdev()), nix::sys::stat::minor(metadata.rdev()));
    ensure!(
        found == (u64::from(major), u64::from(minor)),
        "{path} is device {}:{}, not {major}:{minor}",
        found.0,
        found.1
    );
    Ok(file)
}
