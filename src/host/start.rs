//! What this process does first of all, so that nothing of its caller shows in its work or in what
//! it starts: xl, a cron job and the kernel leave different things behind.
//!
//! PR_SET_NO_NEW_PRIVS is not set for the programs that the settings name. They run as root and gain
//! nothing by a set-user-ID bit; but sudo refuses to work under it, and SELinux refuses most
//! domain transitions (prctl(2)), by which an administrator gives a peer command fewer rights.

#![allow(clippy::disallowed_methods)]

use super::{signals, sys};
use anyhow::{Context, Result};
use nix::sys::stat::{Mode, umask};
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicU32, Ordering};

/// The first descriptor that is not for the caller to hand in.
const FIRST_OTHER: RawFd = 3;

/// As many descriptors as a process may have open where nobody has set another limit.
const USUAL_LIMIT: RawFd = 1024;

/// What nobody but us may do with a file that we make.
const OWNER_ONLY: Mode = Mode::S_IRWXG.union(Mode::S_IRWXO);

static CALLERS_UMASK: AtomicU32 = AtomicU32::new(OWNER_ONLY.bits());

/// Prepares this process. To be called before anything else is opened or started.
pub fn begin() -> Result<()> {
    keep_descriptors();
    CALLERS_UMASK.store(umask(OWNER_ONLY).bits(), Ordering::Relaxed);
    signals::catch().context("setting what signals do")
}

/// The umask for a program that works for somebody else: the caller's, which is 0 where
/// the kernel is the caller; and never one that lets all the world write.
pub(super) fn programs_umask() -> Mode {
    Mode::from_bits_truncate(CALLERS_UMASK.load(Ordering::Relaxed)) | Mode::S_IWGRP | Mode::S_IWOTH
}

/// Lets nothing that is started have a descriptor of the caller's but 0 to 2: a detached release
/// would keep the caller's lock, or the end of his pipe, for an hour.
fn keep_descriptors() {
    if sys::close_range_on_exec(FIRST_OTHER).is_err() {
        descriptors()
            .into_iter()
            .filter(|descriptor| *descriptor >= FIRST_OTHER)
            .for_each(sys::close_on_exec);
    }
}

/// The numbers of all that is open; where /proc is not mounted, all that are usual.
fn descriptors() -> Vec<RawFd> {
    match std::fs::read_dir("/proc/self/fd") {
        Ok(entries) => {
            let names = entries.flatten().map(|entry| entry.file_name());
            names.filter_map(|name| name.to_str()?.parse().ok()).collect()
        }
        Err(_) => (FIRST_OTHER..USUAL_LIMIT).collect(),
    }
}
