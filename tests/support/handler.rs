//! A machine on which DRBD calls handlers: programs of its own, a log, both binaries.

#![allow(dead_code, clippy::disallowed_methods, clippy::unwrap_used)]

use crate::machine::{BACKEND, Machine};
use crate::said::{Said, of};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

/// Longer than anything takes here, on a busy machine too.
pub const SOON: Duration = Duration::from_secs(60);

/// The program as it was built for this test, and the one that is shipped, where that is not older
/// than its source (`make test` builds it before).
pub fn binaries() -> Vec<PathBuf> {
    let shipped =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("target/x86_64-unknown-linux-gnu/release/block-drbd");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let fresh = fs::metadata(&shipped)
        .and_then(|shipped| shipped.modified())
        .is_ok_and(|built| newest(&source) < built);
    let built = PathBuf::from(env!("CARGO_BIN_EXE_block-drbd"));
    if fresh { vec![built, shipped] } else { vec![built] }
}

fn newest(directory: &Path) -> SystemTime {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap());
    let times = entries.map(|entry| match entry.file_type().unwrap().is_dir() {
        true => newest(&entry.path()),
        false => entry.metadata().unwrap().modified().unwrap(),
    });
    times.max().unwrap()
}

/// A machine with guest 5 on r0.
pub struct Node {
    pub machine: Machine,
    log: UnixDatagram,
}

impl Node {
    pub fn new(binary: &Path) -> Node {
        let mut machine = Machine::new();
        machine.binary = binary.to_owned();
        fs::create_dir_all(machine.path("dev")).unwrap();
        let log = UnixDatagram::bind(machine.path("dev/log")).unwrap();
        log.set_nonblocking(true).unwrap();
        machine
            .xenstored
            .set(&format!("{BACKEND}/physical-device"), &format!("7:{:x}", machine.device.minor));
        let node = Node { machine, log };
        node.program("usr/sbin/xl", "echo \"$*\" >> ROOT/xl.log");
        node
    }

    /// The same on every binary.
    pub fn each(test: impl Fn(Node)) {
        binaries().iter().for_each(|binary| test(Node::new(binary)));
    }

    /// A shell script below the root; ROOT in it is the root.
    pub fn program(&self, path: &str, script: &str) {
        self.machine.program(path, script);
    }

    pub fn settings(&self, text: &str) {
        self.machine.settings(text);
    }

    /// A call with nothing of DRBD in its environment.
    pub fn bare(&self, arguments: &[&str]) -> Command {
        let mut command = self.machine.command(arguments);
        command.env_remove("XENBUS_PATH").env_remove("script");
        command
    }

    /// A call of a handler as drbdadm makes it.
    pub fn command(&self, name: &str) -> Command {
        self.machine.handler(name)
    }

    #[track_caller]
    pub fn handler(&self, name: &str) -> Said {
        of(self.command(name).output().unwrap())
    }

    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> Said {
        of(self.machine.command(arguments).output().unwrap())
    }

    /// The lines of the system log since the last call, each without its head.
    pub fn logged(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut buffer = [0; 65536];
        loop {
            match self.log.recv(&mut buffer) {
                Ok(length) => {
                    let line = String::from_utf8(buffer[..length].to_vec()).unwrap();
                    assert!(!line.chars().any(char::is_control), "{line:?}");
                    lines.push(line.split_once("]: ").unwrap().1.to_string());
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return lines,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// The one line that a call has logged, with these words.
    #[track_caller]
    pub fn logged_with(&self, words: &str) {
        let lines = self.logged();
        assert!(lines.len() == 1 && lines[0].contains(words), "{words}: {lines:?}");
    }

    pub fn text(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.machine.path(path)).ok()
    }

    /// The text of a file, as soon as something that was left running has written it.
    #[track_caller]
    pub fn awaited(&self, path: &str, lines: usize) -> String {
        let started = Instant::now();
        loop {
            match self.text(path) {
                Some(text) if text.lines().count() >= lines => return text,
                other => assert!(started.elapsed() < SOON, "{path}: {other:?}"),
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn quarantine(&self) -> Option<serde_json::Value> {
        self.text("var/lib/block-drbd/quarantine/r0.json").map(|text| serde_json::from_str(&text).unwrap())
    }
}

/// Waits until the process of that number is no more.
#[track_caller]
pub fn is_ended(pid: &str) {
    let started = Instant::now();
    while lives(pid) {
        assert!(started.elapsed() < SOON, "{} lives on", pid.trim());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whether it is there and not only waited for.
fn lives(pid: &str) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    !status.is_empty() && !status.rsplit(')').next().unwrap().trim_start().starts_with('Z')
}
