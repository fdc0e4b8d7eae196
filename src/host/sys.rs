//! The only module with `unsafe`: system calls that no safe wrapper offers.
//!
//! Nothing here knows what it is called for.

use anyhow::Result;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::unistd::{ForkResult, Pid};

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

/// Ends a forked child at once, without running what its parent registered for its own end.
pub fn exit_child() -> ! {
    // SAFETY: _exit never returns and runs no destructor.
    unsafe { libc::_exit(0) }
}
