//! What the caller leaves behind in the process: descriptors, ignored and blocked signals, limits, a
//! umask, closed outputs. None of it changes an answer, and none of it is handed on.

#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

#[path = "support/drbd_kernel.rs"]
mod drbd_kernel;
#[path = "support/handler.rs"]
mod handler;
#[path = "support/machine.rs"]
mod machine;
#[path = "support/place.rs"]
mod place;
#[path = "support/said.rs"]
mod said;
#[path = "support/xenstored.rs"]
mod xenstored;

use handler::Node;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, kill, sigaction};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Pid, mkfifo};
use place::Place;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::Command;

const METHODS: &str = "methods = [{ method = \"program\", command = [\"/opt/fence\"] }]\n";

/// A node with this program as its only way to fence.
fn fenced_by(node: &Node, script: &str) {
    node.settings(&format!("[fencing]\n{METHODS}"));
    node.program("opt/fence", script);
}

/// The command, with this done in its process before the program begins.
fn prepared(mut command: Command, before: impl FnMut() -> io::Result<()> + Send + Sync + 'static) -> Command {
    // SAFETY: between fork and exec each closure of this file only makes system calls.
    unsafe { command.pre_exec(before) };
    command
}

/// The command, with one more descriptor that execve(2) does not close.
fn with_descriptor(command: Command, file: &impl AsRawFd) -> Command {
    let descriptor = file.as_raw_fd();
    prepared(command, move || {
        // SAFETY: dup takes an integer.
        match unsafe { libc::dup(descriptor) } {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        }
    })
}

#[test]
fn no_descriptor_of_the_caller_reaches_a_program() {
    Node::each(|node| {
        fenced_by(&node, "readlink /proc/$$/fd/* > ROOT/open; exit 4");
        let secret = node.machine.path("secret");
        let file = File::create(&secret).unwrap();
        let output = with_descriptor(node.command("fence-peer"), &file).output().unwrap();
        assert_eq!(output.status.code(), Some(4), "{output:?}");
        let open = node.text("open").unwrap();
        assert!(open.contains("pipe:") && !open.contains("secret"), "{open}");
    });
}

#[test]
fn what_goes_on_alone_keeps_no_pipe_of_the_caller() {
    Node::each(|node| {
        node.settings("[handlers]\nnotify = [\"/opt/notify\"]\n");
        mkfifo(&node.machine.path("go"), Mode::S_IRWXU).unwrap();
        node.program("opt/notify", "echo begun > ROOT/begun; read word < ROOT/go; echo $word > ROOT/ended");
        let (mut reader, writer) = io::pipe().unwrap();
        let output = with_descriptor(node.command("local-io-error"), &writer).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        node.awaited("begun", 1);
        drop(writer);
        // It ends although the program that was left is still there.
        assert_eq!(reader.read(&mut [0]).unwrap(), 0);
        File::options().write(true).open(node.machine.path("go")).unwrap().write_all(b"still\n").unwrap();
        assert_eq!(node.awaited("ended", 1), "still\n");
    });
}

#[test]
fn a_caller_that_ignores_sigchld_gets_the_answer() {
    Node::each(|node| {
        fenced_by(&node, "exit 4");
        let command = prepared(node.command("fence-peer"), || {
            let ignored = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
            // SAFETY: no handler is installed.
            unsafe { sigaction(Signal::SIGCHLD, &ignored) }?;
            Ok(())
        });
        let said = said::of({ command }.output().unwrap());
        assert_eq!(said.code, 4, "{said:?}");
    });
}

#[test]
fn a_limit_on_the_size_of_files_is_an_error_like_another() {
    Node::each(|node| {
        let add =
            || prepared(node.machine.command(&["add"]), || Ok(setrlimit(Resource::RLIMIT_FSIZE, 0, 0)?));
        let said = said::of(add().output().unwrap());
        assert!(said.code == 4 && said.err.contains("File too large"), "{said:?}");
        assert_eq!((node.machine.role(), node.machine.claim()), (2, None));
        // A program that is started has it at its default.
        fenced_by(&node, "grep SigIgn: /proc/$$/status > ROOT/ignored; exit 4");
        let said = node.handler("fence-peer");
        let ignored = node.text("ignored").unwrap();
        let ignored = u64::from_str_radix(ignored.trim_start_matches("SigIgn:").trim(), 16).unwrap();
        assert_eq!(ignored & (1 << (libc::SIGXFSZ - 1)), 0, "{said:?}");
    });
}

#[test]
fn a_blocked_signal_asks_to_stop_all_the_same() {
    Node::each(|node| {
        fenced_by(&node, "echo $$ > ROOT/begun; exec sleep 600");
        let block = || Ok(SigSet::from(Signal::SIGTERM).thread_block()?);
        let child = prepared(node.command("fence-peer"), block).spawn().unwrap();
        let program = node.awaited("begun", 1);
        kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM).unwrap();
        let said = said::of(child.wait_with_output().unwrap());
        assert!(said.code == 1 && said.err.contains("signal 15"), "{said:?}");
        handler::is_ended(&program);
    });
}

#[test]
fn no_umask_lets_the_world_write() {
    Node::each(|node| {
        for (callers, programs) in [(0, "0022"), (0o027, "0027"), (0o777, "0777")] {
            fenced_by(&node, &format!("[ $(umask) = {programs} ] && exit 4; exit 1"));
            let command = prepared(node.command("fence-peer"), move || {
                umask(Mode::from_bits_truncate(callers));
                Ok(())
            });
            let said = said::of({ command }.output().unwrap());
            assert_eq!(said.code, 4, "{callers:o}: {said:?}");
        }
    });
}

#[test]
fn without_outputs_and_without_dev_null_there_is_an_answer() {
    for binary in handler::binaries() {
        let place = Place::new();
        fs::copy(&binary, place.path().join("block-drbd")).unwrap();
        let root = place.path().to_owned();
        let mut command = Command::new("/block-drbd");
        command.args(["handler", "fence-peer"]).env_clear().env("DRBD_RESOURCE", "r0");
        let mut command = prepared(command, move || {
            nix::unistd::chroot(&root)?;
            for descriptor in 0..=2 {
                // SAFETY: close takes an integer, and nothing in this process uses 0 to 2 any more.
                unsafe { libc::close(descriptor) };
            }
            Ok(())
        });
        let status = command.status().unwrap();
        assert_eq!((status.code(), status.signal()), (Some(1), None), "{}", binary.display());
    }
}

#[test]
fn no_time_is_longer_than_a_week() {
    Node::each(|node| {
        let most = u64::MAX.to_string();
        for (arguments, option) in [
            (&["release", "r0", "--wait", &most][..], "--wait"),
            (&["release", "r0", "--wait", "604801"], "--wait"),
            (&["detached", "--what", "x", "--seconds", &most, "--", "true"], "--seconds"),
        ] {
            let said = node.run(arguments);
            said.is_wrong(option);
            said.is_wrong("is not in 0..=604800");
        }
        assert_eq!(node.run(&["release", "r0", "--wait", "604800"]).code, 0);
    });
}
