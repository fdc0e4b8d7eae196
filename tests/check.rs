//! The dry run through the real binary: its exit codes, its JSON, and that it says
//! what an add then does, and changes nothing.

#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

#[path = "support/drbd_kernel.rs"]
mod drbd_kernel;
#[path = "support/machine.rs"]
mod machine;
#[path = "support/place.rs"]
mod place;
#[path = "support/said.rs"]
mod said;
#[path = "support/shape.rs"]
mod shape;
#[path = "support/xenstored.rs"]
mod xenstored;

use drbd_kernel::{Model, Resource};
use machine::{BACKEND, Machine};
use nix::pty::openpty;
use said::{Said, said};
use serde_json::Value;
use shape::has_the_shape_of;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

const ESCAPE: &str = "\u{1b}[2J\u{7f}\u{9b}31m\n";

fn run(machine: &Machine, arguments: &[&str]) -> Said {
    said(&mut machine.command(arguments))
}

fn json(said: &Said) -> Value {
    serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"))
}

/// The rules that refuse.
fn refusing(document: &Value) -> BTreeSet<String> {
    let findings = document["subjects"][0]["findings"].as_array().unwrap();
    let refusing = findings.iter().filter(|finding| finding["severity"] == "refuse");
    refusing.map(|finding| finding["rule"].as_str().unwrap().to_string()).collect()
}

/// The rules of `… [first]; …; also: second, third`.
fn named(sentence: &str) -> BTreeSet<String> {
    let first = sentence.split_once('[').and_then(|(_, rest)| rest.split_once(']')).map(|(rule, _)| rule);
    let others = sentence.split_once("; also: ").map_or("", |(_, others)| others.trim());
    first.into_iter().chain(others.split(", ").filter(|rule| !rule.is_empty())).map(String::from).collect()
}

/// Everything below a directory: kind, permissions, time of the last change and content.
fn snapshot(root: &Path, found: &mut BTreeMap<PathBuf, (u32, i64, i64, Vec<u8>)>) {
    for entry in fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        let metadata = fs::symlink_metadata(&path).unwrap();
        let content = if metadata.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        found.insert(path.clone(), (metadata.mode(), metadata.mtime(), metadata.mtime_nsec(), content));
        if metadata.is_dir() {
            snapshot(&path, found);
        }
    }
}

/// A flag of DISK_CONF is off: 17 disk-flushes, 19 md-flushes (drbd_genl.h).
fn off(model: &mut Model, flag: u16) {
    model.resources[0].volumes[0].flags.insert(flag, false);
}

fn everything(machine: &Machine) -> BTreeMap<PathBuf, (u32, i64, i64, Vec<u8>)> {
    let mut found = BTreeMap::new();
    snapshot(&machine.path(""), &mut found);
    found
}

#[test]
fn a_dry_run_says_what_an_add_then_does_and_changes_nothing() {
    let machine = Machine::new();
    machine.file("etc/xen/block-drbd.toml", "healing-seconds = 0\n");
    let minor = machine.device.minor;
    type Change<'a> = &'a dyn Fn(&mut Model);
    let swaps = machine.path("proc/swaps");
    let cases: [(Change, &str, i32); 12] = [
        (&|_| (), "", 0),
        (&|model| model.resources[0].volumes[0].peer_role = 1, "peer-primary", 1),
        (&|model| model.resources[0].volumes[0].disk = 4, "disk-state", 1),
        (&|model| model.resources[0].volumes[0].conn = 0, "standalone", 1),
        (&|model| model.resources[0].write_ordering = 0, "write-order-none", 1),
        (&|model| model.resources[0].write_ordering = 1, "write-order-downgraded", 1),
        (&|model| off(model, 17), "", 0),
        (&|model| off(model, 19), "md-flushes-off", 1),
        (&|model| model.resources[0].protocol = 1, "protocol", 1),
        (&|model| model.resources[0].suspended[0] = true, "io-suspended", 1),
        (&|model| model.resources.clear(), "resource-unknown", 1),
        (&|_| fs::remove_file(&swaps).unwrap(), "swap", 3),
    ];
    for (number, (change, rule, code)) in cases.iter().enumerate() {
        machine.drbd.with(|model| {
            model.resources = vec![Resource::healthy("r0", &[minor])];
            change(model);
        });
        let (before, asked) = (everything(&machine), machine.drbd.log().len());
        let check = run(&machine, &["check", "r0", "--json"]);
        assert_eq!(everything(&machine), before, "case {number}: a dry run changes nothing");
        assert_eq!(machine.drbd.log().len(), asked, "case {number}: a dry run asks for no role");
        assert_eq!(check.code, *code, "case {number}: {check:?}");
        let rules = refusing(&json(&check));
        assert!(rule.is_empty() || rules.contains(*rule), "case {number}: {rule}: {check:?}");
        let add = run(&machine, &["add"]);
        assert_eq!(add.code, check.code, "case {number}: {add:?}");
        assert_eq!(named(&add.err), rules, "case {number}: {add:?}");
        assert_eq!(run(&machine, &["remove"]).code, 0);
        machine.xenstored.remove(&format!("{BACKEND}/physical-device"));
    }
}

