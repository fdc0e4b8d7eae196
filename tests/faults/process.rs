//! One process that is traced: what /proc and its registers tell of it, and what is changed there.

use nix::errno::Errno;
use nix::sys::ptrace;
use nix::unistd::Pid;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const CLOSE: u64 = libc::SYS_close.cast_unsigned();
const BRK: u64 = libc::SYS_brk.cast_unsigned();

/// What it runs.
pub fn program(pid: Pid) -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/{pid}/exe")).ok()
}

/// Waits for its end, at most so long.
pub fn wait_for_end(pid: Pid, longest: Duration) {
    let started = Instant::now();
    let runs = || std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|arguments| !arguments.is_empty());
    while runs() && started.elapsed() < longest {
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// Whether `descriptor` is a socket with O_NONBLOCK.
pub fn never_blocks(pid: Pid, descriptor: u64) -> bool {
    let directory = format!("/proc/{pid}");
    let link = std::fs::read_link(format!("{directory}/fd/{descriptor}"));
    let about = std::fs::read_to_string(format!("{directory}/fdinfo/{descriptor}")).unwrap_or_default();
    let flags = about.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|flags| i32::from_str_radix(flags.trim(), 8).ok());
    link.is_ok_and(|target| target.to_string_lossy().starts_with("socket:"))
        && flags.is_some_and(|flags| flags & libc::O_NONBLOCK != 0)
}

/// Makes the call that a process is about to make do nothing; false when it has been killed meanwhile.
pub fn skip(pid: Pid) -> bool {
    let Ok(mut registers) = ptrace::getregs(pid) else { return false };
    match registers.orig_rax {
        // It fails by returning what there was before (brk(2), notes).
        BRK => registers.rdi = 0,
        // It closes, whatever it returns (close(2), notes).
        CLOSE => {}
        _ => registers.orig_rax = u64::MAX,
    }
    ptrace::setregs(pid, registers).is_ok()
}

/// Makes the call from which a process returns fail.
pub fn fail(pid: Pid, errno: Errno) -> bool {
    let Ok(mut registers) = ptrace::getregs(pid) else { return false };
    if registers.orig_rax != BRK {
        registers.rax = (-i64::from(errno as i32)).cast_unsigned();
    }
    ptrace::setregs(pid, registers).is_ok()
}
