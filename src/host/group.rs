//! A process group that ends with the process that has made it.
//!
//! A program that dies with this process (PR_SET_PDEATHSIG) leaves behind what it has started itself:
//! an ssh or a call to a power switch, which would take effect after DRBD has been told that nothing is
//! known. So a guard leads the group of each program. It waits for the end of a pipe whose other
//! end only this process has, and which the kernel closes however this process ends; then the guard
//! kills the whole group.

#![allow(clippy::disallowed_methods)]

use super::sys;
use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, setpgid};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::fd::OwnedFd;

/// The group, as long as its guard has not been dismissed by dropping this. What then still runs in
/// it goes on: a daemon that a program has left behind.
pub struct Group {
    guard: Pid,
    _alive: OwnedFd,
}

impl Group {
    /// Makes a group with nothing in it but its guard.
    pub fn new() -> Result<Group> {
        let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).context("making a pipe")?;
        // Not one that dies with this process: it could be killed before it stands guard.
        let Some(guard) = sys::fork_untied().context("starting the guard of a process group")? else {
            drop(writer);
            stand_guard(File::from(reader));
        };
        let group = Group { guard, _alive: writer };
        // The guard does so, too: whichever of the two comes first.
        setpgid(guard, guard).context("making a process group")?;
        Ok(group)
    }

    /// Its number, for [`std::os::unix::process::CommandExt::process_group`].
    pub fn id(&self) -> i32 {
        self.guard.as_raw()
    }

    /// Kills everything in it.
    pub fn kill(&self) {
        // The guard has not been waited for, so that nobody else can have its number.
        let _ = killpg(self.guard, Signal::SIGKILL);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = kill(self.guard, Signal::SIGKILL);
        while waitpid(self.guard, None) == Err(Errno::EINTR) {}
    }
}

/// Leads the group, and kills it at the end of the pipe.
fn stand_guard(mut alive: File) -> ! {
    let own = nix::unistd::getpid();
    // In the caller's group it would kill xl.
    if setpgid(own, own).is_ok() {
        // Nobody writes into it: it ends, or is interrupted by a signal that is for the caller.
        while alive.read(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::Interrupted) {}
        let _ = killpg(own, Signal::SIGKILL);
    }
    sys::exit_child()
}
