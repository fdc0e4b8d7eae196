//! The only module with `unsafe`: system calls that no safe wrapper offers.
//!
//! Nothing here knows what it is called for.

use anyhow::Result;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

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
