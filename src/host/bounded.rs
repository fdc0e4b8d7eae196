//! A call that may never return, made so that this process always does.
//!
//! On DRBD 8.4 a promotion waits in the kernel without being interruptible
//! (drbd_state.c: wait_event, wait_for_completion), and so does a flush of a
//! device whose I/O is frozen. No timer or signal can end that. So the call is
//! made by a child, and the parent waits for the child's answer only as long
//! as its deadline allows.

#![allow(clippy::disallowed_methods)]

use super::{Deadline, Stop, sys};
use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// How a bounded call ended.
#[derive(Debug)]
pub enum Ended {
    /// With these bytes.
    Answered(Vec<u8>),
    /// It was given up; `lingers` when the kernel has not let the child go, so
    /// that the call may still take effect.
    GivenUp {
        /// Why.
        stop: Stop,
        /// Whether the child is still in the kernel.
        lingers: bool,
    },
}

/// How long a killed child may take to die before it counts as stuck in the kernel.
pub(super) const DEATH: Duration = Duration::from_millis(200);

/// Runs `call` in a child until it answers or `deadline` is over.
///
/// The child dies with this process. `call` must return its result as bytes
/// and must not rely on anything that it changes in memory.
pub fn run(deadline: Deadline, call: impl FnOnce() -> Vec<u8>) -> Result<Ended> {
    // A call that is begun may take effect, in time or not.
    if let Err(stop) = deadline.remaining() {
        return Ok(Ended::GivenUp { stop, lingers: false });
    }
    let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).context("making a pipe")?;
    match sys::fork().context("starting a child")? {
        None => {
            drop(reader);
            let answer = call();
            let _ = File::from(writer).write_all(&answer);
            sys::exit_child();
        }
        Some(child) => {
            drop(writer);
            wait_for(reader, child, deadline)
        }
    }
}

fn wait_for(reader: OwnedFd, child: Pid, deadline: Deadline) -> Result<Ended> {
    match readable(&reader, deadline) {
        Ok(()) => {
            let mut answer = Vec::new();
            File::from(reader).read_to_end(&mut answer).context("reading a child's answer")?;
            // It ends at once: the call has closed what could hang in that, before it answered.
            while waitpid(child, None) == Err(Errno::EINTR) {}
            anyhow::ensure!(!answer.is_empty(), "the child that made the call died without an answer");
            Ok(Ended::Answered(answer))
        }
        Err(stop) => {
            let _ = kill(child, Signal::SIGKILL);
            let lingers = gone(child, DEATH).is_none();
            Ok(Ended::GivenUp { stop, lingers })
        }
    }
}

/// How the child has ended, if it has within `grace`; a killed one that has not is stuck in the kernel.
pub(super) fn gone(child: Pid, grace: Duration) -> Option<WaitStatus> {
    let grace = Deadline::after(grace).despite_signals();
    loop {
        match waitpid(child, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) if grace.remaining().is_ok() => {
                std::thread::sleep(Duration::from_millis(1));
            }
            Ok(WaitStatus::StillAlive) => return None,
            Ok(status) => return Some(status),
            Err(_) => return Some(WaitStatus::Exited(child, 0)),
        }
    }
}

/// Waits until the pipe has data or its writer is gone.
pub(super) fn readable(pipe: &impl AsFd, deadline: Deadline) -> Result<(), Stop> {
    loop {
        let left = deadline.remaining()?;
        let timeout = PollTimeout::try_from(left.as_millis() + 1).unwrap_or(PollTimeout::MAX);
        let mut poll_fd = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)];
        // An error here is EINTR: the deadline tells whether to go on.
        if let Ok(1) = poll(&mut poll_fd, timeout) {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_comes_back() {
        let ended = run(Deadline::after(Duration::from_secs(5)), || b"done".to_vec()).unwrap();
        assert!(matches!(ended, Ended::Answered(answer) if answer == b"done"));
    }

    #[test]
    fn no_call_is_begun_when_the_time_is_over() {
        let file = std::env::temp_dir().join(format!("block-drbd-begun-{}", std::process::id()));
        let ended = run(Deadline::after(Duration::ZERO), || {
            let _ = std::fs::write(&file, "");
            Vec::new()
        });
        assert!(matches!(ended.unwrap(), Ended::GivenUp { stop: Stop::Deadline, lingers: false }));
        assert!(!file.exists());
    }

    #[test]
    fn a_call_that_never_returns_is_given_up() {
        let deadline = Deadline::after(Duration::from_millis(50));
        let ended = run(deadline, || {
            loop {
                std::thread::park();
            }
        });
        assert!(matches!(ended.unwrap(), Ended::GivenUp { stop: Stop::Deadline, lingers: false }));
    }
}
