//! Files of our own, below /run/block-drbd and /var/lib/block-drbd: written and read back
//! only where nobody but root could have put them.
//!
//! What stands in them decides whether a disk is given away or taken back. So every directory
//! on the way and the file itself must belong to root (or to whoever this process runs as, or
//! to whom the root belongs that it looks at), and nobody else may write to them; and a link
//! is not followed. From the top down: what is below a directory that only root may change,
//! only root can exchange between the look and the use.

#![allow(clippy::disallowed_methods)]

use super::file::{self, LARGEST};
use super::root::{Inside, Last};
use super::{Deadline, Host, lock};
use crate::printable::Text;
use anyhow::{Context, Result};
use serde::Serialize;
use std::fmt;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// The directories in which everything of ours stands.
const OWN: [&str; 2] = ["/run/block-drbd", "/var/lib/block-drbd"];

/// Who else may write: S_IWGRP and S_IWOTH.
const OTHERS_WRITE: u32 = 0o022;

/// Why a record is not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unusable {
    /// One clause that names the file or the directory.
    pub why: String,
    /// What to do about it, where that does not depend on what the file is for.
    pub remedy: Option<String>,
    /// Whether it is there and nothing may be built on it; otherwise it could not be looked at.
    pub is_bad: bool,
}

impl Unusable {
    /// It is there, and nothing may be built on it.
    pub fn bad(why: String) -> Self {
        Unusable { why, remedy: None, is_bad: true }
    }

    fn unread(doing: &str, error: &dyn fmt::Display) -> Self {
        Unusable { why: format!("{doing}: {error}"), remedy: None, is_bad: false }
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.remedy {
            Some(remedy) => write!(f, "{}; {remedy}", self.why),
            None => f.write_str(&self.why),
        }
    }
}

impl std::error::Error for Unusable {}

/// A record as it stands on the disk.
pub struct Stored {
    /// Its text.
    pub text: String,
    /// When it was written last, in seconds since 1970.
    pub written: u64,
}

