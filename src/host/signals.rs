//! SIGINT, SIGTERM and SIGHUP become a word that [`super::Deadline`] reads.
//!
//! xl starts the hotplug script in its own process group, so Ctrl-C on
//! `xl create` reaches both (libxl_exec.c: no setsid for scripts). Dying in the
//! middle would leave a resource Primary: the work stops at its next look at
//! the deadline, and is undone.

use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use std::sync::atomic::{AtomicI32, Ordering};

static RECEIVED: AtomicI32 = AtomicI32::new(0);

/// The first signal that asked this process to stop, if one did.
pub fn received() -> Option<i32> {
    match RECEIVED.load(Ordering::Relaxed) {
        0 => None,
        number => Some(number),
    }
}

extern "C" fn remember(number: libc::c_int) {
    let _ = RECEIVED.compare_exchange(0, number, Ordering::Relaxed, Ordering::Relaxed);
}

/// Sets what signals do, whatever the caller has left behind: a process inherits over execve(2)
/// which signals are ignored and which are blocked.
///
/// The three signals interrupt system calls and are remembered. SIGPIPE, which libxl resets to its
/// default, and SIGXFSZ, which a file size limit sends, are ordinary errors of write(2): EPIPE and
/// EFBIG. SIGCHLD is at its default, because the end of a child is lost where it is ignored (wait(2)).
pub fn catch() -> anyhow::Result<()> {
    for number in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        super::sys::on_signal(number, remember)?;
    }
    super::sys::ignore_signal(libc::SIGPIPE)?;
    super::sys::ignore_signal(libc::SIGXFSZ)?;
    super::sys::default_signal(libc::SIGCHLD)?;
    Ok(sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?)
}
