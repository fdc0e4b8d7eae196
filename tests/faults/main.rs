//! Every system call that the program makes goes wrong in every way that it can.
//!
//! `a_part` runs with the other tests; `make faults` runs `every_pair`, on the
//! binary that is shipped. A pair is a call and a fault; the calls are those of
//! a run in which nothing goes wrong, on a machine in a directory.

#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

mod calls;
#[path = "../support/drbd_kernel.rs"]
mod drbd_kernel;
mod flows;
mod handlers;
#[path = "../support/machine.rs"]
mod machine;
mod oracle;
#[path = "../support/place.rs"]
mod place;
mod process;
mod tracer;
mod witness;
#[path = "../support/xenstored.rs"]
mod xenstored;

use calls::Call;
use flows::{FLOWS, Flow};
use machine::{LoopDevice, Machine};
use nix::sys::signal::Signal;
use oracle::After;
use std::os::unix::net::UnixDatagram;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use tracer::{End, Fault, Run, Target};

/// How often a pair is tried until the run makes the same calls up to it.
const TRIES: usize = 20;

/// Runs at a time, of those that do not sleep.
const WORKING: usize = 6;

/// A machine on which a flow is about to run.
struct Stage {
    machine: Machine,
    log: UnixDatagram,
}

impl Stage {
    fn new(bench: &Bench, flow: &Flow) -> Stage {
        let mut machine = Machine::on(bench.device.clone());
        machine.binary.clone_from(&bench.binary);
        flows::host(&machine);
        (flow.before)(&machine);
        // The least patient Xen that takes its lock with a file: a directory stays after SIGKILL.
        machine.file("sys/hypervisor/version/minor", "5\n");
        let log = UnixDatagram::bind(machine.path("dev/log")).unwrap();
        log.set_nonblocking(true).unwrap();
        Stage { machine, log }
    }

    fn run(&self, flow: &Flow, target: Option<Target>, patience: Duration) -> Run {
        tracer::run(flows::command(&self.machine, flow.arguments), target, patience)
    }

    fn logged(&self) -> String {
        let mut buffer = [0; 65536];
        let mut text = String::new();
        while let Ok(length) = self.log.recv(&mut buffer) {
            text.push_str(&String::from_utf8_lossy(&buffer[..length]));
            text.push('\n');
        }
        text
    }
}

/// What all runs share.
struct Bench {
    binary: PathBuf,
    device: Arc<LoopDevice>,
    permits: Permits,
}

/// How many may prepare a machine or look at one at a time: not all sleepers at once.
struct Permits {
    left: Mutex<usize>,
    returned: Condvar,
}

impl Permits {
    fn take(&self) -> Permit<'_> {
        let left = self.left.lock().unwrap();
        *self.returned.wait_while(left, |left| *left == 0).unwrap() -= 1;
        Permit(self)
    }
}

struct Permit<'a>(&'a Permits);

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        *self.0.left.lock().unwrap() += 1;
        self.0.returned.notify_one();
    }
}

/// A call of a flow, and what it meets.
struct Pair<'a> {
    flow: &'a Flow,
    calls: &'a [Vec<Call>],
    process: usize,
    at: usize,
    fault: Fault,
    after: After,
}

