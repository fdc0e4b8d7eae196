//! How a dry run of everything grows: with the number of resources, and with what a peer says.
//!
//! Compared are runs of one test on one machine: the processor time and the largest memory of the
//! process itself, by getrusage(2).

#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

#[path = "support/place.rs"]
mod place;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use place::Place;
use serde_json::{Value, json};
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// What a run took.
#[derive(Debug, Clone, Copy)]
struct Cost {
    /// Processor time, in seconds.
    seconds: f64,
    /// The largest memory, in KiB.
    memory: f64,
}

/// Runs the command to its end; its exit code must be one of an answer. A process of this test alone
/// starts it: the largest memory of a process counts that of its parent until it has become its own
/// program (fs/exec.c, begin_new_exec), and this one is large.
fn cost(command: &Command) -> Cost {
    let words: Vec<&str> = [command.get_program()]
        .into_iter()
        .chain(command.get_args())
        .map(|word| word.to_str().unwrap())
        .collect();
    let mut small = Command::new(std::env::current_exe().unwrap());
    small.args(["--exact", "one_run", "--ignored", "--nocapture"]).env("RUN", json!(words).to_string());
    let output = small.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let cost = text.lines().find_map(|line| line.split_once("cost: ")).unwrap_or_else(|| panic!("{text}")).1;
    let (seconds, memory) = cost.split_once(' ').unwrap();
    Cost { seconds: seconds.parse().unwrap(), memory: memory.parse().unwrap() }
}

/// Not a test: what [`cost`] runs.
#[test]
#[ignore = "a part of the others"]
fn one_run() {
    let words: Vec<String> = serde_json::from_str(&std::env::var("RUN").unwrap()).unwrap();
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let status = command.status().unwrap();
    assert!(status.code().is_some_and(|code| [0, 1, 3].contains(&code)), "{status}");
    // The only child of this process.
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    println!("\ncost: {} {}", micros as f64 / 1e6, usage.max_rss());
}

/// A host with so many resources on LVM, each with a guest and its configuration.
struct Host(Place);