#[test]
fn exit_codes() {
    let machine = Machine::new();
    for (arguments, code) in [
        (&["check", "r0"][..], 0),
        (&["check", "--all"], 0),
        (&["check", "r1"], 1),
        (&["check", "r0", "r1"], 1),
        (&["facts"], 0),
        (&["facts", "r0", "--json"], 0),
        (&["facts", "r1"], 2),
        (&["rules"], 0),
        (&["rules", "peer-primary"], 0),
        (&["--help"], 0),
        (&["--version"], 0),
    ] {
        let found = run(&machine, arguments);
        assert_eq!(found.code, code, "{arguments:?}: {found:?}");
        assert_eq!(found.out.is_empty(), code == 2, "{arguments:?}: {found:?}");
    }
    machine.drbd.with(|model| model.faults.insert(30, drbd_kernel::Fault::Errno(5)));
    for arguments in [&["check", "r0"][..], &["check", "--all"], &["facts"], &["facts", "--json"]] {
        assert_eq!(run(&machine, arguments).code, 3, "{arguments:?}");
    }
}

#[test]
fn wrong_calls_are_answered_on_one_line() {
    let machine = Machine::new();
    let hostile = format!("r0{ESCAPE}");
    let option = format!("--{ESCAPE}");
    for (arguments, words) in [
        (&["check"][..], "required"),
        (&["check", "--nope"], "--nope"),
        (&["check", &option], "unexpected argument"),
        (&["check", "all"], "every resource"),
        (&["check", "r0;reboot"], "only letters"),
        (&["check", &hostile], "only letters"),
        (&["check", "r0/1/2"], "r0/1/2"),
        (&["check", "../r0"], "r0"),
        (&["check", ".."], ".."),
        (&["check", ""], "names no resource"),
        (&["check", "/etc/missing.cfg"], "/etc/missing.cfg"),
        (&["check", "r0", "--peer-facts"], "--peer-facts"),
        (&["facts", "all"], "every resource"),
        (&["facts", &hostile], "only letters"),
        (&["rules", "no-such-rule"], "there is no rule no-such-rule"),
        (&["rules", &hostile], "there is no rule"),
        (&["rules", "--config", "/etc/missing.toml"], "/etc/missing.toml does not exist"),
        (&["check", "r0", "--config", "/proc"], "/proc: it is not a regular file"),
        (&["frobnicate"], "unrecognized subcommand"),
        (&[&hostile], "unrecognized subcommand"),
        (&[], "requires a subcommand"),
    ] {
        run(&machine, arguments).is_wrong(words);
    }
    said(machine.command(&["check"]).arg(OsStr::from_bytes(b"r\xff\x1b"))).is_wrong("UTF-8");
}

#[test]
fn what_a_peer_said_comes_back_by_a_file_or_a_pipe() {
    let machine = Machine::new();
    let facts = run(&machine, &["facts", "--json"]);
    machine.file("facts.json", &facts.out);
    let file = machine.path("facts.json");
    let check = run(&machine, &["check", "r0", "--json", "--peer-facts", file.to_str().unwrap()]);
    assert_eq!((check.code, &check.err), (0, &String::new()), "{check:?}");
    assert!(!check.out.contains("peer-durability-unknown"), "{check:?}");
    assert!(run(&machine, &["check", "r0", "--json"]).out.contains("peer-durability-unknown"));
    let mut piped = machine.command(&["check", "r0", "--json", "--peer-facts", "/dev/stdin"]);
    let mut child = piped.stdin(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), facts.out.as_bytes()).unwrap();
    assert_eq!(said::of(child.wait_with_output().unwrap()), check);
}

