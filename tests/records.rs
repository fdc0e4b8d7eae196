//! What an add leaves for those who ask later: the trial of the flush, and the log.

#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

#[path = "support/drbd_kernel.rs"]
mod drbd_kernel;
#[path = "support/machine.rs"]
mod machine;
#[path = "support/place.rs"]
mod place;
#[path = "support/said.rs"]
mod said;
#[path = "support/xenstored.rs"]
mod xenstored;

use machine::{BACKEND, Machine};
use said::{Said, said};
use serde_json::{Value, json};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant, SystemTime};

fn run(machine: &Machine, arguments: &[&str]) -> Said {
    said(&mut machine.command(arguments))
}

/// The guest has gone, so that it can come again.
fn remove(machine: &Machine) {
    assert_eq!(run(machine, &["remove"]).code, 0);
    machine.xenstored.remove(&format!("{BACKEND}/physical-device"));
}

/// The system log of the machine.
struct Log(UnixDatagram);

impl Log {
    fn new(machine: &Machine) -> Log {
        fs::create_dir_all(machine.path("dev")).unwrap();
        let socket = UnixDatagram::bind(machine.path("dev/log")).unwrap();
        socket.set_nonblocking(true).unwrap();
        Log(socket)
    }

    /// The lines since the last call, each without its head.
    fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut buffer = [0; 65536];
        loop {
            match self.0.recv(&mut buffer) {
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

    /// Those about a rule.
    fn about(&self, rule: &str) -> Vec<String> {
        let rule = format!(" rule={rule} ");
        self.lines().into_iter().filter(|line| line.contains(&rule)).collect()
    }
}

#[test]
fn the_flush_is_recorded_and_shown() {
    let machine = Machine::new();
    let minor = machine.device.minor;
    let path = machine.path(&format!("run/block-drbd/flushes/r0.{minor}.json"));
    let status = || {
        let found = run(&machine, &["status"]);
        assert_eq!(found.code, 0, "{found:?}");
        assert!(found.out.lines().next().unwrap().contains("FLUSHED"), "{found:?}");
        found.out.lines().nth(1).unwrap().to_string()
    };
    assert!(status().contains(" never "), "{}", status());
    assert_eq!(run(&machine, &["add"]).code, 0);
    let probe: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    assert!(probe["result"]["Ok"].is_u64(), "{probe}");
    assert!(status().contains(" s ago "), "{}", status());
    remove(&machine);
    assert_eq!(run(&machine, &["check", "r0"]).code, 0);

    let node = machine.path(&format!("dev/drbd{minor}"));
    let hidden = machine.path("dev/hidden");
    fs::rename(&node, &hidden).unwrap();
    let add = run(&machine, &["add"]);
    assert!(add.code == 4 && add.err.contains("[flush-probe]"), "{add:?}");
    assert!(status().contains(" failed "), "{}", status());
    let check = run(&machine, &["check", "r0"]);
    assert!(check.code == 1 && check.out.contains("[flush-probe]"), "{check:?}");
    assert_eq!(run(&machine, &["check", "r0"]).code, 1, "and it stays so");
    fs::rename(&hidden, &node).unwrap();
    assert_eq!(run(&machine, &["add"]).code, 0, "an add tries anew");
    remove(&machine);
    assert_eq!(run(&machine, &["check", "r0"]).code, 0);
}

#[test]
fn a_record_of_a_flush_that_cannot_be_understood_is_unknown() {
    let machine = Machine::new();
    let path = format!("run/block-drbd/flushes/r0.{}.json", machine.device.minor);
    assert_eq!(run(&machine, &["add"]).code, 0);
    remove(&machine);
    let good = fs::read_to_string(machine.path(&path)).unwrap();
    for text in
        ["", "[]", "\u{0}\u{1b}[2J", &good[..good.len() / 2], &good.replace("\"version\":1", "\"version\":2")]
    {
        machine.file(&path, text);
        let found = run(&machine, &["check", "r0"]);
        assert_eq!(found.code, 3, "{found:?}");
        assert!(found.out.contains("[flush-probe]") && found.out.contains(&path), "{found:?}");
        let found = run(&machine, &["status"]);
        assert!(found.code == 1 && found.out.contains(&format!("needs you: /{path} ")), "{found:?}");
        assert!(found.out.contains(&format!("  do: run: rm /{path}, ")), "{found:?}");
    }
    assert_eq!(run(&machine, &["add"]).code, 0, "it replaces what it does not need");
    remove(&machine);
    assert_eq!(run(&machine, &["check", "r0"]).code, 0);
}

#[test]
fn every_warning_is_logged_at_every_add() {
    let machine = Machine::new();
    let log = Log::new(&machine);
    let settings =
        "[rules]\nmd-flushes-off = { severity = \"warn\", reason = \"battery, checked in\\u001b May\" }\n";
    machine.file("etc/xen/block-drbd.toml", settings);
    machine.drbd.with(|model| model.resources[0].volumes[0].flags.insert(19, false));
    for _ in 0..2 {
        assert_eq!(run(&machine, &["add"]).code, 0);
        let lines = log.about("md-flushes-off");
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].starts_with("resource=r0 rule=md-flushes-off severity=warn node=a: "), "{lines:?}");
        assert!(lines[0].ends_with(" (lowered: battery, checked in? May)"), "{lines:?}");
        remove(&machine);
        let lines = log.lines();
        assert_eq!(lines.len(), 1, "a remove tells of itself alone: {lines:?}");
    }
    machine.drbd.with(|model| model.resources[0].volumes[0].peer_role = 1);
    machine.file("etc/xen/block-drbd.toml", &format!("healing-seconds = 0\n{settings}"));
    assert_eq!(run(&machine, &["add"]).code, 1);
    assert_eq!(log.about("md-flushes-off").len(), 1, "a refusal hides no warning");
}

