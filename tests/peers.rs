//! Peers that are asked: `block-drbd check` at the root of a machine of its own, by
//! chroot(8), since no directory in place of a machine may run a program.

#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

#[path = "support/place.rs"]
mod place;
#[path = "support/recorded.rs"]
mod recorded;
#[path = "support/said.rs"]
mod said;
#[path = "support/sysfs.rs"]
mod sysfs;
#[path = "support/xenstored.rs"]
mod xenstored;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use place::Place;
use said::{Said, said};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use xenstored::Xenstored;

const KEPT: &str = "var/lib/block-drbd/peers/drbdvm.json";
const FACTS: &str = r#"["/busybox", "chroot", "/peer", "/block-drbd", "facts", "--json"]"#;

/// The host a of a healthy pair, with the other one's files below /peer.
struct Host {
    place: Place,
    _xenstored: Xenstored,
}

/// Copies a program. Another process does it: a child that another thread forks meanwhile would hold
/// the copy open for writing, and then it cannot be run (ETXTBSY, execve(2)).
fn copy(program: &str, to: &Path) {
    assert!(Command::new("cp").arg(program).arg(to).status().unwrap().success());
}

impl Host {
    fn new() -> Host {
        let place = Place::new();
        let root = place.path();
        let scenario = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/scenarios/drbd8.4-02-connected-secondary-secondary-uptodate");
        recorded::build(&scenario, "a", root);
        recorded::build(&scenario, "b", &root.join("peer"));
        copy(env!("CARGO_BIN_EXE_block-drbd"), &root.join("block-drbd"));
        copy(env!("CARGO_BIN_EXE_block-drbd"), &root.join("peer/block-drbd"));
        fs::write(root.join("proc/devices"), "Block devices:\n147 drbd\n").unwrap();
        // Static, so that it runs anywhere.
        copy("/bin/busybox", &root.join("busybox"));
        fs::create_dir(root.join("dev")).unwrap();
        fs::write(root.join("dev/null"), "").unwrap();
        let _xenstored = Xenstored::start(&root.join("run/xenstored/socket"));
        Host { place, _xenstored }
    }

    /// A host that asks b with this command.
    fn asking(command: &str) -> Host {
        let host = Host::new();
        host.ask_with(command);
        host
    }

    fn ask_with(&self, command: &str) {
        self.file("etc/xen/block-drbd.toml", &format!("[peers.b]\ncommand = {command}\n"));
    }

