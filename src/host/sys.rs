//! The only module with `unsafe`: system calls that no safe wrapper offers.
//!
//! Nothing here knows what it is called for.

use anyhow::Result;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::sys::stat::{Mode, umask};
use nix::sys::time::TimeValLike;
use nix::unistd::{ForkResult, Pid};
use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
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

/// Lets `number` do what it does by default.
pub fn default_signal(number: i32) -> Result<()> {
    install(number, SigHandler::SigDfl)
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
    let child = fork_untied()?;
    if child.is_none() {
        // SAFETY: PR_SET_PDEATHSIG takes a signal number and touches no memory.
        unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
        // The parent may have died before that took effect.
        if nix::unistd::getppid() != parent {
            exit_child();
        }
    }
    Ok(child)
}

/// Forks; `None` in the child, which outlives this process.
pub fn fork_untied() -> Result<Option<Pid>> {
    // SAFETY: the program has one thread, so the child may do all that its
    // parent could (fork(2)); in a test with threads the child only runs what
    // the test handed in.
    match unsafe { nix::unistd::fork()? } {
        ForkResult::Parent { child } => Ok(Some(child)),
        ForkResult::Child => Ok(None),
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
            false => Err(io::ErrorKind::Interrupted.into()),
        }
    };
    // SAFETY: between fork and exec the closure makes two system calls that are
    // async-signal-safe and allocates nothing.
    unsafe { command.pre_exec(tie) };
}

/// Starts the program of `command` with this umask, and with SIGXFSZ at its default. An ignored
/// signal stays ignored over execve(2); SIGPIPE and the signal mask std resets itself.
pub fn undoes_what_is_ours(command: &mut Command, mask: Mode) {
    let reset = move || {
        umask(mask);
        default_signal(libc::SIGXFSZ).map_err(io::Error::other)
    };
    // SAFETY: between fork and exec the closure makes two system calls that are
    // async-signal-safe; it allocates only where sigaction fails, which it does for no valid signal.
    unsafe { command.pre_exec(reset) };
}

/// Marks every open descriptor from `first` on close-on-exec, in one call. ENOSYS before Linux
/// 5.9, EINVAL before 5.11.
pub fn close_range_on_exec(first: RawFd) -> io::Result<()> {
    let [first, last, flags] = [first.cast_unsigned(), u32::MAX, libc::CLOSE_RANGE_CLOEXEC];
    // SAFETY: close_range takes three integers; with this flag it closes nothing.
    match unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Marks one descriptor close-on-exec; one that is not open any more needs nothing.
pub fn close_on_exec(descriptor: RawFd) {
    // SAFETY: F_SETFD takes integers and touches no memory.
    unsafe { libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC) };
}

/// A descriptor that is readable once the child `pid` has ended. ENOSYS before Linux 5.3.
pub fn pidfd(pid: Pid) -> io::Result<OwnedFd> {
    // SAFETY: pidfd_open takes two integers.
    let descriptor = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) };
    match RawFd::try_from(descriptor) {
        // SAFETY: the kernel has just opened it for this process, and nobody else has it.
        Ok(descriptor) if descriptor >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(descriptor) }),
        _ => Err(io::Error::last_os_error()),
    }
}

// The C library calls what stands in .init_array before main, and so before std.
// SAFETY: the section holds pointers to functions of this type (System V ABI, gABI 5), and this one
// only makes system calls: it relies on nothing that std or main sets up.
#[unsafe(link_section = ".init_array")]
#[used]
static FIRST: extern "C" fn() = fill_standard_descriptors;

/// Opens something in the place of each of the descriptors 0 to 2 that is closed, so that no file
/// that is opened later is taken for stdout. std does so too, but aborts where there is no
/// /dev/null (a chroot), and DRBD or Xen then gets no answer.
extern "C" fn fill_standard_descriptors() {
    for descriptor in 0..=2 {
        // SAFETY: both calls take integers and a constant string that ends with NUL. open(2) gives
        // the lowest free number, which is `descriptor`: those below it are open.
        unsafe {
            if libc::fcntl(descriptor, libc::F_GETFD) == -1
                && libc::open(c"/dev/null".as_ptr(), libc::O_RDWR) == -1
            {
                // Always there; a write to it fails with EBADF, which std takes for a closed stdout.
                libc::open(c"/".as_ptr(), libc::O_RDONLY);
            }
        }
    }
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
