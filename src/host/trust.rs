//! Files that decide what root does: believed only where nobody but root could have put them.
//!
//! The settings lower rules and name programs that run as root. So the file, each directory
//! above it, and each link on the way must belong to root, and nobody else may write to them; the same
//! holds for a program that the settings name, when it is run. Whoever runs this program without
//! being root is believed too: with his own files he can only mislead himself, and he runs nothing
//! as anybody else. Where a directory stands for the machine the look ends at that directory: the
//! caller has chosen it, whatever is above.

#![allow(clippy::disallowed_methods)]

use super::Host;
use super::file::{self, LARGEST};
use super::root::Last;
use anyhow::{Context, Result, bail, ensure};
use std::fs::Metadata;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::MetadataExt;

/// Who else may write: S_IWGRP and S_IWOTH.
const OTHERS_WRITE: u32 = 0o022;

/// In such a directory only the owner of a file, that of the directory, and root may rename or
/// remove the file (inode(7), S_ISVTX), so that others cannot exchange one of root's.
const STICKY: u32 = 0o1000;

impl Host {
    /// The text of a file that decides what root does; `None` where there is none. The error is one
    /// sentence with the command to type.
    pub fn read_believed(&self, path: &str) -> Result<Option<String>> {
        let place = self.believed_way(path)?;
        let found = match self.root.metadata(&place, Last::AsItIs) {
            Ok(found) => found,
            Err(error) if error.kind() == ErrorKind::NotFound => return self.no_file(path).map(|()| None),
            Err(error) => return Err(error).with_context(|| format!("reading {path}")),
        };
        // Before it is opened: opening a FIFO waits, and opening some devices does something.
        ensure!(found.is_file(), "reading {path}: it is not a regular file");
        let bytes = self.unchanged(&place).with_context(|| format!("reading {path}"))?;
        super::text_of(path, bytes).map(Some)
    }

    /// That there is no file, rather than a link that leads to nothing: then there is a file somewhere, which a
    /// directory that is not mounted hides, and it may refuse what the default allows.
    fn no_file(&self, path: &str) -> Result<()> {
        let ends = path.match_indices('/').map(|(at, _)| at).filter(|at| *at > 0).chain([path.len()]);
        for link in ends.map(|end| &path[..end]) {
            let is_link = self.root.metadata(link, Last::AsItIs).is_ok_and(|found| found.is_symlink());
            if is_link && !self.exists(link) {
                let link = self.root.name(link);
                let link = link.display();
                bail!(
                    "reading {path}: the link {link} leads to nothing; bring back what it led to; if there are to be no settings, then run: rm {link}"
                );
            }
        }
        Ok(())
    }

    /// The bytes of one version of a file: of the file that is open, judged by its descriptor.
    fn unchanged(&self, place: &str) -> Result<Vec<u8>> {
        let file = file::open_now(&self.root.find(place, Last::Followed)?)?;
        let before = file.metadata()?;
        self.is_believed(place, &before)?;
        let mut bytes = Vec::with_capacity(4096);
        (&file).take(LARGEST + 1).read_to_end(&mut bytes)?;
        let length = bytes.len() as u64;
        ensure!(length <= LARGEST, "it is larger than {} MiB", LARGEST >> 20);
        let is_whole = length == before.len() && state(&before) == state(&file.metadata()?);
        ensure!(is_whole, "it was changed while it was read; run it again when it is written");
        Ok(bytes)
    }

    /// That nobody but root could have put the program there, on any part of the way to it. A program
    /// that does not exist passes: its start says so.
    pub fn believe_program(&self, path: &str) -> Result<()> {
        self.believed_way(path).map(|_| ())
    }

    /// Where `path` leads, with each directory, link and file on the way believed.
    fn believed_way(&self, path: &str) -> Result<String> {
        self.believe("/")?;
        self.follow_past(path, |here| self.believe(here))
    }

    /// That nobody but root could have put there what stands at `path`, if anything does.
    fn believe(&self, path: &str) -> Result<()> {
        match self.root.metadata(path, Last::AsItIs) {
            Ok(metadata) => self.is_believed(path, &metadata),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(()),
            Err(error) => Err(error).with_context(|| format!("looking at {path}")),
        }
    }

    fn is_believed(&self, path: &str, metadata: &Metadata) -> Result<()> {
        let (owner, mode) = (metadata.uid(), metadata.mode());
        let path = self.root.name(path);
        let path = path.display();
        let no_link = if metadata.is_symlink() { "-h " } else { "" };
        if owner != 0 && owner != nix::unistd::geteuid().as_raw() {
            bail!(
                "{path} belongs to user {owner} and not to root; look at what is in it, then run: chown {no_link}root: {path}"
            );
        }
        let is_guarded = metadata.is_dir() && mode & STICKY != 0;
        // The mode of a link means nothing (symlink(7)).
        ensure!(
            metadata.is_symlink() || is_guarded || mode & OTHERS_WRITE == 0,
            "others than root may write to {path} (mode {:04o}); look at what is in it, then run: chmod go-w {path}",
            mode & 0o7777
        );
        Ok(())
    }

    /// A program by its path, as its start finds it: one without a `/` in the directories `path`.
    pub fn find_program(&self, name: &str, path: &str) -> Option<String> {
        let places = path.split(':').map(|directory| format!("{directory}/{name}"));
        let is_one = |place: &String| matches!(self.kind(place), Ok(Some(super::Kind::Executable)));
        places.into_iter().find(is_one)
    }
}

/// What changes with each write to a file (inode(7)).
fn state(metadata: &Metadata) -> [i64; 5] {
    [
        metadata.mtime(),
        metadata.mtime_nsec(),
        metadata.ctime(),
        metadata.ctime_nsec(),
        metadata.size().cast_signed(),
    ]
}
