//! Runs a program under ptrace(2), lists the system calls of each of its
//! processes, and lets one of them go wrong.
//!
//! strace injects, too, but counts "per syscall and per tracee" (strace(1)): the
//! N-th call of a child cannot be hit without hitting the N-th of its parent.
//! Here a call is named by its process, in the order of the forks, and by its
//! place in it. That the list is whole, strace itself is asked (`main.rs`).

use crate::calls::Call;
use crate::process::{self, fail, skip};
use libc::user_regs_struct;
use nix::errno::Errno;
use nix::sys::ptrace::{self, Event, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

const DONTWAIT: u64 = libc::MSG_DONTWAIT as u64;
/// How the kernel goes on with a call that a signal has interrupted, as SIGCHLD does under ptrace.
const RESTART: u64 = libc::SYS_restart_syscall.cast_unsigned();

/// How long killed children may take to be gone after their parent.
const BURIAL: Duration = Duration::from_secs(2);

/// What a system call meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It does nothing and fails.
    Errno(Errno),
    /// Its process is killed instead of it.
    KillBefore,
    /// Its process is killed as it returns.
    KillAfter,
    /// It begins so much later.
    Delay(Duration),
}

impl Fault {
    pub fn kills(self) -> bool {
        matches!(self, Fault::KillBefore | Fault::KillAfter)
    }
}

/// The call that goes wrong.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    /// Its process, in the order of the forks; 0 is the program itself.
    pub process: usize,
    /// The calls of that process up to this one, as another run made them.
    pub path: &'a [Call],
    pub fault: Fault,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Code(i32),
    Signal(Signal),
}

/// A run.
#[derive(Debug)]
pub struct Run {
    /// The calls of each process, in the order of the forks, until the fault.
    pub calls: Vec<Vec<Call>>,
    /// The target was reached and the fault took place: if not, the process made other
    /// calls before it, or ended.
    pub injected: bool,
    pub end: End,
    pub took: Duration,
    /// What it printed on stdout and stderr.
    pub said: String,
    /// It was still there when the patience ended, and was killed.
    pub outlasted: bool,
    /// Its children that were still there when it had been gone for a while.
    pub left: usize,
    /// Its children that have become programs of their own.
    pub detached: Vec<Pid>,
}

/// Runs `command` to its end, or until `patience` is over.
pub fn run(mut command: Command, target: Option<Target>, patience: Duration) -> Run {
    let started = Instant::now();
    // SAFETY: between fork and exec the closure makes one system call.
    unsafe { command.pre_exec(|| Ok(ptrace::traceme()?)) };
    let child = command.spawn().unwrap();
    let mut tracer = Tracer::new(&child, target, started);
    tracer.watch(started + patience);
    let outlasted = tracer.ended.is_none();
    if outlasted {
        let _ = kill(tracer.processes[0].pid, Signal::SIGKILL);
        tracer.watch(Instant::now() + BURIAL);
    }
    let (end, took) = tracer.ended.unwrap();
    tracer.bury(Instant::now() + BURIAL);
    let left = tracer.kill_the_rest();
    tracer.release_held();
    let injected = tracer.done;
    let calls = tracer.processes.into_iter().map(|process| process.calls).collect();
    let detached = tracer.detached;
    Run { calls, injected, end, took, said: said(child), outlasted, left, detached }
}

fn said(child: Child) -> String {
    let mut text = Vec::new();
    child.stdout.unwrap().read_to_end(&mut text).unwrap();
    child.stderr.unwrap().read_to_end(&mut text).unwrap();
    String::from_utf8_lossy(&text).into_owned()
}

struct Process {
    pid: Pid,
    calls: Vec<Call>,
    /// Between the entry and the exit of a call.
    inside: bool,
    /// What the call that is under way meets when it returns.
    meets: Option<Meets>,
    /// Its first stop, which every new process makes, is still to come.
    fresh: bool,
    gone: bool,
}

impl Process {
    fn new(pid: Pid, fresh: bool) -> Process {
        Process { pid, calls: Vec::new(), inside: false, meets: None, fresh, gone: false }
    }