impl Host {
    /// A record of our own; `None` where there is none.
    pub fn read_own(&self, path: &str) -> Result<Option<Stored>, Unusable> {
        let Some(target) = self.own(path)? else { return Ok(None) };
        let unread = |error: std::io::Error| Unusable::unread(&format!("reading {path}"), &error);
        let before = match fs::symlink_metadata(&*target) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unread(error)),
        };
        // Before it is opened: opening a FIFO waits, and opening some devices does something.
        self.is_ours(path, &before, before.is_file(), "a regular file").map_err(Unusable::bad)?;
        let file = match file::open_now(&target) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unread(error)),
        };
        let mut bytes = Vec::with_capacity(4096);
        file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(unread)?;
        if bytes.len() as u64 > LARGEST {
            return Err(Unusable::bad(format!("{path} is larger than {} MiB", LARGEST >> 20)));
        }
        let text = super::text_of(path, bytes).map_err(|error| Unusable::bad(format!("{error:#}")))?;
        Ok(Some(Stored { text, written: u64::try_from(before.mtime()).unwrap_or(0) }))
    }

    /// The names in a directory of our own, sorted; none where there is none.
    pub fn list_own(&self, directory: &str) -> Result<Vec<String>, Unusable> {
        match self.own(&format!("{directory}/"))? {
            Some(_) => self.list(directory).map_err(|error| Unusable::unread(directory, &error.root_cause())),
            None => Ok(Vec::new()),
        }
    }

    /// Writes a file of our own, whole or not at all: a new file takes the old one's place.
    /// Not synced: what stands in /run is gone after a power cut in any case.
    pub fn write(&mut self, path: &str, text: &str) -> Result<()> {
        let target = self.make_own(path)?;
        replace(&target, text, false, self.deadline).with_context(|| format!("writing {path}"))
    }

    /// Writes a record of our own as JSON, in the same way.
    pub fn write_record(&mut self, path: &str, record: &impl Serialize) -> Result<()> {
        let text = serde_json::to_string(record).with_context(|| format!("writing {path}"))?;
        self.write(path, &Text::json(&text))
    }

    /// Writes a file of our own that must be there after a power cut: the file is on the disk, and so is its name.
    pub fn write_synced(&mut self, path: &str, text: &str) -> Result<()> {
        let target = self.make_own(path)?;
        let written =
            replace(&target, text, true, self.deadline).and_then(|()| Ok(sync_directories(&target)?));
        written.with_context(|| format!("writing {path}"))
    }

    /// Adds a line to a file of our own, and has it on the disk.
    pub fn append_synced(&mut self, path: &str, line: &str) -> Result<()> {
        let target = self.make_own(path)?;
        let append = || -> std::io::Result<()> {
            let mut file = open_to_write(OpenOptions::new().append(true), &target)?;
            file.write_all(format!("{line}\n").as_bytes())?;
            file.sync_all()?;
            sync_directories(&target)
        };
        append().with_context(|| format!("writing {path}"))
    }

    /// Removes a file of our own, and its name is off the disk.
    pub fn remove_synced(&mut self, path: &str) -> Result<()> {
        self.remove(path)?;
        match self.own(path)? {
            Some(target) => sync_directories(&target).with_context(|| format!("removing {path}")),
            None => Ok(()),
        }
    }

    /// Removes a file of our own; none there is as good.
    pub fn remove(&mut self, path: &str) -> Result<()> {
        let Some(target) = self.own(path)? else { return Ok(()) };
        match fs::remove_file(&*target) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).with_context(|| format!("removing {path}"))
            }
            _ => Ok(()),
        }
    }

    /// Where `path`, a file of our own, is on this machine, with its directory made for us alone.
    pub(super) fn make_own(&self, path: &str) -> Result<Inside> {
        if let Some(target) = self.own(path)? {
            return Ok(target);
        }
        let (directory, _) = path.rsplit_once('/').unwrap_or_default();
        self.root.make_directories(directory).with_context(|| format!("making the directory of {path}"))?;
        self.own(path)?.with_context(|| format!("the directory of {path} is gone again"))
    }

    /// Where `path`, a file of our own, is on this machine, when every directory from the
    /// first of ours down to it is to be trusted; `None` where one is missing.
    fn own(&self, path: &str) -> Result<Option<Inside>, Unusable> {
        let Some((above, below)) = split(path) else {
            return Err(Unusable::bad(format!("{path} is no place for a file of block-drbd")));
        };
        // What is above is the machine's own, and may be a link.
        let mut name = above.to_string();
        let (directories, _) = below.rsplit_once('/').unwrap_or(("", below));
        for part in directories.split('/') {
            name = format!("{name}/{part}");
            let metadata = match self.root.metadata(&name, Last::AsItIs) {
                Ok(metadata) => metadata,
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(Unusable::unread(&format!("looking at {name}"), &error)),
            };
            self.is_ours(&name, &metadata, metadata.is_dir(), "a directory").map_err(|why| {
                let mend = format!("chown root: {name} && chmod 0700 {name}");
                let remedy = format!("see who has put what there, then run: {mend}");
                Unusable { remedy: Some(remedy), ..Unusable::bad(why) }
            })?;
        }
        self.root
            .place(path)
            .map(Some)
            .map_err(|error| Unusable::unread(&format!("looking at {name}"), &error))
    }

    /// That `path` is `what`, is ours, and that nobody else may write to it; or why not.
    fn is_ours(&self, path: &str, metadata: &Metadata, is: bool, what: &str) -> Result<(), String> {
        let owner = metadata.uid();
        let looked_at = || fs::metadata(self.root()).map(|metadata| metadata.uid()).ok();
        let trusted = owner == 0 || owner == nix::unistd::geteuid().as_raw() || looked_at() == Some(owner);
        match metadata.mode() & OTHERS_WRITE {
            _ if !is => Err(format!("{path} is not {what}")),
            _ if !trusted => Err(format!("{path} belongs to user {owner} and not to root")),
            0 => Ok(()),
            _ => Err(format!("others than root may write to {path} (mode {:04o})", metadata.mode() & 0o7777)),
        }
    }
}

/// Puts a new file in the place of the old one. One process at a time: two `check`s of one resource
/// write the same record.
fn replace(target: &Path, text: &str, synced: bool, deadline: Deadline) -> Result<()> {
    let new = target.with_extension("new");
    let mut file = lock::hold(lock::open(&new)?, &new, deadline)?;
    // One that was killed has left what it had written.
    file.set_len(0)?;
    file.write_all(text.as_bytes())?;
    if synced {
        file.sync_all()?;
    }
    Ok(fs::rename(&new, target)?)
}

fn open_to_write(how: &mut OpenOptions, path: &Path) -> std::io::Result<File> {
    how.create(true).mode(0o600).custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC).open(path)
}

/// The directory of a file, and that of the directory, which may be new too (fsync(2): the file
/// alone does not suffice).
fn sync_directories(target: &Path) -> std::io::Result<()> {
    let directory = target.parent().unwrap_or(target);
    [directory, &directory.join("..")].iter().try_for_each(|directory| File::open(directory)?.sync_all())
}

/// What is above our own directory, and the rest of a path in it.
fn split(path: &str) -> Option<(&str, &str)> {
    let top = OWN.into_iter().find(|top| path.strip_prefix(top).is_some_and(|rest| rest.starts_with('/')))?;
    let above = top.rsplit_once('/')?.0;
    Some((above, path.strip_prefix(above)?.strip_prefix('/')?))
}
