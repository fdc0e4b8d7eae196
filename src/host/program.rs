//! Programs: this very one, started to go on after this process has ended, and
//! others, run for what they print.
//!
//! No shell, no inherited environment, and never longer than allowed.

#![allow(clippy::disallowed_methods)]

use super::bounded::{self, Ended};
use super::{Deadline, sys};
use anyhow::{Context, Result, bail};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How much of what a failing program says on stderr is worth telling.
const LONGEST_COMPLAINT: usize = 300;

/// How long the start of a program that goes on by itself may take: a part of the time between
/// the end of all undoing and the end of Xen's patience.
const STARTING: Duration = Duration::from_secs(1);

/// Where programs are found that are not named by their path.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Starts this program with `arguments`, in a session of its own, with no
/// environment and no descriptors: nothing that ends the caller ends it.
pub fn detach(arguments: &[&str]) -> Result<()> {
    // std waits for the new program, and after some errors even for its end.
    let start = || match start_detached(arguments) {
        Ok(()) => b"started".to_vec(),
        Err(error) => format!("{error:#}").into_bytes(),
    };
    match bounded::run(Deadline::after(STARTING).despite_signals(), start)? {
        Ended::Answered(answer) if answer == b"started" => Ok(()),
        Ended::Answered(why) => bail!("starting the detached release: {}", String::from_utf8_lossy(&why)),
        Ended::GivenUp { stop, .. } => bail!("starting the detached release: {stop}"),
    }
}

fn start_detached(arguments: &[&str]) -> Result<()> {
    Command::new("/proc/self/exe")
        .args(arguments)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()?;
    Ok(())
}

/// Runs a program for whoever called this one: with his environment and his terminal, for as long
/// as it takes. Whether it succeeded.
pub fn run_for_the_user(command: &[String]) -> Result<bool> {
    let [program, arguments @ ..] = command else { bail!("the command is empty") };
    let status = Command::new(program).args(arguments).status();
    Ok(status.with_context(|| format!("starting {program}"))?.success())
}

/// Runs a program with its arguments and returns what it printed, at most
/// `largest` bytes. Whatever stands in its way kills it and all that it started.
pub fn run(command: &[String], deadline: Deadline, largest: usize) -> Result<String> {
    let [program, arguments @ ..] = command else { bail!("the command is empty") };
    let mut child = start(program, arguments).with_context(|| format!("starting {program}"))?;
    let output = listen(&mut child, deadline, largest);
    if output.is_err() {
        // The group: ssh may have started programs of its own.
        let _ = i32::try_from(child.id()).map(|id| killpg(Pid::from_raw(id), Signal::SIGKILL));
    }
    let status = child.wait().with_context(|| format!("waiting for {program}"))?;
    let (output, complaint) = output?;
    if !status.success() {
        let complaint = String::from_utf8_lossy(&complaint);
        let complaint: String = complaint.trim().chars().take(LONGEST_COMPLAINT).collect();
        bail!("it failed with {status}: {complaint}");
    }
    String::from_utf8(output).context("what it printed is not text")
}

fn start(program: &str, arguments: &[String]) -> Result<Child> {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .env("PATH", PATH)
        .env("LANG", "C")
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    sys::dies_with_parent(&mut command);
    Ok(command.spawn()?)
}

/// What the program says until it closes both outputs.
fn listen(child: &mut Child, deadline: Deadline, largest: usize) -> Result<(Vec<u8>, Vec<u8>)> {
    let (mut out, mut err) =
        (child.stdout.take().context("no output")?, child.stderr.take().context("no error output")?);
    let (mut output, mut complaint) = (Vec::new(), Vec::new());
    let (mut out_open, mut err_open) = (true, true);
    while out_open || err_open {
        let left = deadline.remaining()?;
        let timeout = PollTimeout::try_from(left.as_millis() + 1).unwrap_or(PollTimeout::MAX);
        let wanted = |open| if open { PollFlags::POLLIN } else { PollFlags::empty() };
        let mut both =
            [PollFd::new(out.as_fd(), wanted(out_open)), PollFd::new(err.as_fd(), wanted(err_open))];
        // An error here is EINTR: the deadline tells whether to go on.
        if poll(&mut both, timeout).is_err() {
            continue;
        }
        let [out_ready, err_ready] = both.map(|fd| fd.any().unwrap_or(false));
        if out_open && out_ready {
            out_open = take(&mut out, &mut output)?;
            anyhow::ensure!(output.len() <= largest, "it printed more than {largest} bytes");
        }
        if err_open && err_ready {
            err_open = take(&mut err, &mut complaint)?;
            complaint.truncate(LONGEST_COMPLAINT * 4);
        }
    }
    Ok((output, complaint))
}

/// Reads what is there; false at the end.
fn take(pipe: &mut impl Read, into: &mut Vec<u8>) -> Result<bool> {
    let mut buffer = [0; 16_384];
    let length = pipe.read(&mut buffer).context("reading what it printed")?;
    into.extend_from_slice(&buffer[..length]);
    Ok(length > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    fn said(words: &[&str], largest: usize) -> Result<String, String> {
        let command: Vec<String> = words.iter().map(ToString::to_string).collect();
        let deadline = Deadline::after(Duration::from_secs(5));
        run(&command, deadline, largest).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn what_it_prints_comes_back() {
        assert_eq!(said(&["echo", "$HOME;*", "x y"], 100).unwrap(), "$HOME;* x y\n");
        assert_eq!(said(&["env"], 1000).unwrap().lines().count(), 2);
        assert_eq!(said(&["seq", "100000"], 1 << 20).unwrap().lines().count(), 100_000);
    }

    #[test]
    fn what_goes_wrong_is_said() {
        for (words, reason) in [
            (&["no-such-program"][..], "starting no-such-program"),
            (&["sh", "-c", "echo sorry >&2; exit 3"], "exit status: 3: sorry"),
            (&["seq", "100000"], "more than 1000 bytes"),
            (&["printf", "\\377"], "not text"),
            (&[], "empty"),
        ] {
            let error = said(words, 1000).unwrap_err();
            assert!(error.contains(reason), "{words:?}: {error}");
        }
    }

    #[test]
    fn what_does_not_end_is_ended_with_all_that_it_started() {
        let started = Instant::now();
        let command: Vec<String> = ["sh", "-c", "sleep 60 & sleep 60"].map(String::from).into();
        let error = run(&command, Deadline::after(Duration::from_millis(100)), 10).unwrap_err();
        assert!(format!("{error:#}").contains("time allowed"), "{error:#}");
        assert!(started.elapsed() < Duration::from_secs(30));
    }
}
