//! The only module with `unsafe`: system calls that no safe wrapper offers.
//!
//! Nothing here knows what it is called for.

use anyhow::Result;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::sys::time::TimeValLike;
use nix::unistd::{ForkResult, Pid};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

/// Calls `handler` on `number`, without SA_RESTART: a blocked call returns EINTR.
///
/// `handler` must do nothing but set an atomic.
pub fn on_signal(number: i32, handler: extern "C" fn(libc::c_int)) -> Result<()> {
    install(number, SigHandler::Handler(handler))
}

/// Ignores `number`.
pub fn ignore_signal(number: i32) -> Result<()> {
    install(number, SigHandler::SigIgn)
}

fn install(number: i32, handler: SigHandler) -> Result<()> {
    let action = SigAction::new(handler, SaFlags::empty(), SigSet::empty());
    // SAFETY: the handlers handed in only store to an atomic, which is
    // async-signal-safe (signal-safety(7)).
    unsafe { sigaction(Signal::try_from(number)?, &action)? };
    Ok(())
}

/// Forks; `None` in the child, which dies when this process does.
///
/// Two children of one parent never share a socket that either uses: each
/// opens its own.
pub fn fork() -> Result<Option<Pid>> {
    let parent = nix::unistd::getpid();
    // SAFETY: the program has one thread, so the child may do all that its
    // parent could (fork(2)); in a test with threads the child only runs what
    // the test handed in.
    match unsafe { nix::unistd::fork()? } {
        ForkResult::Parent { child } => Ok(Some(child)),
        ForkResult::Child => {
            // SAFETY: PR_SET_PDEATHSIG takes a signal number and touches no memory.
            unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
            // The parent may have died before that took effect.
            if nix::unistd::getppid() != parent {
                exit_child();
            }
            Ok(None)
        }
    }
}

/// Lets the program that `command` starts die when this process does.
pub fn dies_with_parent(command: &mut Command) {
    let parent = nix::unistd::getpid();
    let tie = move || {
        // SAFETY: PR_SET_PDEATHSIG takes a signal number and touches no memory.
        unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
        match nix::unistd::getppid() == parent {
            true => Ok(()),
            false => Err(std::io::ErrorKind::Interrupted.into()),
        }
    };
    // SAFETY: between fork and exec the closure makes two system calls that are
    // async-signal-safe and allocates nothing.
    unsafe { command.pre_exec(tie) };
}

/// Ends a forked child at once, without running what its parent registered for its own end.
pub fn exit_child() -> ! {
    // SAFETY: _exit never returns and runs no destructor.
    unsafe { libc::_exit(0) }
}

/// The processor time that this process and its children have used; zero where
/// the kernel does not say.
pub fn processor_time() -> Duration {
    let of = |who| {
        let usage = getrusage(who).ok()?;
        let times = [usage.user_time(), usage.system_time()];
        let micros: i64 = times.iter().map(TimeValLike::num_microseconds).sum();
        u64::try_from(micros).ok().map(Duration::from_micros)
    };
    let parts = [UsageWho::RUSAGE_SELF, UsageWho::RUSAGE_CHILDREN].map(of);
    parts.into_iter().flatten().sum()
}
