//! Locks as values: dropping one releases it, and so does the death of the process.
//!
//! Both kinds are flock(2) on a close-on-exec descriptor and are waited for
//! only as long as the deadline allows, because a stuck holder must not become
//! our own stuck process.

#![allow(clippy::disallowed_methods)]

use super::{Deadline, Host};
use anyhow::{Context, Result, bail};
use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The pause between two tries: a script of Xen's holds its lock for tens of milliseconds.
const TRY_AGAIN: Duration = Duration::from_millis(5);

/// A lock file of our own, held. The file stays: removing it would race with the next holder.
#[must_use]
pub struct Lock {
    _file: File,
}

/// Takes the lock file `path`.
pub fn take(host: &Host, path: &str) -> Result<Lock> {
    let file = open(&host.make_own(path)?).with_context(|| format!("opening the lock {path}"))?;
    wait(host.deadline(), || attempt(&file)).with_context(|| {
        format!("waiting for the lock {path}, which another process holds (fuser -v {path} names it)")
    })?;
    Ok(Lock { _file: file })
}

/// Xen's own hotplug lock `block`, held against its scripts.
#[must_use]
pub struct XenLock {
    held: Held,
}

enum Held {
    /// Xen 4.2 and later: flock, and the file is removed while it is held (locking.sh).
    File { _file: File, path: PathBuf },
    /// Xen 4.0 and 4.1: the directory is the lock.
    Directory(PathBuf),
}

/// Takes Xen's lock `block`, by the protocol of the file or directory that is there.
pub fn take_xen_block(host: &Host) -> Result<XenLock> {
    let path = host.path("/var/run/xen-hotplug/block");
    host.make_directory_of(&path)?;
    let mut held = None;
    wait(host.deadline(), || {
        held = if path.is_dir() { try_directory(&path)? } else { try_file(&path)? };
        Ok(held.is_some())
    })
    .context("waiting for Xen's hotplug lock /var/run/xen-hotplug/block: another script holds it")?;
    held.map(|held| XenLock { held }).context("Xen's hotplug lock was not taken")
}

fn try_file(path: &Path) -> Result<Option<Held>> {
    let file = open(path)?;
    if !attempt(&file)? {
        return Ok(None);
    }
    // The previous holder removes the file while it holds the lock: what was
    // locked must still be what the name stands for (locking.sh does the same).
    let ours = file.metadata()?;
    match fs::metadata(path) {
        Ok(there) if (there.dev(), there.ino()) == (ours.dev(), ours.ino()) => {
            Ok(Some(Held::File { _file: file, path: path.to_owned() }))
        }
        _ => Ok(None),
    }
}

fn try_directory(path: &Path) -> Result<Option<Held>> {
    match fs::create_dir(path) {
        Ok(()) => Ok(Some(Held::Directory(path.to_owned()))),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(None),
        Err(error) => Err(error).context("making the lock directory"),
    }
}

impl Drop for XenLock {
    fn drop(&mut self) {
        let _ = match &self.held {
            Held::File { path, .. } => fs::remove_file(path),
            Held::Directory(path) => fs::remove_dir(path),
        };
    }
}

fn open(path: &Path) -> Result<File> {
    Ok(fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
        .open(path)?)
}

fn attempt(file: &File) -> Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Interrupted => Ok(false),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

fn wait(deadline: Deadline, mut attempt: impl FnMut() -> Result<bool>) -> Result<()> {
    loop {
        if attempt()? {
            return Ok(());
        }
        match deadline.remaining() {
            Ok(left) => std::thread::sleep(TRY_AGAIN.min(left)),
            Err(stop) => bail!("{stop}"),
        }
    }
}
