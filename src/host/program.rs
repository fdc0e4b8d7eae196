//! Programs: this very one, started to go on after this process has ended, and
//! others, run for what they print.
//!
//! No shell, no inherited environment, and never longer than allowed.

#![allow(clippy::disallowed_methods)]

use super::bounded::{self, Ended};
use super::{Deadline, Host, sys};
use anyhow::{Context, Result, bail, ensure};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// How much of what a failing program says on stderr is worth telling.
const LONGEST_COMPLAINT: usize = 300;

/// How long the start of a program that goes on by itself may take: a part of the time between
/// the end of all undoing and the end of Xen's patience.
const STARTING: Duration = Duration::from_millis(500);

/// What a program may print that is run for its exit code.
const LARGEST_IGNORED: usize = 1 << 20;

/// Where programs are found that are not named by their path.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Starts this program with `arguments`, in a session of its own, with no
/// environment and no descriptors: nothing that ends the caller ends it.
pub fn detach(arguments: &[&str]) -> Result<()> {
    detach_with(arguments, &BTreeMap::new())
}

/// The same, with these variables as its environment.
fn detach_with(arguments: &[&str], environment: &BTreeMap<String, String>) -> Result<()> {
    // std waits for the new program, and after some errors even for its end.
    let start = || match start_detached(arguments, environment) {
        Ok(()) => b"started".to_vec(),
        Err(error) => format!("{error:#}").into_bytes(),
    };
    match bounded::run(Deadline::after(STARTING).despite_signals(), start)? {
        Ended::Answered(answer) if answer == b"started" => Ok(()),
        Ended::Answered(why) => bail!("{}", String::from_utf8_lossy(&why)),
        Ended::GivenUp { stop, .. } => bail!("{stop}"),
    }
}

fn start_detached(arguments: &[&str], environment: &BTreeMap<String, String>) -> Result<()> {
    Command::new("/proc/self/exe")
        // By this an administrator finds it in ps.
        .arg0("block-drbd")
        .args(arguments)
        .env_clear()
        .envs(environment)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()?;
    Ok(())
}

/// Starts a program that nobody waits for: this one detached, which runs it for as long as `within`
/// and tells the log what came of it. `what` says what it is for.
pub fn leave(
    host: &Host,
    what: &str,
    command: &[String],
    environment: &BTreeMap<String, String>,
    within: Duration,
) -> Result<()> {
    let (root, seconds) = (host.root().to_string_lossy(), within.as_secs().to_string());
    let mut arguments = vec!["--sysroot", &root, "detached", "--seconds", &seconds, "--what", what, "--"];
    arguments.extend(command.iter().map(String::as_str));
    detach_with(&arguments, environment).with_context(|| format!("starting {what}"))
}

/// The command with its program where the root has it: a directory in place of a machine runs
/// its own programs or none. What runs as root is only what nobody but root could have put there.
pub fn of_root(host: &Host, command: &[String]) -> Result<Vec<String>> {
    let [program, arguments @ ..] = command else { bail!("the command is empty") };
    let is_machine = host.root() == Path::new("/");
    ensure!(
        is_machine || program.starts_with('/'),
        "{program} is not looked for outside of the directory that stands for the machine"
    );
    let found = if program.contains('/') { None } else { host.find_program(program, PATH) };
    let program = found.as_ref().unwrap_or(program);
    host.believe_program(program).with_context(|| format!("{program} is not run"))?;
    let program =
        if is_machine { program.clone() } else { host.path(program).to_string_lossy().into_owned() };
    Ok([&[program], arguments].concat())
}

/// Runs a program to its end, with these variables besides, for what it exits with. Whatever stands
/// in its way kills it and all that it started.
pub fn exit_of(
    command: &[String],
    environment: &BTreeMap<String, String>,
    deadline: Deadline,
) -> Result<i32> {
    let (status, complaint) =
        finish(command, environment, deadline, LARGEST_IGNORED).map(|said| (said.0, said.2))?;
    match status.code() {
        Some(code) => Ok(code),
        None => bail!("it ended with {status}: {complaint}"),
    }
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
    let (status, output, complaint) = finish(command, &BTreeMap::new(), deadline, largest)?;
    if !status.success() {
        bail!("it failed with {status}: {complaint}");
    }
    String::from_utf8(output).context("what it printed is not text")
}

/// How a program ended, what it printed, and the beginning of what it complained of.
fn finish(
    command: &[String],
    environment: &BTreeMap<String, String>,
    deadline: Deadline,
    largest: usize,
) -> Result<(ExitStatus, Vec<u8>, String)> {
    let [program, arguments @ ..] = command else { bail!("the command is empty") };
    let mut child = start(program, arguments, environment).with_context(|| format!("starting {program}"))?;
    let output = listen(&mut child, deadline, largest);
    if output.is_err() {
        // The group: ssh may have started programs of its own.
        let _ = i32::try_from(child.id()).map(|id| killpg(Pid::from_raw(id), Signal::SIGKILL));
    }
    let status = child.wait().with_context(|| format!("waiting for {program}"))?;
    let (output, complaint) = output?;
    let complaint = String::from_utf8_lossy(&complaint);
    let complaint = complaint.trim().chars().take(LONGEST_COMPLAINT).collect();
    Ok((status, output, complaint))
}

fn start(program: &str, arguments: &[String], environment: &BTreeMap<String, String>) -> Result<Child> {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .envs(environment)
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
    let length = match pipe.read(&mut buffer) {
        // The deadline tells whether to go on.
        Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(true),
        read => read.context("reading what it printed")?,
    };
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
    fn an_interrupted_read_is_made_again() {
        struct Interrupted(bool);
        impl Read for Interrupted {
            fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
                match std::mem::replace(&mut self.0, false) {
                    true => Err(ErrorKind::Interrupted.into()),
                    false => (&b"x"[..]).read(buffer),
                }
            }
        }
        let (mut pipe, mut said) = (Interrupted(true), Vec::new());
        assert!(take(&mut pipe, &mut said).unwrap() && take(&mut pipe, &mut said).unwrap());
        assert_eq!(said, b"x");
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