impl Host {
    fn with(count: usize) -> Host {
        let host = Host(Place::new());
        let (mut drbd, mut conf, mut xenstore) =
            ("version: 8.4.11 (api:1/proto:86-101)\n\n".to_string(), String::new(), String::new());
        for number in 0..count {
            let _ = write!(
                drbd,
                " {number}: cs:Connected ro:Secondary/Secondary ds:UpToDate/UpToDate C r-----\n    ns:0 nr:0 dw:0 dr:0 al:8 bm:0 lo:0 pe:0 ua:0 ap:0 ep:1 wo:f oos:0\n"
            );
            let _ = write!(conf, "resource r{number} {{");
            for (node, last) in [("a", 1), ("b", 2)] {
                let _ = write!(
                    conf,
                    " on {node} {{ device /dev/drbd{number}; disk /dev/vg/r{number}; address 10.0.0.{last}:{}; meta-disk internal; }}",
                    7000 + number
                );
            }
            conf += " }\n";
            let backend = format!("/local/domain/0/backend/vbd/{}/51712", number + 1);
            let _ = writeln!(xenstore, "{backend}/physical-device = \"fd:{number:x}\"");
            host.disk(&format!("drbd{number}"), &format!("dm-{number}"));
            host.disk(&format!("dm-{number}"), "vda");
            host.file(&format!("sys/block/dm-{number}/dm/name"), &format!("vg-r{number}\n"));
            host.file(
                &format!("etc/xen/vm{number}.cfg"),
                &format!("name = 'vm{number}'\ndisk = ['script=block-drbd,vdev=xvda,target=r{number}']\n"),
            );
        }
        host.disk("vda", "");
        host.file("proc/drbd", &drbd);
        host.file("etc/drbd.conf", &conf);
        host.file("xenstore", &xenstore);
        host.file("proc/sys/kernel/hostname", "a\n");
        host.file("proc/sys/kernel/osrelease", "6.1.0-53-amd64\n");
        host.file("proc/self/mountinfo", "");
        host.file("proc/swaps", "Filename\n");
        host
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn file(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn disk(&self, name: &str, below: &str) {
        self.file(&format!("sys/block/{name}/queue/write_cache"), "write back\n");
        match below {
            "" => fs::create_dir_all(self.path(&format!("sys/block/{name}/slaves"))).unwrap(),
            below => self.file(&format!("sys/block/{name}/slaves/{below}"), ""),
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_block-drbd"));
        command.env_clear().arg("--sysroot").arg(self.0.path()).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// What this host tells of itself, as if it were the peer.
    fn told(&self) -> Value {
        let output = self.command(&["facts", "--json"]).stdout(Stdio::piped()).output().unwrap();
        let mut told: Value = serde_json::from_slice(&output.stdout).unwrap();
        told["node"]["host"] = json!({ "is": "b" });
        told
    }

    /// What a dry run of everything costs where the peer has said that.
    fn check_all(&self, told: &Value) -> Cost {
        self.file("peer.json", &told.to_string());
        let file = self.path("peer.json");
        cost(&self.command(&["check", "--all", "--peer-facts", file.to_str().unwrap()]))
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[test]
fn twice_the_resources_take_twice_the_memory_and_time() {
    let hosts = [1000, 2000].map(Host::with);
    let told: Vec<Value> = hosts.iter().map(Host::told).collect();
    // In turn, so that a busy machine is busy for both.
    let costs: Vec<[Cost; 2]> =
        (0..3).map(|_| [0, 1].map(|size| hosts[size].check_all(&told[size]))).collect();
    let ratio = |of: fn(&Cost) -> f64| median(costs.iter().map(|[one, two]| of(two) / of(one)).collect());
    let (memory, seconds) = (ratio(|cost| cost.memory), ratio(|cost| cost.seconds));
    println!("{memory:.2} times the memory, {seconds:.2} times the time: {costs:.2?}");
    assert!(memory <= 2.0, "{memory:.2} times the memory: {costs:?}");
    assert!(seconds <= 2.5, "{seconds:.2} times the time: {costs:?}");
}

/// One answer of 15 MB is read once, however many resources it is about and whatever is long in it.
#[test]
fn a_long_answer_is_not_multiplied() {
    let hosts = [1, 100].map(Host::with);
    for (what, stretch) in STRETCHED {
        let [one, many] = hosts.each_ref().map(|host| {
            let mut told = host.told();
            stretch(&mut told);
            let length = told.to_string().len();
            assert!((12 << 20..16 << 20).contains(&length), "{what}: {length} bytes");
            host.check_all(&told)
        });
        println!("{what}: {one:?} for one resource, {many:?} for a hundred");
        assert!(many.memory <= 1.5 * one.memory, "{what}: {one:?} for one resource, {many:?} for a hundred");
    }
}

/// What is long in an answer, and how it is made so.
type Stretched = (&'static str, fn(&mut Value));

const STRETCHED: [Stretched; 4] = [
    ("resources that this host does not have", |told| {
        let resources = told["resources"]["is"].as_array_mut().unwrap();
        let mut other = resources[0].clone();
        other["volumes"] = json!([]);
        other["connections"] = json!([]);
        let count = (14 << 20) / other.to_string().len();
        resources.extend((0..count).map(|number| {
            let mut other = other.clone();
            other["name"] = json!(format!("x{number}"));
            other
        }));
    }),
    ("the host's own words", |told| told["node"]["kernel"] = json!({ "is": "x".repeat(14 << 20) })),
    ("a device below every resource", |told| {
        told["devices"]["vda"]["names"] = json!(["x".repeat(14 << 20)]);
    }),
    ("devices below every resource", |told| {
        let disk = told["devices"]["vda"].clone();
        let count = (14 << 20) / (disk.to_string().len() + 20);
        let names: Vec<String> = (0..count).map(|number| format!("x{number}")).collect();
        let devices = told["devices"].as_object_mut().unwrap();
        devices.extend(names.iter().map(|name| (name.clone(), disk.clone())));
        devices["vda"]["below"] = json!({ "is": names });
    }),
];