impl Pair<'_> {
    fn path(&self) -> &[Call] {
        &self.calls[self.process][..=self.at]
    }

    fn call(&self) -> Call {
        self.calls[self.process][self.at]
    }

    fn name(&self) -> String {
        let Pair { flow, process, at, fault, after, .. } = self;
        let call = self.call().name();
        let nth = self.path().iter().filter(|other| other.name() == call).count();
        format!("{} process {process} call {at} ({call} {nth}) {fault:?}, then {after:?}", flow.name)
    }

    /// Whether it kills the child that is about to become a program that nobody waits for: as if the
    /// program itself were killed, of which nobody could tell.
    fn kills_the_unwatched(&self) -> bool {
        let unwatched = ["unfence", "notify"].contains(&self.flow.name);
        let becomes = self.calls[self.process].last().is_some_and(|call| call.name() == "execve");
        self.fault.kills() && unwatched && becomes
    }

    /// By when it must have ended. DRBD kills no handler: one that was held up itself ends soon
    /// after it goes on.
    fn patience(&self) -> Duration {
        let patience = self.flow.times.patience;
        match self.fault {
            Fault::Delay(delay) if self.flow.event().is_some() && self.process == 0 => {
                patience.max(delay + Duration::from_secs(3))
            }
            _ => patience,
        }
    }

    /// Runs it, and says whether the fault took place; the error is what must not be.
    fn run(&self, bench: &Bench) -> Result<bool, String> {
        let target = Target { process: self.process, path: self.path(), fault: self.fault };
        let permit = bench.permits.take();
        let stage = Stage::new(bench, self.flow);
        drop(permit);
        let run = stage.run(self.flow, Some(target), self.patience());
        if !run.injected {
            return Ok(false);
        }
        if self.fault.kills() && self.process == 0 && run.end != End::Signal(Signal::SIGKILL) {
            return Err(format!("{}: it ended with {:?} and not by SIGKILL", self.name(), run.end));
        }
        let _permit = bench.permits.take();
        let log = stage.logged();
        std::fs::remove_file(stage.machine.path("dev/log")).unwrap();
        stage.machine.file("sys/hypervisor/version/minor", "17\n");
        let result = oracle::holds(&stage.machine, self, &run, &log)
            .and_then(|()| oracle::converges(&stage.machine, self.flow, self.after));
        result.map(|()| true).map_err(|error| {
            format!(
                "{}: {error:#}\n    ended with {:?} after {:?}: {}",
                self.name(),
                run.end,
                run.took,
                run.said
            )
        })
    }
}

/// The calls of a flow in which nothing goes wrong.
fn record(bench: &Bench, flow: &Flow) -> Vec<Vec<Call>> {
    let stage = Stage::new(bench, flow);
    let run = stage.run(flow, None, flow.times.patience);
    assert_eq!(run.end, End::Code(flow.code), "{}: {}", flow.name, run.said);
    (flow.end)(&stage.machine).unwrap();
    oracle::converges(&stage.machine, flow, After::Remove).unwrap();
    run.calls
}

/// strace sees the same calls.
fn confirm(bench: &Bench, flow: &Flow, calls: &[Vec<Call>]) {
    let stage = Stage::new(bench, flow);
    let command = flows::command(&stage.machine, flow.arguments);
    // What an event of DRBD starts is waited for.
    let seen = witness::calls(&command, &stage.machine.path("strace"), flow.event().is_none());
    let names = |calls: &Vec<Call>| witness::without_waiting(calls.iter().map(|call| call.name().into()));
    let ours: Vec<Vec<String>> = calls.iter().map(names).collect();
    let differ = ours.concat().into_iter().zip(seen.concat()).find(|(ours, seen)| ours != seen);
    assert!(ours == seen, "{}: strace sees other calls: {differ:?}", flow.name);
    oracle::converges(&stage.machine, flow, After::Remove).unwrap();
}

/// All faults of a call of `path`.
fn faults(flow: &Flow, path: &[Call], at: usize) -> Vec<Fault> {
    let call = path[at];
    // The guard of a process group ends inside its last call: it is killed there.
    let returns = call.returns() && (at + 1 < path.len() || call.name() == "execve");
    let errors = call.errors().iter().map(|errno| Fault::Errno(*errno));
    let kills = [Fault::KillBefore, Fault::KillAfter]
        .into_iter()
        .filter(|fault| *fault == Fault::KillBefore || returns);
    errors.chain(kills).chain(flow.times.delays.map(Fault::Delay)).collect()
}

fn pairs<'a>(flow: &'a Flow, calls: &'a [Vec<Call>]) -> Vec<Pair<'a>> {
    let mut pairs = Vec::new();
    for (process, path) in calls.iter().enumerate() {
        for at in 0..path.len() {
            for (number, fault) in faults(flow, path, at).into_iter().enumerate() {
                let after = After::ALL[(at + number) % After::ALL.len()];
                pairs.push(Pair { flow, calls, process, at, fault, after });
            }
        }
    }
    pairs
}

/// What came of many pairs.
#[derive(Default)]
struct Tally {
    run: usize,
    tried_again: usize,
    failures: Vec<String>,
    missed: Vec<String>,
}

impl Tally {
    fn print(&self) {
        self.failures.iter().for_each(|failure| println!("FAILED {failure}"));
        self.missed.iter().for_each(|pair| println!("MISSED {pair}"));
    }
}