/// What a peer has said is as good as if it had said all of it.
#[track_caller]
fn is_understood(machine: &Machine, facts: &serde_json::Value) {
    machine.file("facts.json", &facts.to_string());
    let file = machine.path("facts.json");
    let check = run(machine, &["check", "r0", "--json", "--peer-facts", file.to_str().unwrap()]);
    assert_eq!((check.code, &check.err), (0, &String::new()), "{check:?}");
    assert!(!check.out.contains("peer-durability-unknown"), "{check:?}");
}

/// Fields are only ever added: a peer of an older version does not tell them.
#[test]
fn what_an_older_peer_does_not_tell_is_unknown() {
    let machine = Machine::new();
    let mut facts = json(&run(&machine, &["facts", "--json"]));
    let resource = &mut facts["resources"]["is"][0];
    resource.as_object_mut().unwrap().remove("needs_quorum").unwrap();
    for name in ["quorum", "generations"] {
        resource["volumes"][0].as_object_mut().unwrap().remove(name).unwrap();
    }
    let peer_volume = &mut resource["connections"][0]["peer_volumes"][0];
    assert!(peer_volume.as_object_mut().unwrap().remove("role").is_some());
    assert!(facts["devices"]["vda"].as_object_mut().unwrap().remove("number").is_some());
    is_understood(&machine, &facts);
}

#[test]
fn what_an_older_program_said_is_understood() {
    let machine = Machine::new();
    let mut facts = json(&run(&machine, &["facts", "--json"]));
    assert!(facts["node"].as_object_mut().unwrap().remove("usermode_helper_kind").is_some());
    let resource = facts["resources"]["is"][0].as_object_mut().unwrap();
    assert!(resource.remove("handlers").is_some() && resource.remove("users").is_some());
    is_understood(&machine, &facts);
}

#[test]
fn what_no_peer_said_is_refused() {
    let machine = Machine::new();
    let facts = run(&machine, &["facts", "--json"]).out;
    let file = machine.path("facts.json");
    let name = file.to_str().unwrap();
    let arguments = ["check", "r0", "--peer-facts", name];
    run(&machine, &arguments).is_wrong("facts.json");
    let deep = "[".repeat(1 << 20);
    let closed = "]".repeat(1 << 20);
    let nested = facts.replacen("\"at\"", &format!("\"resources\":{{\"is\":{deep}{closed}}},\"at\""), 1);
    for (bytes, words) in [
        (&b""[..], "not the output of block-drbd facts --json"),
        (&facts.as_bytes()[..facts.len() / 2], "not the output of block-drbd facts --json"),
        (facts.replacen("\"version\": 1", "\"version\": 2", 1).as_bytes(), "version 2"),
        (b"{\"version\":7}", "version 7"),
        (b"\xff\xfe\x00\x1b[2J", "not UTF-8"),
        (b"{\"\x1b[2J\":1}", "not the output"),
        (deep.as_bytes(), "not the output"),
        (nested.as_bytes(), "not the output"),
    ] {
        fs::write(&file, bytes).unwrap();
        run(&machine, &arguments).is_wrong(words);
    }
    File::create(&file).unwrap().set_len((16 << 20) + 1).unwrap();
    run(&machine, &arguments).is_wrong("larger than 16 MiB");
    run(&machine, &["check", "r0", "--peer-facts", "/dev/zero"]).is_wrong("larger than 16 MiB");
    run(&machine, &["check", "r0", "--peer-facts", "/"]).is_wrong("Is a directory");
}

