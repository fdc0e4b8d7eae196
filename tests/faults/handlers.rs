//! DRBD calls: the machines on which it does, and what must hold after each answer.

use crate::Pair;
use crate::flows::{added, command};
use crate::machine::{BACKEND, Machine, said};
use crate::oracle::died;
use crate::tracer::{End, Run};
use anyhow::{Context, Result, bail, ensure};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

const QUARANTINE: &str = "var/lib/block-drbd/quarantine/r0.json";
const FENCED: &str = "run/block-drbd/fenced/r0.json";

/// How long a program that was started may take to be gone when its caller is, or to have run when it goes on.
const BURIAL: Duration = Duration::from_secs(2);

/// The peer is asked, and outdated there.
const ASK: &str = r#"
[peers.b]
command = ["/opt/ask"]
outdate-command = ["/opt/outdate"]
[fencing]
budget-seconds = 4
methods = [{ method = "ask-peer" }]
"#;

/// The peer says that its disk is as good, and a program that it is down, which is not believed.
const DOUBT: &str = r#"
[peers.b]
command = ["/opt/ask"]
[fencing]
budget-seconds = 4
methods = [{ method = "ask-peer" }, { method = "program", command = ["/opt/fence"] }]
"#;

/// A program keeps the peer from its disk, and takes that back.
const PLACED: &str = r#"
[fencing]
methods = [{ method = "program", command = ["/opt/fence"], unfence = ["/opt/unfence"] }]
"#;

/// The guest runs, with its disk, and a split brain is to end it.
pub fn guest(machine: &Machine) {
    configured(machine);
    added(machine);
    machine.settings("[handlers]\nsplit-brain = \"destroy\"\n");
    machine.program("usr/sbin/xl", "echo \"$*\" >> ROOT/xl.log");
}

/// The guest runs, and the peer, which is as good, can be outdated.
pub fn peer(machine: &Machine) {
    peer_says(machine, ASK);
    machine.program("opt/outdate", "exec cp ROOT/outdated ROOT/facts");
}

/// The same, and it cannot.
pub fn silence(machine: &Machine) {
    peer_says(machine, DOUBT);
    machine.program("opt/fence", "exit 5");
}

/// The peer was fenced by a program.
pub fn fenced(machine: &Machine) {
    configured(machine);
    added(machine);
    machine.settings(PLACED);
    machine.program("opt/fence", "exit 7");
    machine.program("opt/unfence", "echo taken back >> ROOT/unfenced");
    let (code, text) = said(command(machine, &["handler", "fence-peer"]).output().unwrap());
    assert_eq!(code, 7, "{text}");
}

/// The guest runs, and somebody is told of what is not routine.
pub fn listened(machine: &Machine) {
    configured(machine);
    added(machine);
    machine.settings("[handlers]\nnotify = [\"/opt/tell\"]\n");
    machine.program("opt/tell", "echo told >> ROOT/told");
}

/// Nobody uses it, and what it holds is to be kept.
pub fn lvm(machine: &Machine) {
    configured(machine);
    machine.xenstored.remove(BACKEND);
    machine.settings("[handlers]\nsnapshot-percent = 20\n");
    // A consistent disk: an earlier snapshot is replaced.
    let states = "cs:WFBitMapT ro:Secondary/Primary ds:Outdated/UpToDate C r-----";
    let minor = format!("\n{}: {states}\n    ns:0 wo:f oos:0\n", machine.device.minor);
    machine.file("proc/drbd", &format!("version: 8.4.11 (api:1/proto:86-101)\n{minor}"));
    for name in ["lvcreate", "lvremove"] {
        machine.program(&format!("sbin/{name}"), &format!("echo {name} >> ROOT/lvm.log"));
    }
}

fn configured(machine: &Machine) {
    let host = |name: &str, address: u32| {
        let minor = machine.device.minor;
        format!(
            "on {name} {{ device /dev/drbd{minor}; disk /dev/vg/lv; address 10.0.0.{address}:7788; meta-disk internal; }}"
        )
    };
    machine.file("etc/drbd.conf", &format!("resource r0 {{ {} {} }}\n", host("a", 1), host("b", 2)));
}

fn peer_says(machine: &Machine, settings: &str) {
    configured(machine);
    added(machine);
    let (code, facts) = said(machine.command(&["facts", "--json"]).output().unwrap());
    assert_eq!(code, 0, "{facts}");
    let mut facts: Value = serde_json::from_str(&facts).unwrap();
    facts["node"]["host"] = json!({ "is": "b" });
    for (file, disk) in [("facts", "UpToDate"), ("outdated", "Outdated")] {
        let resource = &mut facts["resources"]["is"][0];
        resource["role"] = "Secondary".into();
        resource["volumes"][0]["role"] = "Secondary".into();
        resource["volumes"][0]["disk"] = disk.into();
        resource["connections"][0]["state"] = "Connecting".into();
        // The peer has this node for its peer; drbd.conf here gives b's name.
        resource["connections"][0]["peer"] = "a".into();
        machine.file(file, &facts.to_string());
    }
    // Both have the same data, which DRBD shows here in debugfs.
    let told = &facts["resources"]["is"][0]["volumes"][0]["generations"]["is"];
    let uuids =
        [told["current-uuid"].as_str().unwrap(), "0000000000000000", "0000000000000000", "0000000000000000"];
    let text: String = uuids.iter().map(|uuid| format!("0x{uuid}\n")).collect();
    machine.file("sys/kernel/debug/drbd/resources/r0/volumes/0/data_gen_id", &text);
    machine.settings(settings);
    machine.program("opt/ask", "exec cat ROOT/facts");
}