    fn file(&self, path: &str, text: &str) {
        let path = self.place.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn kept(&self) -> Option<String> {
        fs::read_to_string(self.place.path().join(KEPT)).ok()
    }

    fn command(&self) -> Command {
        let mut command = Command::new("chroot");
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").arg(self.place.path());
        command.args(["/block-drbd", "check", "drbdvm"]).stdin(Stdio::null());
        command
    }

    #[track_caller]
    fn check(&self) -> Said {
        said(&mut self.command())
    }
}

#[test]
fn a_peer_is_asked_and_its_answer_is_kept() {
    let host = Host::asking(FACTS);
    let asked = host.check();
    assert_eq!((asked.code, asked.err.as_str()), (0, ""), "{asked:?}");
    assert!(!asked.out.contains("peer-durability-unknown"), "{asked:?}");
    let kept = host.kept().unwrap();
    assert!(kept.contains(r#""peer":"b""#) && kept.contains("drbdvm"), "{kept}");
    fs::remove_file(host.place.path().join("etc/xen/block-drbd.toml")).unwrap();
    assert_eq!(host.check(), asked, "the kept answer serves where nobody is asked");
    fs::remove_file(host.place.path().join(KEPT)).unwrap();
    let unasked = host.check();
    assert!(unasked.code == 0 && unasked.out.contains("warn peer-durability-unknown"), "{unasked:?}");
    host.file("etc/xen/block-drbd.toml", "strict = true\n");
    let strict = host.check();
    assert!(strict.code == 3 && strict.out.contains("refuse peer-durability-unknown"), "{strict:?}");
}

#[test]
fn a_peer_that_cannot_be_asked_is_known_by_what_it_said_last() {
    let host = Host::new();
    let failing = [
        (r#"["/no-such-program"]"#, "/no-such-program"),
        (r#"["/busybox", "sh", "-c", "echo 'so\u001b[2Jrry' >&2; exit 3"]"#, "exit status: 3: so?[2Jrry"),
        (r#"["/busybox", "echo", "garbage"]"#, "not the output of block-drbd facts --json"),
        (r#"["/busybox", "true"]"#, "not the output of block-drbd facts --json"),
        (r#"["/busybox", "printf", "\\377"]"#, "not text"),
        (r#"["/busybox", "yes"]"#, "it printed more than"),
        (r#"["/block-drbd", "facts", "--json"]"#, r#"calls itself "a"; mend [peers.b] command"#),
        (
            r#"["/busybox", "sh", "-c", "/busybox chroot /peer /block-drbd facts --json | /busybox sed 's/\"version\": 1/\"version\": 2/'"]"#,
            "facts of version 2, this program knows versions 1 to 1",
        ),
    ];
    for (command, words) in failing {
        host.ask_with(command);
        let found = host.check();
        assert_eq!((found.code, found.err.lines().count()), (0, 1), "{command}: {found:?}");
        assert!(found.err.contains("b could not be asked: ") && found.err.contains(words), "{found:?}");
        assert!(found.out.contains("what b does to a flush is unknown: it has not been asked"), "{found:?}");
        assert_eq!(host.kept(), None, "{command}");
    }
    host.ask_with(FACTS);
    host.check();
    let kept = host.kept();
    for (command, _) in failing {
        host.ask_with(command);
        let found = host.check();
        assert_eq!((found.code, found.err.lines().count()), (0, 1), "{command}: {found:?}");
        assert!(!found.out.contains("peer-durability-unknown"), "{command}: {found:?}");
        assert_eq!(host.kept(), kept, "{command}");
    }
}

#[test]
fn a_peer_that_does_not_answer_goes_when_the_asking_goes() {
    let host = Host::asking(
        r#"["/busybox", "sh", "-c", "echo $$ >/new; /busybox mv /new /pid; while :; do :; done"]"#,
    );
    let child = host.command().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let limit = Instant::now() + Duration::from_secs(20);
    let pid = loop {
        match fs::read_to_string(host.place.path().join("pid")) {
            Ok(pid) => break pid.trim().to_string(),
            Err(_) => std::thread::yield_now(),
        }
        assert!(Instant::now() < limit, "the peer was not asked");
    };
    kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
    let found = said::of(child.wait_with_output().unwrap());
    assert!(found.err.contains("b could not be asked") && found.err.contains("signal 15"), "{found:?}");
    assert!(!Path::new("/proc").join(&pid).exists(), "{pid} goes on");
}

#[test]
fn a_peer_that_takes_its_time_has_not_answered_in_the_future() {
    let next_second = "now=$(/busybox date +%s); while [ $(/busybox date +%s) = $now ]; do :; done";
    let facts = "exec /busybox chroot /peer /block-drbd facts --json";
    let host = Host::asking(&format!(r#"["/busybox", "sh", "-c", "{next_second}; {facts}"]"#));
    let asked = host.check();
    assert_eq!((asked.code, asked.err.as_str()), (0, ""), "{asked:?}");
    assert!(!asked.out.contains("peer-durability-unknown"), "{asked:?}");
}

#[test]
fn a_kept_answer_that_cannot_be_understood_is_none() {
    let host = Host::asking(FACTS);
    host.check();
    let good = host.kept().unwrap();
    fs::remove_file(host.place.path().join("etc/xen/block-drbd.toml")).unwrap();
    let twice = |pointer: &str| {
        let mut answers: serde_json::Value = serde_json::from_str(&good).unwrap();
        let list = answers.pointer_mut(pointer).unwrap().as_array_mut().unwrap();
        list.push(list[0].clone());
        answers.to_string()
    };
    for text in [
        "",
        "{}",
        "[1]",
        "\u{0}\u{1b}[2J",
        &good[..good.len() / 2],
        &good.replacen("\"version\":1", "\"version\":2", 1),
        &good.replacen("\"version\":1", "\"version\":0", 1),
        &twice("/0/facts/resources/is"),
        &twice("/0/facts/resources/is/0/volumes"),
        &"[".repeat(1 << 16),
    ] {
        host.file(KEPT, text);
        let found = host.check();
        assert!(found.code == 0 && found.out.contains("warn peer-durability-unknown"), "{found:?}");
        assert!(found.out.contains(&format!("/{KEPT}")), "{found:?}");
    }
    host.ask_with(FACTS);
    assert_eq!(host.check().code, 0);
    // Asked at another second, it is the same otherwise.
    let kept = host.kept().unwrap();
    assert!(kept.len() == good.len() && !host.check().out.contains("peer-durability-unknown"), "{kept}");
}

#[test]
fn a_directory_in_place_of_a_machine_runs_no_program() {
    let host = Host::new();
    let marker = host.place.path().join("was-run");
    let command = format!(r#"["touch", {:?}]"#, marker.to_str().unwrap());
    host.ask_with(&command);
    for root in [host.place.path().to_owned(), host.place.path().join(".")] {
        let mut check = Command::new(env!("CARGO_BIN_EXE_block-drbd"));
        let found = said(check.arg("--sysroot").arg(root).args(["check", "drbdvm", "--all"]));
        assert_eq!((found.code, found.err.as_str()), (0, ""), "{found:?}");
        assert!(!marker.exists() && found.out.contains("it has not been asked"), "{found:?}");
        assert_eq!(host.kept(), None);
    }
}