fn run_all(bench: &Bench, pairs: &[&Pair], workers: usize) -> Tally {
    let (next, tally) = (AtomicUsize::new(0), Mutex::new(Tally::default()));
    // What panics is a failure of its pair, which tells more.
    let hook = take_hook();
    set_hook(Box::new(|_| ()));
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(pair) = pairs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    run_one(bench, pair, &tally);
                }
            });
        }
    });
    set_hook(hook);
    tally.into_inner().unwrap()
}

fn run_one(bench: &Bench, pair: &Pair, tally: &Mutex<Tally>) {
    for _ in 0..TRIES {
        let result = catch_unwind(AssertUnwindSafe(|| pair.run(bench)));
        let result = result.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
            Err(format!("{}: {text}", pair.name()))
        });
        let mut tally = tally.lock().unwrap();
        match result {
            Ok(false) => tally.tried_again += 1,
            Ok(true) => return tally.run += 1,
            Err(failure) => {
                tally.run += 1;
                return tally.failures.push(failure);
            }
        }
    }
    tally.lock().unwrap().missed.push(pair.name());
}

fn is_delay(pair: &Pair) -> bool {
    matches!(pair.fault, Fault::Delay(_))
}

fn bench(binary: PathBuf) -> Bench {
    let permits = Permits { left: Mutex::new(WORKING), returned: Condvar::new() };
    Bench { binary, device: Arc::new(LoopDevice::new()), permits }
}

/// One fault of every call of an add: it takes seconds.
#[test]
fn a_part() {
    let bench = bench(env!("CARGO_BIN_EXE_block-drbd").into());
    let flow = &FLOWS[0];
    let calls = record(&bench, flow);
    let pairs = pairs(flow, &calls);
    let quick: Vec<&Pair> = pairs.iter().filter(|pair| !is_delay(pair)).collect();
    let mut turn = 0;
    let part: Vec<&Pair> = quick
        .chunk_by(|one, other| (one.process, one.at) == (other.process, other.at))
        .map(|of_one_call| {
            turn += 1;
            of_one_call[turn % of_one_call.len()]
        })
        .collect();
    let tally = run_all(&bench, &part, WORKING);
    tally.print();
    verdict(&tally, part.len());
}

/// Everything.
#[test]
#[ignore = "takes minutes: make faults"]
fn every_pair() {
    let binary = std::env::var_os("FAULTS_BINARY").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/x86_64-unknown-linux-gnu/release/block-drbd"),
        PathBuf::from,
    );
    let bench = bench(binary);
    let [only, one] = ["FLOW", "PAIR"].map(|name| std::env::var(name).unwrap_or_default());
    let (mut all, mut planned) = (Tally::default(), 0);
    println!("{:11} {:>9} {:>6} {:>6} {:>8} {:>6}", "flow", "processes", "calls", "pairs", "failures", "s");
    for flow in FLOWS.iter().filter(|flow| only.is_empty() || flow.name == only) {
        let started = Instant::now();
        let calls = record(&bench, flow);
        confirm(&bench, flow, &calls);
        let mut pairs = pairs(flow, &calls);
        pairs.retain(|pair| pair.name().contains(&one));
        let (sleeping, working): (Vec<&Pair>, Vec<&Pair>) = pairs.iter().partition(|pair| is_delay(pair));
        let tallies = [run_all(&bench, &working, WORKING), run_all(&bench, &sleeping, flow.times.sleeping)];
        let failures: usize = tallies.iter().map(|tally| tally.failures.len()).sum();
        println!(
            "{:11} {:>9} {:>6} {:>6} {failures:>8} {:>6}",
            flow.name,
            calls.len(),
            calls.iter().map(Vec::len).sum::<usize>(),
            pairs.len(),
            started.elapsed().as_secs()
        );
        planned += pairs.len();
        for tally in tallies {
            tally.print();
            all.run += tally.run;
            all.tried_again += tally.tried_again;
            all.failures.extend(tally.failures);
            all.missed.extend(tally.missed);
        }
    }
    println!(
        "{planned} pairs of a call and a fault: {} took place ({} runs were repeated)",
        all.run, all.tried_again
    );
    assert!(planned > 0, "no pair of FLOW={only} has {one:?} in its line");
    verdict(&all, planned);
}

#[track_caller]
fn verdict(tally: &Tally, planned: usize) {
    assert!(tally.failures.is_empty(), "{} of {planned} pairs failed", tally.failures.len());
    assert!(tally.missed.is_empty() && tally.run == planned, "{} of {planned} pairs ran", tally.run);
}
