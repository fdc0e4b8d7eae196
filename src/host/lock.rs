//! Locks as values: dropping one releases it, and so does the death of the process.
//!
//! Both kinds are flock(2) on a close-on-exec descriptor and are waited for
//! only as long as the deadline allows, because a stuck holder must not become
//! our own stuck process.

#![allow(clippy::disallowed_methods)]

use super::root::Inside;
use super::{Deadline, Host};
use anyhow::{Context, Result, bail};
use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind};
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
    let place = host.make_own(path)?;
    let file = open(&place).with_context(|| format!("opening the lock {path}"))?;
    let file = hold(file, &place, host.deadline()).with_context(|| {
        format!("waiting for the lock {path}, which another process holds (fuser -v {path} names it)")
    })?;
    Ok(Lock { _file: file })
}

/// Locks the file that `path` stands for, which has been opened. A lock on a file that was removed or
/// renamed meanwhile keeps nobody out: who comes next makes another file.
pub(super) fn hold(mut file: File, path: &Path, deadline: Deadline) -> Result<File> {
    wait(deadline, || {
        if !attempt(&file)? {
            return Ok(false);
        }
        let holds = is_still(&file, path)?;
        if !holds {
            file = open(path)?;
        }
        Ok(holds)
    })?;
    Ok(file)
}

/// Xen's own hotplug lock `block`, held against its scripts.
#[must_use]
pub struct XenLock {
    held: Held,
    _place: Inside,
}

enum Held {
    /// Xen 4.2 and later: flock, and the file is removed while it is held (locking.sh).
    File { _file: File, path: PathBuf },
    /// Xen 4.0 and 4.1: the directory is the lock.
    Directory(PathBuf),
}

/// Who comes first makes what the others look for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Xen 4.0 and 4.1: always a directory.
    Directory,
    /// Xen 4.2 and later: a file, unless a directory is there.
    File,
}

/// Where Xen's scripts have their lock `block`.
const BLOCK: &str = "/var/run/xen-hotplug/block";

/// Takes Xen's lock `block`.
pub fn take_xen_block(host: &Host, protocol: Protocol) -> Result<XenLock> {
    let (directory, _) = BLOCK.rsplit_once('/').unwrap_or_default();
    host.root.make_directories(directory).with_context(|| format!("making the directory {directory}"))?;
    let path = host.root.place(BLOCK)?;
    let mut held = None;
    let taken = wait(host.deadline(), || {
        held = match protocol == Protocol::Directory || is_directory(&path) {
            true => try_directory(&path)?,
            false => try_file(&path)?,
        };
        Ok(held.is_some())
    });
    taken.with_context(|| stuck(&path, protocol))?;
    held.map(|held| XenLock { held, _place: path }).context("Xen's hotplug lock was not taken")
}

/// What to do about the lock that was not got. A directory stays when its holder is killed, and
/// only on Xen 4.0 and 4.1 a script takes it away, after 100 s.
fn stuck(path: &Path, protocol: Protocol) -> String {
    let waiting = format!("waiting for Xen's hotplug lock {BLOCK}");
    match (is_directory(path), protocol) {
        (true, _) => format!(
            "{waiting}, a directory that its holder has not removed; if ps shows no script of /etc/xen/scripts \
             run: rm -f {BLOCK}/owner && rmdir {BLOCK}"
        ),
        (false, Protocol::Directory) if path.exists() => {
            format!(
                "{waiting}: a file stands where the scripts of this Xen make a directory; run: rm {BLOCK}"
            )
        }
        (false, _) => format!("{waiting}: another script holds it (fuser -v {BLOCK} names it)"),
    }
}

fn try_file(path: &Path) -> Result<Option<Held>> {
    let file = match open(path) {
        // Another script has made its directory since we looked.
        Err(error) if error.kind() == ErrorKind::IsADirectory => return Ok(None),
        opened => opened?,
    };
    // The previous holder removes the file while it holds the lock: what was
    // locked must still be what the name stands for (locking.sh does the same).
    if !attempt(&file)? || !is_still(&file, path)? {
        return Ok(None);
    }
    Ok(Some(Held::File { _file: file, path: path.to_owned() }))
}

fn is_directory(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_dir())
}

/// Whether `path` still stands for the open file.
fn is_still(file: &File, path: &Path) -> Result<bool> {
    let ours = file.metadata()?;
    Ok(fs::symlink_metadata(path).is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino())))
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

/// Opens a file to be locked, and makes it where there is none.
pub(super) fn open(path: &Path) -> io::Result<File> {
    fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
        .open(path)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::xenstore;

    /// A directory in place of a machine.
    fn machine(name: &str, patience: Duration) -> Host {
        let root = std::env::temp_dir().join(format!("block-drbd-lock-{name}-{}", std::process::id()));
        fs::create_dir_all(root.join("run")).unwrap();
        Host::new(&root, xenstore::Named::default(), Deadline::after(patience))
    }

    #[test]
    fn a_lock_file_that_is_removed_is_not_held() {
        let host = machine("removed", Duration::from_secs(20));
        let path = "/run/block-drbd/lock/r0";
        let first = take(&host, path).unwrap();
        // Opened while the first has it, and removed before it lets go.
        let place = host.root().join(&path[1..]);
        let waiting = open(&place).unwrap();
        fs::remove_file(&place).unwrap();
        drop(first);
        let second = hold(waiting, &place, host.deadline()).unwrap();
        assert!(is_still(&second, &place).unwrap());
        let soon = Deadline::after(Duration::ZERO);
        assert!(hold(open(&place).unwrap(), &place, soon).is_err(), "a third has it, too");
        fs::remove_dir_all(host.root()).unwrap();
    }

    #[test]
    fn xens_lock_is_what_its_scripts_look_for() {
        for (protocol, there, is_directory) in [
            (Protocol::Directory, "", true),
            (Protocol::File, "", false),
            (Protocol::File, "a file that nobody holds", false),
        ] {
            let host = machine("xen", Duration::from_secs(20));
            let path = host.root().join(&BLOCK[1..]);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            if !there.is_empty() {
                fs::write(&path, "").unwrap();
            }
            let lock = take_xen_block(&host, protocol).unwrap();
            assert_eq!((path.is_dir(), path.is_file()), (is_directory, !is_directory), "{there}");
            drop(lock);
            assert!(!path.exists(), "{there}");
            fs::remove_dir_all(host.root()).unwrap();
        }
    }

    #[test]
    fn a_directory_that_stays_is_said_with_what_removes_it() {
        for protocol in [Protocol::Directory, Protocol::File] {
            let host = machine("left", Duration::from_millis(20));
            let path = host.root().join(&BLOCK[1..]);
            fs::create_dir_all(&path).unwrap();
            let error = take_xen_block(&host, protocol).err().unwrap();
            assert!(format!("{error:#}").contains(&format!("rmdir {BLOCK}")), "{error:#}");
            // It may appear between the look and the use.
            assert!(try_file(&path).unwrap().is_none());
            fs::remove_dir_all(host.root()).unwrap();
        }
    }
}
