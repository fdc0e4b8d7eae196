//! A piece of work that must end with an answer, whatever happens to it: in a child, which may
//! die, hang in the kernel, or run out of memory, while this process waits for its one line.
//!
//! The child says when it must be done (`until`), once it knows, and at last its answer. Only a
//! whole line counts, so that a descriptor left open somewhere does not keep this process waiting.

#![allow(clippy::disallowed_methods)]

use super::bounded::{gone, readable};
use super::{Deadline, Stop, sys};
use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::WaitStatus;
use nix::unistd::Pid;
use std::fs::File;
use std::io::{Read, Write};
use std::time::{Duration, Instant};

/// How the work ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended {
    /// With this line.
    Answered(String),
    /// Without an answer, by itself: how.
    Died(String),
    /// It was given up.
    GivenUp(Stop),
}

/// How long the work, once its time is over, may take to end what it has started, and how long it
/// may take to die after that: both are part of its time.
const GRACE: Duration = Duration::from_millis(100);
/// The same when a signal has ended it before its time was over.
const LONG_GRACE: Duration = Duration::from_secs(2);

/// No answer is longer; what is, is none.
const LONGEST: usize = 8192;

/// Where the work says when it must be done.
pub struct Limit {
    pipe: File,
    started: Instant,
}

impl Limit {
    /// The work may take so long, from its beginning on.
    pub fn set(&mut self, whole: Duration) {
        // Who does not listen any more has given it up.
        let _ = self.pipe.write_all(format!("until {}\n", whole.as_millis()).as_bytes());
    }

    /// What is left of `whole`, `margin` before its end.
    pub fn left(&self, whole: Duration, margin: Duration) -> Deadline {
        Deadline::after(whole.saturating_sub(self.started.elapsed()).saturating_sub(margin))
    }
}

/// Runs `work` in a child until it answers with one line, or for as long as `patience`, or what it
/// sets itself. Nothing of it is left running but what has detached itself.
pub fn run(patience: Duration, work: impl FnOnce(&mut Limit) -> String) -> Result<Ended> {
    let started = Instant::now();
    let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).context("making a pipe")?;
    match sys::fork().context("starting a child")? {
        None => {
            drop(reader);
            let mut limit = Limit { pipe: File::from(writer), started };
            let answer = work(&mut limit);
            let _ = limit.pipe.write_all(format!("answer {}\n", answer.replace('\n', " ")).as_bytes());
            sys::exit_child();
        }
        Some(child) => {
            drop(writer);
            let ended = listen(&mut File::from(reader), patience);
            Ok(finish(child, ended))
        }
    }
}

/// The answer; `None` at the end of all that was said.
fn listen(pipe: &mut File, patience: Duration) -> Result<Option<String>, Stop> {
    let beginning = Instant::now();
    let mut deadline = Deadline::after(patience.saturating_sub(GRACE * 2));
    let (mut said, mut buffer) = (Vec::new(), [0; 1024]);
    while said.len() <= LONGEST {
        readable(pipe, deadline)?;
        match pipe.read(&mut buffer) {
            Ok(length) if length > 0 => said.extend_from_slice(&buffer[..length]),
            // Interrupted: the deadline tells whether to go on.
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            _ => break,
        }
        while let Some(end) = said.iter().position(|byte| *byte == b'\n') {
            let line = String::from_utf8_lossy(&said[..end]).into_owned();
            said.drain(..=end);
            match (line.strip_prefix("answer "), line.strip_prefix("until ")) {
                (Some(answer), _) => return Ok(Some(answer.to_string())),
                (None, Some(whole)) => {
                    let whole = Duration::from_millis(whole.parse().unwrap_or(0));
                    deadline = Deadline::after(whole.saturating_sub(beginning.elapsed() + GRACE * 2));
                }
                (None, None) => return Ok(None),
            }
        }
    }
    Ok(None)
}

/// Sees the child off.
fn finish(child: Pid, ended: Result<Option<String>, Stop>) -> Ended {
    let grace = match ended {
        Err(Stop::Signal(_)) => LONG_GRACE,
        _ => GRACE,
    };
    if ended.is_err() {
        // It ends the programs that it has started, which its own death would not.
        let _ = kill(child, Signal::SIGTERM);
    }
    let status = gone(child, grace).or_else(|| {
        let _ = kill(child, Signal::SIGKILL);
        gone(child, GRACE)
    });
    match ended {
        Ok(Some(answer)) => Ended::Answered(answer),
        Ok(None) => Ended::Died(status.map_or("it does not end".into(), |status| words(&status))),
        Err(stop) => Ended::GivenUp(stop),
    }
}

fn words(status: &WaitStatus) -> String {
    match status {
        WaitStatus::Signaled(_, signal, _) => format!("{signal} ended it"),
        WaitStatus::Exited(_, code) => format!("it ended with {code} and no answer"),
        other => format!("it ended as {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    #[test]
    fn an_answer_is_one_line() {
        let ended = run(SOON, |_| "4 info\nall is well".into()).unwrap();
        assert_eq!(ended, Ended::Answered("4 info all is well".into()));
    }

    #[test]
    fn what_dies_is_told_by_its_end() {
        for (signal, words) in [(Signal::SIGABRT, "SIGABRT ended it"), (Signal::SIGKILL, "SIGKILL ended it")]
        {
            let ended = run(SOON, |_| {
                let _ = kill(nix::unistd::getpid(), signal);
                String::new()
            });
            assert_eq!(ended.unwrap(), Ended::Died(words.into()));
        }
        let ended = run(SOON, |_| sys::exit_child()).unwrap();
        assert_eq!(ended, Ended::Died("it ended with 0 and no answer".into()));
    }

    #[test]
    fn what_hangs_is_given_up_in_the_time_that_it_has_set_itself() {
        let started = Instant::now();
        let ended = run(SOON, |limit| {
            limit.set(Duration::from_millis(50));
            loop {
                std::thread::sleep(SOON);
            }
        });
        assert_eq!(ended.unwrap(), Ended::GivenUp(Stop::Deadline));
        assert!(started.elapsed() < SOON);
    }

    #[test]
    fn half_an_answer_and_nonsense_are_none() {
        for said in ["answer 4 in", "4 info x\n", "answer", &"x".repeat(10_000)] {
            let ended = run(SOON, |limit| {
                let _ = limit.pipe.write_all(said.as_bytes());
                sys::exit_child()
            });
            assert!(matches!(ended.unwrap(), Ended::Died(_)), "{said}");
        }
    }
}
