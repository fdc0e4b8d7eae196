//! A directory that stands for a machine's root, and is gone afterwards.

#![allow(dead_code, clippy::disallowed_methods, clippy::unwrap_used)]

use nix::sys::stat::{Mode, umask};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

static COUNT: AtomicU32 = AtomicU32::new(0);

pub struct Place(PathBuf);

impl Place {
    /// A new empty one. Its path is short: a socket in it must fit into 108 bytes.
    pub fn new() -> Place {
        // What others may write into is not believed: not the tests' own files either.
        umask(Mode::S_IWGRP | Mode::S_IWOTH);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("block-drbd-{}-{count}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Place(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
