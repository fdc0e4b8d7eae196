//! The system calls that the program makes, and what each can fail with.
//!
//! Only errors that come from outside: no EBADF or EFAULT. Not ENOENT either,
//! where it would not be a fault but a false statement (a record that is there,
//! is there): no program can be right on a machine that lies.

use nix::errno::Errno::{self, *};

/// A system call as it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    number: u64,
    /// Whether its first argument is 0.
    null: bool,
}

impl Call {
    pub fn new(number: u64, first: u64) -> Call {
        Call { number, null: first == 0 }
    }

    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// Whether it comes back: a process does not from its end.
    pub fn returns(self) -> bool {
        self.name() != "exit_group"
    }

    /// What it can fail with. To ask where the heap ends cannot fail.
    pub fn errors(self) -> &'static [Errno] {
        match self.name() {
            "brk" if self.null => &[],
            _ => self.row().2,
        }
    }

    fn row(self) -> &'static (i64, &'static str, &'static [Errno]) {
        let row = TABLE.iter().find(|row| row.0.cast_unsigned() == self.number);
        row.unwrap_or_else(|| panic!("tests/faults/calls.rs does not know system call {}", self.number))
    }
}

/// Number, name as strace has it, errors.
#[rustfmt::skip]
const TABLE: &[(i64, &str, &[Errno])] = &[
    // Files.
    (libc::SYS_openat, "openat", &[EACCES, EMFILE, ENOSPC, EROFS, EIO, EINTR]),
    (libc::SYS_openat2, "openat2", &[EACCES, EMFILE, EIO, EINTR, EAGAIN, ENOSYS]),
    (libc::SYS_open, "open", &[EACCES, EMFILE, ENOSPC, EROFS, EIO, EINTR]),
    (libc::SYS_close, "close", &[EIO, EINTR]),
    (libc::SYS_read, "read", &[EINTR, EIO, ECONNRESET]),
    (libc::SYS_write, "write", &[EINTR, EIO, ENOSPC, EPIPE]),
    (libc::SYS_lseek, "lseek", &[]),
    (libc::SYS_statx, "statx", &[EACCES, EIO]),
    (libc::SYS_newfstatat, "newfstatat", &[EACCES, EIO, ENOMEM]),
    (libc::SYS_fstat, "fstat", &[EIO, ENOMEM]),
    (libc::SYS_stat, "stat", &[EACCES, EIO, ENOMEM]),
    (libc::SYS_readlink, "readlink", &[EACCES, EIO]),
    (libc::SYS_readlinkat, "readlinkat", &[EACCES, EIO, ENOMEM]),
    (libc::SYS_getdents64, "getdents64", &[EIO, ENOMEM]),
    (libc::SYS_mkdir, "mkdir", &[EACCES, ENOSPC, EROFS, EIO]),
    (libc::SYS_rename, "rename", &[EACCES, ENOSPC, EROFS, EIO]),
    (libc::SYS_unlink, "unlink", &[EACCES, EROFS, EIO]),
    (libc::SYS_ftruncate, "ftruncate", &[EINTR, EIO, EROFS]),
    (libc::SYS_flock, "flock", &[EINTR, EAGAIN, ENOLCK]),
    (libc::SYS_fsync, "fsync", &[EIO, ENOSPC, EINTR]),
    (libc::SYS_fcntl, "fcntl", &[]),
    (libc::SYS_ioctl, "ioctl", &[]),
    // ENOSYS, EINVAL: kernels that do not have it yet, or not this flag (close_range(2)).
    (libc::SYS_close_range, "close_range", &[ENOSYS, EINVAL, EMFILE]),
    (libc::SYS_dup2, "dup2", &[EINTR, EMFILE]),
    (libc::SYS_chdir, "chdir", &[EACCES, EIO]),
    // Sockets and pipes.
    (libc::SYS_socket, "socket", &[EACCES, EMFILE, ENOBUFS]),
    (libc::SYS_socketpair, "socketpair", &[EMFILE, ENOBUFS]),
    (libc::SYS_connect, "connect", &[EACCES, EAGAIN, ECONNREFUSED, EINTR]),
    (libc::SYS_setsockopt, "setsockopt", &[ENOBUFS]),
    (libc::SYS_sendto, "sendto", &[EINTR, EAGAIN, ENOBUFS, ECONNRESET]),
    (libc::SYS_recvfrom, "recvfrom", &[EINTR, EAGAIN, ENOBUFS, ECONNRESET]),
    (libc::SYS_poll, "poll", &[EINTR, ENOMEM]),
    (libc::SYS_pipe2, "pipe2", &[EMFILE, ENFILE]),
    // Processes.
    (libc::SYS_clone, "clone", &[EAGAIN, ENOMEM]),
    (libc::SYS_clone3, "clone3", &[EAGAIN, ENOMEM]),
    (libc::SYS_fork, "fork", &[EAGAIN, ENOMEM]),
    (libc::SYS_vfork, "vfork", &[EAGAIN, ENOMEM]),
    (libc::SYS_execve, "execve", &[EACCES, ENOENT, ENOMEM, ETXTBSY]),
    // ECHILD: whoever ignores SIGCHLD hands that on to the programs that he starts (wait(2)).
    (libc::SYS_wait4, "wait4", &[EINTR, ECHILD]),
    (libc::SYS_pidfd_open, "pidfd_open", &[ENOSYS, EMFILE, ENOMEM]),
    (libc::SYS_umask, "umask", &[]),
    (libc::SYS_kill, "kill", &[ESRCH]),
    (libc::SYS_setpgid, "setpgid", &[EPERM]),
    (libc::SYS_prctl, "prctl", &[]),
    (libc::SYS_getpid, "getpid", &[]),
    (libc::SYS_getppid, "getppid", &[]),
    (libc::SYS_gettid, "gettid", &[]),
    (libc::SYS_getrusage, "getrusage", &[]),
    (libc::SYS_exit_group, "exit_group", &[]),
    (libc::SYS_clock_nanosleep, "clock_nanosleep", &[EINTR]),
    (libc::SYS_nanosleep, "nanosleep", &[EINTR]),
    (libc::SYS_sched_yield, "sched_yield", &[]),
    (libc::SYS_sched_getaffinity, "sched_getaffinity", &[]),
    // Memory, and what a program does before main.
    (libc::SYS_brk, "brk", &[ENOMEM]),
    (libc::SYS_mmap, "mmap", &[ENOMEM]),
    (libc::SYS_mremap, "mremap", &[ENOMEM]),
    (libc::SYS_mprotect, "mprotect", &[ENOMEM]),
    (libc::SYS_munmap, "munmap", &[ENOMEM]),
    (libc::SYS_getrandom, "getrandom", &[EINTR, ENOSYS]),
    (libc::SYS_arch_prctl, "arch_prctl", &[]),
    (libc::SYS_set_tid_address, "set_tid_address", &[]),
    (libc::SYS_set_robust_list, "set_robust_list", &[]),
    (libc::SYS_rseq, "rseq", &[ENOSYS]),
    (libc::SYS_prlimit64, "prlimit64", &[]),
    (libc::SYS_uname, "uname", &[]),
    (libc::SYS_rt_sigaction, "rt_sigaction", &[]),
    (libc::SYS_rt_sigprocmask, "rt_sigprocmask", &[]),
    (libc::SYS_sigaltstack, "sigaltstack", &[]),
];
