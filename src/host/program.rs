//! Programs: this very one, started to go on after this process has ended, and
//! others, run for what they print.
//!
//! No shell, no inherited environment, and never longer than allowed.

#![allow(clippy::disallowed_methods)]

use super::bounded::{self, DEATH, Ended};
use super::group::Group;
use super::{Deadline, Host, start, sys};
use anyhow::{Context, Result, bail, ensure};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
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

/// No pipe holds more: /proc/sys/fs/pipe-max-size, as the kernel has it.
const LARGEST_PIPE: usize = 1 << 20;

/// The pause between two looks whether a program has ended, where the kernel has no pidfd (before 5.3).
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Where programs are found that are not named by their path.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Starts this program with `arguments`, in a process group of its own, with no environment and
/// no descriptor of the caller's: nothing that ends the caller ends it, and it keeps no lock and no pipe.
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
    let program = match is_machine {
        true => program.clone(),
        false => host.root.name(&host.follow(program)?).to_string_lossy().into_owned(),
    };
    Ok([&[program], arguments].concat())
}

/// Runs a program to its end, with these variables besides, for what it exits with. One that does not
/// end in time is killed with all that it has started.
pub fn exit_of(
    command: &[String],
    environment: &BTreeMap<String, String>,
    deadline: Deadline,
) -> Result<i32> {
    let said = finish(command, environment, deadline, LARGEST_IGNORED)?;
    said.status.code().with_context(|| said.failure())
}

/// The same with nothing besides in its environment, and with the beginning of what it complained of.
pub fn exit_and_complaint_of(command: &[String], deadline: Deadline) -> Result<(i32, String)> {
    let said = finish(command, &BTreeMap::new(), deadline, LARGEST_IGNORED)?;
    let code = said.status.code().with_context(|| said.failure())?;
    Ok((code, said.complaint()))
}

/// Runs a program for whoever called this one: with his environment and his terminal, for as long
/// as it takes. Whether it succeeded.
pub fn run_for_the_user(command: &[String]) -> Result<bool> {
    let [program, arguments @ ..] = command else { bail!("the command is empty") };
    let mut command = Command::new(program);
    sys::undoes_what_is_ours(command.args(arguments), start::programs_umask());
    Ok(command.status().with_context(|| format!("starting {program}"))?.success())
}

/// Runs a program with its arguments and returns what it printed, at most
/// `largest` bytes. One that does not end in time is killed with all that it has started.
pub fn run(command: &[String], deadline: Deadline, largest: usize) -> Result<String> {
    let said = finish(command, &BTreeMap::new(), deadline, largest)?;
    ensure!(said.status.success(), "{}", said.failure());
    String::from_utf8(said.output).context("what it printed is not text")
}

/// How a program ended, what it printed, and the beginning of what it complained of.
struct Said {
    status: ExitStatus,
    output: Vec<u8>,
    complaint: Vec<u8>,
}

impl Said {
    /// How it has failed, in its own words.
    fn failure(&self) -> String {
        format!("it failed with {}: {}", self.status, self.complaint())
    }

    fn complaint(&self) -> String {
        let complaint = String::from_utf8_lossy(&self.complaint);
        complaint.trim().chars().take(LONGEST_COMPLAINT).collect()
    }
}

/// Runs a program until it ends. What it has left running then, as a daemon, goes on; what a
/// program that was killed has started is killed, too.
fn finish(
    command: &[String],
    environment: &BTreeMap<String, String>,
    deadline: Deadline,
    largest: usize,
) -> Result<Said> {
    let [program, arguments @ ..] = command else { bail!("the command is empty") };
    let group = Group::new(deadline)?;
    let mut child =
        spawn(program, arguments, environment, &group).with_context(|| format!("starting {program}"))?;
    let said = listen(&mut child, deadline, largest);
    if !said.as_ref().is_ok_and(|said| said.status.code().is_some()) {
        group.kill();
        bury(&mut child);
    }
    said
}

fn spawn(
    program: &str,
    arguments: &[String],
    environment: &BTreeMap<String, String>,
    group: &Group,
) -> Result<Child> {
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
        .process_group(group.id());
    sys::undoes_what_is_ours(&mut command, start::programs_umask());
    sys::dies_with_parent(&mut command);
    Ok(command.spawn()?)
}

/// What the program says until it ends. The end of its output is something else: a daemon that
/// it has left behind may keep that open for ever.
fn listen(child: &mut Child, deadline: Deadline, largest: usize) -> Result<Said> {
    let mut output = Ear::new(child.stdout.take().context("no output")?.into(), largest)?;
    let mut complaint =
        Ear::new(child.stderr.take().context("no error output")?.into(), LONGEST_COMPLAINT * 4)?;
    let end = i32::try_from(child.id()).ok().and_then(|pid| sys::pidfd(Pid::from_raw(pid)).ok());
    loop {
        wait(&[output.open(), complaint.open(), end.as_ref().map(AsFd::as_fd)], end.is_some(), deadline)?;
        // Asked before its pipes are read: whatever it has said before its end is in them.
        let ended = child.try_wait().context("waiting for its end")?;
        output.hear()?;
        complaint.hear()?;
        ensure!(output.said.len() <= largest, "it printed more than {largest} bytes");
        if let Some(status) = ended {
            return Ok(Said { status, output: output.said, complaint: complaint.said });
        }
    }
}