#[test]
fn the_reason_for_a_start_without_the_peer_is_logged_each_time() {
    let machine = Machine::new();
    let log = Log::new(&machine);
    let opt_in =
        "[resources.r0.rules]\npeer-unfenced = { severity = \"warn\", reason = \"b is in the workshop\" }\n";
    machine.file("etc/xen/block-drbd.toml", opt_in);
    machine.drbd.with(|model| model.resources[0].volumes[0].lose_peer());
    assert_eq!(run(&machine, &["add"]).code, 0);
    let lines = log.about("peer-unfenced");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].starts_with("resource=r0 rule=peer-unfenced severity=warn: "), "{lines:?}");
    assert!(lines[0].ends_with(" (lowered: b is in the workshop)"), "{lines:?}");
    machine
        .file("etc/xen/block-drbd.toml", &format!("connecting-seconds = 0\n{}", opt_in.replace("r0", "r1")));
    remove(&machine);
    std::fs::remove_dir_all(machine.path("run/block-drbd/lone")).unwrap();
    assert_eq!(run(&machine, &["add"]).code, 1, "the settings of another resource say nothing");
    machine.file("etc/xen/block-drbd.toml", &opt_in.replace("resources.r0.rules", "rules"));
    assert_eq!(run(&machine, &["add"]).code, 2, "nor do those of all");
}