#[test]
fn the_json_is_a_promise() {
    let machine = Machine::new();
    let rules = "[rules]\nmd-flushes-off = { severity = \"warn\", reason = \"battery\" }\n";
    machine.file("etc/xen/block-drbd.toml", rules);
    let handlers = "split-brain /usr/lib/drbd/notify.sh; before-resync-target \"$SNAPSHOT\";";
    machine.file("etc/drbd.conf", &format!("resource r0 {{ handlers {{ {handlers} }} }}\n"));
    machine.file("usr/lib/drbd/notify.sh", "");
    machine.file("sys/module/drbd/parameters/usermode_helper", "/sbin/drbdadm\n");
    machine.file("sbin/drbdadm", "");
    machine.drbd.with(|model| {
        off(model, 19);
        model.resources[0].volumes[0].peer_role = 1;
    });
    machine.guest(9, 51712, "r0");
    let device = format!("7:{:x}", machine.device.minor);
    machine.xenstored.set("/local/domain/0/backend/vbd/9/51712/physical-device", &device);
    has_the_shape_of(&json(&run(&machine, &["facts", "--json"])), "facts.json");
    has_the_shape_of(&json(&run(&machine, &["check", "r0", "--json"])), "check.json");
}

#[test]
fn nothing_that_others_have_named_steers_a_terminal() {
    let machine = Machine::new();
    let settings = r#"rules.md-flushes-off = { severity = "warn", reason = "a\u001b[2Jb" }"#;
    machine.file("etc/xen/block-drbd.toml", settings);
    machine.file("proc/sys/kernel/hostname", ESCAPE);
    machine.file("proc/sys/kernel/osrelease", ESCAPE);
    machine.file(
        "etc/xen/bad.cfg",
        "name = 'a\u{1b}[2Jb\u{9b}'\ndisk = ['\u{1b}[2J,xvda,w', 'script=block-drbd,vdev=xvda,target=r0']\n",
    );
    machine.drbd.with(|model| {
        off(model, 19);
        model.resources[0].volumes[0].backing = format!("/dev/{ESCAPE}");
    });
    machine.guest(9, 51712, "r0");
    machine.xenstored.set("/local/domain/9/name", ESCAPE);
    let device = format!("7:{:x}", machine.device.minor);
    machine.xenstored.set("/local/domain/0/backend/vbd/9/51712/physical-device", &device);
    for arguments in [
        &["check", "r0"][..],
        &["check", "r0", "--json"],
        &["check", "--all"],
        &["check", "/etc/xen/bad.cfg"],
        &["facts"],
        &["facts", "--json"],
        &["rules"],
        &["rules", "md-flushes-off"],
        &["status"],
        &["add"],
    ] {
        let found = run(&machine, arguments);
        assert!(!(found.out + &found.err).is_empty(), "{arguments:?}");
    }
}

#[test]
fn colour_is_for_terminals() {
    let machine = Machine::new();
    let plain = run(&machine, &["check", "r0"]);
    assert!(plain.out.starts_with("allowed: r0"), "{plain:?}");
    let terminal = openpty(None, None).unwrap();
    let mut command = machine.command(&["check", "r0"]);
    let mut child = command.stdout(terminal.slave).spawn().unwrap();
    // The command's own copies are closed with it: the end is seen once the program's is.
    drop(command);
    let mut text = Vec::new();
    // A terminal without another side ends with EIO.
    let _ = File::from(terminal.master).read_to_end(&mut text);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let text = String::from_utf8(text).unwrap();
    assert!(text.starts_with("\u{1b}[32mallowed\u{1b}[0m: r0"), "{text:?}");
}

#[test]
fn a_reader_that_is_gone_is_no_panic() {
    let machine = Machine::new();
    let closed = || {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        writer
    };
    let check = said(machine.command(&["check", "r0"]).stdout(closed()));
    assert_eq!(check.code, 3, "{check:?}");
    assert!(check.err.contains("writing to stdout"), "{check:?}");
    let full = File::options().write(true).open("/dev/full").unwrap();
    assert_eq!(said(machine.command(&["facts"]).stdout(full)).code, 3);
    let mut add = machine.command(&["add", "--verbose"]);
    assert_eq!(add.stderr(closed()).output().unwrap().status.code(), Some(0));
    let mut wrong = machine.command(&["check"]);
    assert_eq!(wrong.stderr(closed()).output().unwrap().status.code(), Some(2));
}
