//! A directory that stands for a machine's root, and is gone afterwards.

#![allow(dead_code, clippy::disallowed_methods, clippy::unwrap_used)]

use nix::sys::signal::{Signal, kill};
use nix::sys::stat::{Mode, umask};
use nix::unistd::Pid;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

static COUNT: AtomicU32 = AtomicU32::new(0);

pub struct Place(PathBuf);

impl Place {
    /// A new empty one, in memory where there is such a place: ext4 looks long for an inode that
    /// was not deleted just now. Its path is short: a socket in it must fit into 108 bytes.
    pub fn new() -> Place {
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        // What others may write into is not believed: not the tests' own files either.
        umask(Mode::S_IWGRP | Mode::S_IWOTH);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("block-drbd-{}-{count}", std::process::id());
        let path = parent.join(name);
        std::fs::create_dir(&path).unwrap();
        Place(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        end_releases(&self.0);
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What is detached outlives the program that it was started by, and would make the
/// directory again.
pub fn end_releases(root: &Path) {
    for pid in ["release", "detached"].iter().flat_map(|word| running(root, word)) {
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
}

/// The detached releases for the machine at `root`.
pub fn releases(root: &Path) -> Vec<i32> {
    running(root, "release")
}

fn running(root: &Path, word: &str) -> Vec<i32> {
    let argument = format!("--sysroot\0{}\0{word}\0", root.display());
    let is_one = |process: &std::fs::DirEntry| {
        let arguments = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&arguments).contains(&argument)
    };
    let processes = std::fs::read_dir("/proc").unwrap().flatten().filter(is_one);
    processes.filter_map(|process| process.file_name().to_str()?.parse().ok()).collect()
}