#[test]
fn an_add_uses_what_the_peer_said_last() {
    let machine = Machine::new();
    let log = Log::new(&machine);
    let facts: Value = serde_json::from_str(&run(&machine, &["facts", "--json"]).out).unwrap();
    let peer = &facts["resources"]["is"][0]["connections"][0]["peer"];
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let kept = |at: u64, facts: &Value| {
        let answer = json!([{ "peer": "b", "connections": [peer], "at": at, "facts": facts }]);
        machine.file("var/lib/block-drbd/peers/r0.json", &answer.to_string());
    };
    let warned = || {
        assert_eq!(run(&machine, &["add"]).code, 0);
        let lines = log.about("peer-durability-unknown");
        remove(&machine);
        log.lines();
        lines
    };
    let lines = warned();
    assert!(lines.len() == 1 && lines[0].contains("it has not been asked"), "{lines:?}");
    kept(now, &facts);
    assert_eq!(warned(), Vec::<String>::new());
    kept(now - 9 * 86_400, &facts);
    let lines = warned();
    assert!(lines.len() == 1 && lines[0].contains("its last answer is 9 days old"), "{lines:?}");
    let mut weak = facts.clone();
    weak["resources"]["is"][0]["volumes"][0]["options"]["is"]["md-flushes"] = false.into();
    kept(now, &weak);
    let refused = run(&machine, &["add"]);
    assert!(refused.code == 1 && refused.err.contains("[md-flushes-off]"), "{refused:?}");
    for text in ["[", "[{\"peer\":1}]", "\u{1b}"] {
        machine.file("var/lib/block-drbd/peers/r0.json", text);
        log.lines();
        let lines = warned();
        assert!(lines.len() == 1 && lines[0].contains("/var/lib/block-drbd/peers/r0.json"), "{lines:?}");
    }
    machine.file("etc/xen/block-drbd.toml", "strict = true\n");
    let strict = run(&machine, &["add"]);
    assert!(strict.code == 3 && strict.err.contains("[peer-durability-unknown]"), "{strict:?}");
    kept(now, &facts);
    assert_eq!(run(&machine, &["add"]).code, 0);
}

#[test]
fn a_log_that_nobody_reads_keeps_no_guest_waiting() {
    let machine = Machine::new();
    let log = Log::new(&machine);
    let fill = UnixDatagram::unbound().unwrap();
    fill.set_nonblocking(true).unwrap();
    fill.connect(machine.path("dev/log")).unwrap();
    while fill.send(b"x").is_ok() {}
    let started = Instant::now();
    assert_eq!(run(&machine, &["add"]).code, 0);
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    drop(log);
}

/// The guest has run on b alone and ended there; the link is still cut. A start of r0 here would go back to
/// data from before.
#[test]
fn an_add_does_not_start_on_older_data_than_the_peer_has_told_of() {
    let machine = Machine::new();
    let log = Log::new(&machine);
    machine.settings("connecting-seconds = 0\n");
    // A handler that lets DRBD promote: the rule must not rely on it.
    machine.drbd.with(|model| (model.resources[0].fencing, model.resources[0].fences) = (1, true));
    let mut facts: Value = serde_json::from_str(&run(&machine, &["facts", "--json"]).out).unwrap();
    let peer = facts["resources"]["is"][0]["connections"][0]["peer"].clone();
    let here = facts["resources"]["is"][0]["volumes"][0]["generations"]["is"]["current-uuid"].clone();
    facts["resources"]["is"][0]["volumes"][0]["generations"] =
        json!({ "is": { "current-uuid": "B0B0000000000002", "bitmap-uuid": here, "disk-flags": 0 } });
    let answer = json!([{ "peer": "b", "connections": [peer], "at": 1_000_000_000, "facts": facts }]);
    machine.file("var/lib/block-drbd/peers/r0.json", &answer.to_string());
    machine.volume(drbd_kernel::Volume::lose_peer);
    let refused = run(&machine, &["add"]);
    assert!(refused.code == 1 && refused.err.contains("b has newer data of r0 volume 0"), "{refused:?}");
    for words in ["[peer-newer]", "as it said at 2001-09-09", "start the guest on b", "block-drbd check r0"] {
        assert!(refused.err.contains(words), "{words}: {refused:?}");
    }
    assert!(machine.drbd.log().is_empty(), "no role was asked for");
    let check = run(&machine, &["check", "r0"]);
    assert!(check.code == 1 && check.out.contains("refuse peer-newer: "), "{check:?}");

    // A resync has given this node the peer's data; the answer is as old as before.
    machine.volume(|volume| volume.current_uuid = 0xB0B0_0000_0000_0002);
    log.lines();
    assert_eq!(run(&machine, &["add"]).code, 0);
    assert_eq!(log.about("peer-newer"), Vec::<String>::new());
}
