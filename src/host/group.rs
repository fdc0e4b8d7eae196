//! A process group that ends with the process that has made it.
//!
//! A program that dies with this process (PR_SET_PDEATHSIG) leaves behind what it has started itself:
//! an ssh or a call to a power switch, which would take effect after DRBD has been told that nothing is
//! known. So a guard leads the group of each program. It waits for the end of a socket whose other
//! end only this process has, and which the kernel closes however this process ends; then the guard
//! kills the whole group.

#![allow(clippy::disallowed_methods)]

use super::bounded::readable;
use super::{Deadline, sys};
use anyhow::{Context, Result, ensure};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, setpgid};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;

/// The group, as long as its guard has not been dismissed by dropping this. What then still runs in
/// it goes on: a daemon that a program has left behind.
pub struct Group {
    guard: Pid,
    alive: UnixStream,
}

impl Group {
    /// Makes a group with nothing in it but its guard, which stands there when this returns.
    pub fn new(deadline: Deadline) -> Result<Group> {
        let (ours, theirs) = UnixStream::pair().context("making a pair of sockets")?;
        // Not one that dies with this process: it could be killed before it stands guard.
        let Some(guard) = sys::fork_untied().context("starting the guard of a process group")? else {
            drop(ours);
            stand_guard(theirs);
        };
        drop(theirs);
        let group = Group { guard, alive: ours };
        readable(&group.alive, deadline).context("waiting for the guard of a process group")?;
        let said = (&group.alive).read(&mut [0]).context("listening to the guard of a process group")?;
        ensure!(said == 1, "the guard of a process group has died");
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

/// Leads the group, and kills it when its maker has ended.
fn stand_guard(mut maker: UnixStream) -> ! {
    let own = nix::unistd::getpid();
    // In the caller's group it would kill xl.
    if setpgid(own, own).is_ok() && maker.write_all(b"!").is_ok() {
        // Nothing comes: it ends, or is interrupted by a signal that is for the maker.
        while maker.read(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::Interrupted) {}
        let _ = killpg(own, Signal::SIGKILL);
    }
    sys::exit_child()
}