/// Waits until one of these can be read; where the end of the program is not among them,
/// only for a moment.
fn wait(descriptors: &[Option<BorrowedFd>], tells_end: bool, deadline: Deadline) -> Result<()> {
    let left = deadline.remaining().context("it does not end")?;
    let longest = if tells_end { left } else { left.min(LOOK_AGAIN) };
    let timeout = PollTimeout::try_from(longest.as_millis() + 1).unwrap_or(PollTimeout::MAX);
    let open = descriptors.iter().flatten();
    let mut wanted: Vec<PollFd> = open.map(|open| PollFd::new(*open, PollFlags::POLLIN)).collect();
    // An error here is EINTR: the deadline tells whether to go on.
    let _ = poll(&mut wanted, timeout);
    Ok(())
}

/// Waits for the end of a program that has been killed. One that the kernel does not let go
/// stays: nobody can end it, and this process has to go on.
fn bury(child: &mut Child) {
    let grace = Deadline::after(DEATH).despite_signals();
    while matches!(child.try_wait(), Ok(None)) && grace.remaining().is_ok() {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// One output of a program.
struct Ear {
    pipe: File,
    /// Whether all of it has been read.
    at_end: bool,
    said: Vec<u8>,
    /// How much of it is of interest.
    most: usize,
}

impl Ear {
    fn new(pipe: OwnedFd, most: usize) -> Result<Ear> {
        fcntl(&pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).context("preparing to read what it prints")?;
        Ok(Ear { pipe: pipe.into(), at_end: false, said: Vec::new(), most })
    }

    /// The pipe, unless its end has been read.
    fn open(&self) -> Option<BorrowedFd<'_>> {
        (!self.at_end).then(|| self.pipe.as_fd())
    }

    /// Reads what is there now, and no more than a pipe holds: whoever writes without end is not
    /// listened to without end. Keeps one byte more than is of interest.
    fn hear(&mut self) -> Result<()> {
        if !self.at_end {
            let heard = hear(&mut self.pipe, &mut self.said, self.most + 1);
            self.at_end = heard.context("reading what it printed")?;
        }
        Ok(())
    }
}

/// Whether it has come to the end of what is there to read.
fn hear(pipe: &mut impl Read, said: &mut Vec<u8>, most: usize) -> io::Result<bool> {
    let (mut buffer, mut heard) = ([0; 16_384], 0);
    while heard < LARGEST_PIPE {
        match pipe.read(&mut buffer) {
            Ok(0) => return Ok(true),
            Ok(length) => {
                heard += length;
                said.extend_from_slice(&buffer[..length.min(most.saturating_sub(said.len()))]);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn an_interrupted_read_is_made_again_and_most_is_kept() {
        struct Interrupted(bool, &'static [u8]);
        impl Read for Interrupted {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                match std::mem::replace(&mut self.0, false) {
                    true => Err(ErrorKind::Interrupted.into()),
                    false => self.1.read(buffer),
                }
            }
        }
        let mut said = Vec::new();
        assert!(hear(&mut Interrupted(true, b"word"), &mut said, 3).unwrap());
        assert_eq!(said, b"wor");
    }

    #[test]
    fn the_end_of_a_program_is_the_end_whoever_keeps_its_output() {
        let directory = std::env::temp_dir().join(format!("block-drbd-left-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let script = "(read x < go; echo $x > done) & echo said; exit 4";
        nix::unistd::mkfifo(&directory.join("go"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let command = ["sh", "-c", &format!("cd {}; {script}", directory.display())].map(String::from);
        let none = BTreeMap::new();
        let said = finish(&command, &none, Deadline::after(Duration::from_secs(20)), 100).unwrap();
        assert_eq!((said.status.code(), &said.output[..]), (Some(4), &b"said\n"[..]));
        // What it has left behind goes on.
        std::fs::write(directory.join("go"), "gone on\n").unwrap();
        let read = || std::fs::read_to_string(directory.join("done"));
        assert!(eventually(|| read().is_ok_and(|text| text == "gone on\n")));
        std::fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn without_a_pidfd_its_end_is_seen_all_the_same() {
        let mut child = Command::new("true").spawn().unwrap();
        let deadline = Deadline::after(Duration::from_secs(20));
        while child.try_wait().unwrap().is_none() {
            wait(&[None, None, None], false, deadline).unwrap();
        }
    }

    fn eventually(holds: impl Fn() -> bool) -> bool {
        let deadline = Deadline::after(Duration::from_secs(20));
        while !holds() && deadline.remaining().is_ok() {
            std::thread::sleep(Duration::from_millis(1));
        }
        holds()
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
        for (script, reason) in [
            ("sleep 60 & echo $! >&2; sleep 60", "it does not end: the time allowed for it is over"),
            ("sleep 60 & echo $! >&2; echo here; exec >&-; sleep 60", "it does not end"),
            ("sleep 60 & echo $! >&2; yes", "it printed more than 10 bytes"),
            ("sleep 60 & echo $! >&2; kill -9 $$", "signal: 9 (SIGKILL)"),
        ] {
            let directory = std::env::temp_dir();
            let file = directory.join(format!("block-drbd-started-{}", std::process::id()));
            let script = script.replace(">&2", &format!("> {}", file.display()));
            let command = ["sh", "-c", &script].map(String::from);
            let error = run(&command, Deadline::after(Duration::from_millis(500)), 10).unwrap_err();
            assert!(format!("{error:#}").contains(reason), "{script}: {error:#}");
            let started = std::fs::read_to_string(&file).unwrap();
            let about = format!("/proc/{}/stat", started.trim());
            let runs = || std::fs::read_to_string(&about).is_ok_and(|stat| !stat.contains(") Z "));
            assert!(eventually(|| !runs()), "{script}: {started} is still running");
            std::fs::remove_file(&file).unwrap();
        }
    }
}
