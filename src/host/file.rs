//! What a file holds, if it is a file.
//!
//! A directory that somebody sent may have anything under any name: opening a FIFO
//! waits for a writer (fifo(7)), opening some devices does something, and reading
//! others never ends. So what is no regular file is not opened. A system call
//! more for each file is not noticed among those that read it.

#![allow(clippy::disallowed_methods)]

use super::Deadline;
use anyhow::{Context, Result, ensure};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// No file of /proc, /sys or our own records is larger than this; what is, is refused.
pub const LARGEST: u64 = 16 << 20;

/// Opens a regular file.
pub fn open(path: &Path) -> io::Result<File> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    open_now(path)
}

/// The bytes of a regular file, [`LARGEST`] at most.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    // Room for all of a usual file: growing from nothing reads 32 bytes at a time.
    let mut bytes = Vec::with_capacity(4096);
    open(path)?.take(LARGEST + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > LARGEST {
        true => Err(io::Error::other(format!("it is larger than {} MiB", LARGEST >> 20))),
        false => Ok(bytes),
    }
}

/// The same of what the caller named on his own command line, which may be a pipe:
/// his shell makes one of `<(ssh peer block-drbd facts --json)`.
pub fn read_any(path: &Path, deadline: Deadline) -> Result<Vec<u8>> {
    let mut file = open_now(path)?;
    let mut bytes = Vec::new();
    let mut buffer = [0; 65_536];
    loop {
        let left = deadline.remaining()?;
        let timeout = PollTimeout::try_from(left.as_millis() + 1).unwrap_or(PollTimeout::MAX);
        // An error here is EINTR: the deadline tells whether to go on.
        let _ = poll(&mut [PollFd::new(file.as_fd(), PollFlags::POLLIN)], timeout);
        match file.read(&mut buffer) {
            Ok(0) => return Ok(bytes),
            Ok(length) => bytes.extend_from_slice(&buffer[..length]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => return Err(error).context("reading it"),
        }
        ensure!(bytes.len() as u64 <= LARGEST, "it is larger than {} MiB", LARGEST >> 20);
    }
}

/// Opens without waiting for anybody.
pub fn open_now(path: &Path) -> io::Result<File> {
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC;
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}