/// It is in quarantine, and the guest is paused; its end goes on by itself.
pub fn set_aside(machine: &Machine) -> Result<()> {
    let entry = record(machine, QUARANTINE)?.context("it is not in quarantine")?;
    ensure!(entry["event"] == "split-brain", "the record is {entry}");
    let log = fs::read_to_string(machine.path("xl.log")).unwrap_or_default();
    ensure!(log.lines().any(|line| line == "pause 5"), "the guest is not paused: {log:?}");
    Ok(())
}

/// Somebody has looked at it.
pub fn cleared(machine: &Machine) {
    if machine.path(QUARANTINE).exists() {
        let clear = ["quarantine", "clear", "r0", "--reason", "looked at"];
        let (code, text) = said(machine.command(&clear).output().unwrap());
        assert_eq!(code, 0, "{text}");
    }
}

/// It was outdated there, and that is on record.
pub fn outdated(machine: &Machine) -> Result<()> {
    let fenced = record(machine, FENCED)?.context("what was established is not on record")?;
    ensure!(fenced["code"] == 4, "the record is {fenced}");
    Ok(())
}

/// Nothing is known.
pub fn in_doubt(machine: &Machine) -> Result<()> {
    ensure!(record(machine, FENCED)?.is_none(), "something is on record");
    Ok(())
}

/// The peer is back.
pub fn unfenced(machine: &Machine) {
    machine.settings("");
    let (code, text) = said(command(machine, &["handler", "unfence-peer"]).output().unwrap());
    assert_eq!(code, 0, "{text}");
    in_doubt(machine).unwrap();
}

/// Nothing is on record, and the program was run.
pub fn taken_back(machine: &Machine) -> Result<()> {
    in_doubt(machine)?;
    is_run(machine, "unfenced")
}

/// It is in quarantine, and somebody knows.
pub fn told(machine: &Machine) -> Result<()> {
    let entry = record(machine, QUARANTINE)?.context("it is not in quarantine")?;
    ensure!(entry["event"] == "local-io-error", "the record is {entry}");
    is_run(machine, "told")
}

/// A program that nobody waits for writes this file.
fn is_run(machine: &Machine, file: &str) -> Result<()> {
    let started = Instant::now();
    while !machine.path(file).exists() {
        ensure!(started.elapsed() < BURIAL, "the program was not run: {file} is missing");
        thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

/// The guest goes on.
pub fn refused_resync(machine: &Machine) -> Result<()> {
    ensure!(record(machine, QUARANTINE)?.is_none(), "it is in quarantine");
    Ok(())
}

/// There is a snapshot.
pub fn kept(machine: &Machine) -> Result<()> {
    let log = fs::read_to_string(machine.path("lvm.log")).unwrap_or_default();
    ensure!(log.lines().last() == Some("lvcreate"), "there is no snapshot: {log:?}");
    Ok(())
}

/// A record, which is whole where it is there.
fn record(machine: &Machine, path: &str) -> Result<Option<Value>> {
    let Ok(text) = fs::read_to_string(machine.path(path)) else { return Ok(None) };
    let record: Value = serde_json::from_str(&text).with_context(|| format!("{path} is {text:?}"))?;
    ensure!(record["version"] == 1 && record["resource"] == "r0", "{path} is {text:?}");
    Ok(Some(record))
}

/// What DRBD is answered where nothing is known.
fn harmless(event: &str) -> i32 {
    i32::from(["fence-peer", "before-resync-target"].contains(&event))
}

/// DRBD has an answer that loses nothing, and the log says why it is no better one.
pub fn answered(machine: &Machine, pair: &Pair, event: &str, run: &Run, log: &str) -> Result<()> {
    record(machine, QUARANTINE)?;
    record(machine, FENCED)?;
    are_gone(run)?;
    let code = match run.end {
        End::Code(code) if [pair.flow.code, harmless(event)].contains(&code) => code,
        _ if pair.process == 0 && died(pair, run) => return Ok(()),
        end => bail!("it ended with {end:?}"),
    };
    let text = [&run.said, log].concat();
    // The standard library's own, where what no kernel does kills the child that works: a directory
    // is not closed, and the start of a program not told over a pair of sockets.
    let library = ["during closedir", "the CLOEXEC pipe failed"].map(|words| text.contains(words));
    ensure!(!text.contains("panicked") || library.contains(&true), "it panicked: {text}");
    ensure!(code != 4 || is_outdated(machine)?, "it was not established");
    let well = code == pair.flow.code && (pair.flow.end)(machine).is_ok();
    let failed = format!("handler={event} exit=");
    let reasons = [
        &failed,
        "; but ",
        "is not known",
        "nothing is known",
        "everything is at its default",
        "nobody is told: ",
    ];
    let says =
        text.contains(&format!("handler={event} ")) && reasons.iter().any(|words| text.contains(words));
    // What is routine stands in the log only, and may be lost with it.
    ensure!(well || says || pair.kills_the_unwatched(), "the log does not tell what was not done");
    Ok(())
}

/// Whether the peer says so.
fn is_outdated(machine: &Machine) -> Result<bool> {
    Ok(fs::read(machine.path("facts"))? == fs::read(machine.path("outdated"))?)
}

/// Whether it is there, and not one that goes on by itself.
fn is_waited_for(pid: Pid) -> bool {
    let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    !arguments.is_empty() && !String::from_utf8_lossy(&arguments).contains("\0detached\0")
}

/// The programs that it has started, but those that nobody waits for, end with it.
fn are_gone(run: &Run) -> Result<()> {
    let started = Instant::now();
    for pid in &run.detached {
        while is_waited_for(*pid) {
            ensure!(started.elapsed() < BURIAL, "a program that it has started lives on");
            thread::sleep(Duration::from_millis(2));
        }
    }
    Ok(())
}