    /// Whether it is about to read what may not be there yet, without having waited for it.
    fn hurries(&self, registers: &user_regs_struct) -> bool {
        match &self.calls[..] {
            [.., before, _] if before.name() == "poll" => false,
            [.., last] if last.name() == "recvfrom" => registers.r10 & DONTWAIT != 0,
            [.., last] => last.name() == "read" && process::never_blocks(self.pid, registers.rdi),
            [] => false,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Meets {
    /// The fault.
    Target(Fault),
    /// Nothing to read yet.
    Nothing,
}

struct Tracer<'a> {
    processes: Vec<Process>,
    target: Option<Target<'a>>,
    /// The process that is to be let go at that time.
    delayed: Option<(Pid, Instant)>,
    /// The fault has taken place.
    done: bool,
    started: Instant,
    /// How and when the program itself ended.
    ended: Option<(End, Duration)>,
    detached: Vec<Pid>,
    /// Those of them that are stopped.
    held: Vec<Pid>,
}

impl<'a> Tracer<'a> {
    /// Takes a child over that has stopped at the beginning of its program.
    fn new(child: &Child, target: Option<Target<'a>>, started: Instant) -> Tracer<'a> {
        let pid = Pid::from_raw(child.id().cast_signed());
        assert_eq!(waitpid(pid, None), Ok(WaitStatus::Stopped(pid, Signal::SIGTRAP)));
        let forks = Options::PTRACE_O_TRACEFORK | Options::PTRACE_O_TRACEVFORK | Options::PTRACE_O_TRACECLONE;
        let options = forks | Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_TRACEEXEC;
        ptrace::setoptions(pid, options | Options::PTRACE_O_EXITKILL).unwrap();
        ptrace::syscall(pid, None).unwrap();
        Tracer {
            processes: vec![Process::new(pid, false)],
            target,
            delayed: None,
            done: false,
            started,
            ended: None,
            detached: Vec::new(),
            held: Vec::new(),
        }
    }

    /// Serves the processes until the program has ended, or until then.
    fn watch(&mut self, until: Instant) {
        while self.ended.is_none() && Instant::now() < until {
            self.serve();
        }
    }

    /// Serves the children that die with the program.
    fn bury(&mut self, until: Instant) {
        while self.processes.iter().any(|process| !process.gone) && Instant::now() < until {
            self.serve();
        }
    }

    fn kill_the_rest(&mut self) -> usize {
        let left: Vec<Pid> =
            self.processes.iter().filter(|process| !process.gone).map(|process| process.pid).collect();
        for pid in &left {
            let _ = kill(*pid, Signal::SIGKILL);
        }
        self.bury(Instant::now() + BURIAL);
        left.len()
    }

    /// The next thing that happens, if anything does within a moment.
    fn serve(&mut self) {
        if let Some((pid, _)) = self.delayed.filter(|(_, until)| Instant::now() >= *until) {
            self.delayed = None;
            self.resume(pid, None);
        }
        if self.done {
            self.release_held();
        }
        // Only what this thread traces: others have programs of their own. On the way to
        // the target nothing is out of order yet, and it need not look at the clock.
        let patient = if self.target.is_some() { WaitPidFlag::empty() } else { WaitPidFlag::WNOHANG };
        let flags = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD | patient;
        match waitpid(None, Some(flags)) {
            Ok(WaitStatus::StillAlive) | Err(_) => {
                let moment = if self.delayed.is_some() { 5_000 } else { 100 };
                std::thread::sleep(Duration::from_micros(moment));
            }
            Ok(status) => self.handle(status),
        }
    }

    fn handle(&mut self, status: WaitStatus) {
        match status {
            WaitStatus::Exited(pid, code) => self.end(pid, End::Code(code)),
            WaitStatus::Signaled(pid, signal, _) => self.end(pid, End::Signal(signal)),
            WaitStatus::PtraceSyscall(pid) => self.call(pid),
            WaitStatus::PtraceEvent(pid, _, event) if event == Event::PTRACE_EVENT_EXEC as i32 => {
                self.let_go(pid);
            }
            WaitStatus::PtraceEvent(pid, _, _) => {
                // It may have been killed meanwhile.
                if let Ok(child) = ptrace::getevent(pid) {
                    self.born(Pid::from_raw(child.try_into().unwrap()));
                    self.resume(pid, None);
                }
            }
            WaitStatus::Stopped(pid, signal) => self.stopped(pid, signal),
            other => panic!("{other:?}"),
        }
    }

    fn end(&mut self, pid: Pid, end: End) {
        let Some(at) = self.find(pid) else { return };
        self.processes[at].gone = true;
        self.delayed = self.delayed.filter(|(delayed, _)| *delayed != pid);
        if at == 0 {
            self.ended = Some((end, self.started.elapsed()));
        }
    }

    fn born(&mut self, pid: Pid) {
        if self.find(pid).is_none() {
            self.processes.push(Process::new(pid, true));
        }
    }

    fn stopped(&mut self, pid: Pid, signal: Signal) {
        match self.find(pid) {
            // It stops before its parent tells of it, who may never do so: it may have been killed.
            None => {
                self.processes.push(Process::new(pid, false));
                self.resume(pid, None);
            }
            Some(at) if self.processes[at].fresh => {
                self.processes[at].fresh = false;
                self.resume(pid, None);
            }
            Some(_) => self.resume(pid, Some(signal)),
        }
    }

    /// A child that runs another program goes its own way. One that runs this very program is
    /// held until the fault has taken place: how fast it is would decide which calls are made.
    fn let_go(&mut self, pid: Pid) {
        let at = self.find(pid).unwrap();
        if self.processes[at].meets.is_some() {
            return self.leave(at);
        }
        let holds = !self.done && process::program(pid) == process::program(self.processes[0].pid);
        if holds {
            // Where it stands: one that SIGSTOP holds gets a SIGHUP as soon as its parent has ended
            // (setpgid(2), an orphaned process group).
            self.held.push(pid);
        } else if ptrace::detach(pid, None).is_err() {
            return;
        }
        self.detached.push(pid);
        self.end(pid, End::Code(0));
    }

    fn release_held(&mut self) {
        for pid in self.held.drain(..) {
            let _ = ptrace::detach(pid, None);
        }
    }

    /// A process enters a system call, or returns from one.
    fn call(&mut self, pid: Pid) {
        let at = self.find(pid).unwrap();
        let process = &mut self.processes[at];
        process.inside = !process.inside;
        if !process.inside {
            return self.leave(at);
        }
        // It may have been killed meanwhile.
        let Ok(registers) = ptrace::getregs(pid) else { return };
        if registers.orig_rax == RESTART {
            return self.resume(pid, None);
        }
        process.calls.push(Call::new(registers.orig_rax, registers.rdi));
        match self.target {
            Some(target) if target.process == at && target.path.len() == process.calls.len() => {
                self.target = None;
                match target.path == process.calls {
                    true => self.inject(at, target.fault),
                    false => self.give_up(),
                }
            }
            // Whoever is asked answers a moment later, so that every run makes the same calls.
            _ if !self.done && process.hurries(&registers) && skip(pid) => {
                process.meets = Some(Meets::Nothing);
                self.resume(pid, None);
            }
            _ => {
                if !self.done && process.calls.last().is_some_and(|call| call.name() == "poll") {
                    self.let_programs_end();
                }
                self.resume(pid, None);
            }
        }
    }

    /// Whoever waits for a program sees all that it says at once, so that every run makes the
    /// same calls.
    fn let_programs_end(&self) {
        let free = self.detached.iter().filter(|pid| !self.held.contains(pid));
        free.for_each(|pid| process::wait_for_end(*pid, BURIAL));
    }

    /// The process has made other calls.
    fn give_up(&mut self) {
        for process in self.processes.iter().filter(|process| !process.gone) {
            let _ = kill(process.pid, Signal::SIGKILL);
        }
    }

    /// At the entry of the target.
    fn inject(&mut self, at: usize, fault: Fault) {
        let process = &mut self.processes[at];
        let pid = process.pid;
        match fault {
            Fault::Errno(_) if !skip(pid) => {}
            Fault::Errno(_) | Fault::KillAfter => {
                process.meets = Some(Meets::Target(fault));
                self.resume(pid, None);
            }
            Fault::KillBefore => {
                self.done = skip(pid);
                let _ = kill(pid, Signal::SIGKILL);
            }
            Fault::Delay(delay) => {
                self.done = true;
                self.delayed = Some((pid, Instant::now() + delay));
            }
        }
    }

    /// At the exit of a call.
    fn leave(&mut self, at: usize) {
        let pid = self.processes[at].pid;
        match self.processes[at].meets.take() {
            None => {}
            Some(Meets::Nothing) => _ = fail(pid, Errno::EAGAIN),
            Some(Meets::Target(Fault::Errno(errno))) => self.done = fail(pid, errno),
            Some(Meets::Target(_)) => self.done = kill(pid, Signal::SIGKILL).is_ok(),
        }
        self.resume(pid, None);
    }

    /// Lets it go on: from call to call, or, after the fault, without looking at its calls.
    fn resume(&mut self, pid: Pid, signal: Option<Signal>) {
        let result = if self.done { ptrace::cont(pid, signal) } else { ptrace::syscall(pid, signal) };
        // ESRCH: it has been killed meanwhile, which is waited for.
        assert!(matches!(result, Ok(()) | Err(Errno::ESRCH)), "{result:?}");
    }

    fn find(&self, pid: Pid) -> Option<usize> {
        self.processes.iter().position(|process| process.pid == pid)
    }
}
