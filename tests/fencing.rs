//! fence-peer through the real binary: an answer is an established fact or 1, in time, whatever a
//! method does, and the log says why.

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

use handler::{Node, SOON};
use machine::BACKEND;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use said::{Said, of};
use serde_json::{Value, json};
use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use xenstored::op;

/// The answer with these methods, which is also in the one line of the log.
#[track_caller]
fn answers(node: &Node, methods: &str, code: i32, words: &str) -> Said {
    node.settings(&format!("[fencing]\nbudget-seconds = 20\nmethods = [{methods}]\n"));
    let said = node.handler("fence-peer");
    assert_eq!(said.code, code, "{methods}: {said:?}");
    assert!(said.err.contains(words), "{words}: {said:?}");
    node.logged_with(&format!(
        "handler=fence-peer resource=r0 guests=\"vm5 (domain 5)\" act={} exit={code}: ",
        if code == 1 { "none" } else { "fenced" }
    ));
    said
}

const PROGRAM: &str = r#"{ method = "program", command = ["/opt/fence", "x"] }"#;

#[test]
fn without_a_method_nothing_is_known() {
    Node::each(|node| {
        for (settings, words) in [("", "no method is set"), ("[fencing]\nmethods = []\n", "no method is set")]
        {
            node.settings(settings);
            let said = node.handler("fence-peer");
            assert!(said.code == 1 && said.err.contains(words), "{said:?}");
            assert!(said.err.contains("drbdadm resume-io r0"), "what to do: {said:?}");
            assert_eq!(node.handler("outdate-peer").code, 1);
        }
        assert_eq!(node.text("run/block-drbd/fenced/r0.json"), None);
    });
}

#[test]
fn a_program_answers_with_drbds_codes() {
    Node::each(|node| {
        for (exit, code) in
            [(3, 3), (4, 4), (5, 1), (6, 6), (7, 7), (0, 1), (1, 1), (2, 1), (8, 1), (20, 1), (127, 1)]
        {
            node.program("opt/fence", &format!("exit {exit}"));
            answers(&node, PROGRAM, code, &format!("/opt/fence answers {exit}"));
        }
        node.program("opt/fence", "exit 5");
        answers(
            &node,
            r#"{ method = "program", command = ["/opt/fence"], believe-down = "the cluster has seen it off" }"#,
            5,
            "the cluster has seen it off",
        );
        let fenced: Value =
            serde_json::from_str(&node.text("run/block-drbd/fenced/r0.json").unwrap()).unwrap();
        assert_eq!((&fenced["code"], &fenced["peer"]), (&json!(5), &json!("b")));
        fs::remove_file(node.machine.path("opt/fence")).unwrap();
        answers(&node, PROGRAM, 1, "starting ");
    });
}

#[test]
fn a_program_gets_what_drbd_says_and_nothing_else() {
    let node = Node::new(&handler::binaries()[0]);
    node.program("opt/fence", "env > ROOT/environment; exit 4");
    node.settings(&format!("[fencing]\nmethods = [{PROGRAM}]\n"));
    let said =
        of(node.command("fence-peer").env("SECRET", "x").env("UP_TO_DATE_NODES", "0x03").output().unwrap());
    assert_eq!(said.code, 4, "{said:?}");
    let environment = node.text("environment").unwrap();
    for line in ["DRBD_RESOURCE=r0", "DRBD_PEERS=b", "UP_TO_DATE_NODES=0x03", "LANG=C"] {
        assert!(environment.lines().any(|other| other == line), "{line}: {environment}");
    }
    assert!(!environment.contains("SECRET"), "{environment}");
}

#[test]
fn methods_are_tried_in_their_order() {
    Node::each(|node| {
        node.program("opt/fence", "echo \"$1\" >> ROOT/order; exit $1");
        let program = |exit: i32| format!(r#"{{ method = "program", command = ["/opt/fence", "{exit}"] }}"#);
        let down = r#"{ method = "assume-down", reason = "its outlet is switched" }"#;
        answers(&node, &[program(1), program(4), program(3)].join(", "), 4, "answers 4");
        assert_eq!(node.text("order").unwrap(), "1\n4\n");
        answers(
            &node,
            &[r#"{ method = "ask-peer" }"#, &program(2), down].join(", "),
            5,
            "its outlet is switched",
        );
        answers(&node, r#"{ method = "ask-peer" }"#, 1, "the settings have no [peers.b]");
        node.settings(&format!("[fencing]\nmethods = [{down}, {}]\n", program(4)));
        let said = node.handler("fence-peer");
        assert!(said.code == 1 && said.err.contains("assume-down must be the last method"), "{said:?}");
        node.settings("[fencing]\nmethods = [{ method = \"assume-down\" }]\n");
        let said = node.handler("fence-peer");
        assert!(said.code == 1 && said.err.contains("missing field `reason`"), "{said:?}");
    });
}

#[test]
fn a_method_that_hangs_is_ended_with_all_that_it_started() {
    Node::each(|node| {
        node.program("opt/fence", "sleep 600 & echo $! > ROOT/sleeper; wait");
        for (more, code) in [("", 1), (r#", { method = "assume-down", reason = "x" }"#, 5)] {
            node.settings(&format!("[fencing]\nbudget-seconds = 2\nmethods = [{PROGRAM}{more}]\n"));
            let started = Instant::now();
            let said = node.handler("fence-peer");
            assert_eq!(said.code, code, "{said:?}");
            assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
            handler::is_ended(&node.text("sleeper").unwrap());
        }
        // Each gets its part of the time, so that the first does not take it all.
        node.program("opt/other", "exit 4");
        let other = r#"{ method = "program", command = ["/opt/other"] }"#;
        node.settings(&format!("[fencing]\nbudget-seconds = 4\nmethods = [{PROGRAM}, {other}]\n"));
        assert_eq!(node.handler("fence-peer").code, 4);
    });
}

#[test]
fn a_handler_that_dies_inside_answers_all_the_same() {
    Node::each(|node| {
        for (signal, words) in [("ABRT", "SIGABRT"), ("ILL", "SIGILL"), ("KILL", "SIGKILL")] {
            // The program's parent is the child that does the work; a panic of the release ends in SIGABRT.
            node.program("opt/fence", &format!("kill -{signal} $PPID; sleep 600"));
            node.settings(&format!("[fencing]\nmethods = [{PROGRAM}]\n"));
            let said = node.handler("fence-peer");
            assert!(said.code == 1 && said.err.contains(words), "{words}: {said:?}");
            node.logged_with("handler=fence-peer exit=1: the handler did not come to an end: ");
        }
        node.program("opt/fence", "kill -STOP $PPID; sleep 600");
        node.settings(&format!("[fencing]\nbudget-seconds = 1\nmethods = [{PROGRAM}]\n"));
        let said = node.handler("fence-peer");
        assert!(said.code == 1 && said.err.contains("time allowed for it is over"), "{said:?}");
    });
}

#[test]
fn a_signal_is_answered_at_once() {
    Node::each(|node| {
        node.program("opt/fence", "sleep 600 & echo $! > ROOT/sleeper; wait");
        node.settings(&format!("[fencing]\nbudget-seconds = 300\nmethods = [{PROGRAM}]\n"));
        for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
            let _ = fs::remove_file(node.machine.path("sleeper"));
            let running = node.command("fence-peer").spawn().unwrap();
            let sleeper = node.awaited("sleeper", 1);
            let started = Instant::now();
            kill(Pid::from_raw(running.id().try_into().unwrap()), signal).unwrap();
            let said = of(running.wait_with_output().unwrap());
            assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
            assert!(said.code == 1 && said.err.contains("asked to stop"), "{said:?}");
            node.logged_with(&format!("signal {} asked to stop", signal as i32));
            handler::is_ended(&sleeper);
        }
    });
}

#[test]
fn without_memory_the_answer_is_one() {
    Node::each(|node| {
        let image = fs::metadata(&node.machine.binary).unwrap().len();
        node.settings(&format!("{}\n", format!("# {}\n", "x".repeat(1000)).repeat(12_000)));
        let real = node.command("fence-peer");
        let mut limited = Command::new("prlimit");
        // Room for the program and for a part of the file.
        limited.arg(format!("--as={}", image + (20 << 20))).arg(real.get_program()).args(real.get_args());
        limited.envs(real.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let output = limited.output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        node.logged_with("handler=fence-peer exit=1: ");
    });
}

#[test]
fn xenstore_that_hangs_holds_up_no_answer() {
    Node::each(|node| {
        let (release, wait) = std::sync::mpsc::channel::<()>();
        let wait = std::sync::Mutex::new(wait);
        node.machine.xenstored.before(op::READ, &format!("{BACKEND}/physical-device"), move |_| {
            let _ = wait.lock().unwrap().recv();
        });
        node.settings(
            "[fencing]\nbudget-seconds = 5\nmethods = [{ method = \"assume-down\", reason = \"x\" }]\n",
        );
        let said = node.handler("fence-peer");
        assert_eq!(said.code, 5, "{said:?}");
        node.logged_with("handler=fence-peer resource=r0 guests=\"unknown\" act=fenced exit=5: ");
        drop(release);
    });
}

/// A peer whose facts are a file, with a resource that can be changed.
fn peer(node: &Node) -> Value {
    let facts = node.run(&["facts", "--json"]);
    let mut facts: Value = serde_json::from_str(&facts.out).unwrap();
    facts["node"]["host"] = json!({ "is": "b" });
    node.program("opt/ask", "cat ROOT/facts");
    node.program("opt/outdate", "echo \"$*\" >> ROOT/outdated; exit 0");
    facts
}

const PEER: &str = r#"
[peers.b]
command = ["/opt/ask"]
outdate-command = ["/opt/outdate", "-x"]
[fencing]
budget-seconds = 4
methods = [{ method = "ask-peer" }]
"#;

fn with(facts: &Value, role: &str, disk: &str) -> String {
    let mut facts = facts.clone();
    let resource = &mut facts["resources"]["is"][0];
    resource["role"] = role.into();
    resource["volumes"][0]["role"] = role.into();
    resource["volumes"][0]["disk"] = disk.into();
    facts.to_string()
}

#[test]
fn the_peer_is_believed_about_itself() {
    Node::each(|node| {
        let facts = peer(&node);
        node.settings(PEER);
        for (role, disk, code, words) in [
            ("Primary", "UpToDate", 6, "b says that it is Primary"),
            ("Secondary", "Outdated", 4, "b says that it is Outdated"),
            ("Secondary", "Inconsistent", 3, "b says that it is Inconsistent"),
        ] {
            node.machine.file("facts", &with(&facts, role, disk));
            let said = node.handler("fence-peer");
            assert!(said.code == code && said.err.contains(words), "{role} {disk}: {said:?}");
            assert_eq!(node.text("outdated"), None, "nothing has to be changed there");
        }
    });
}

#[test]
fn a_peer_that_is_up_to_date_is_outdated_there_and_asked_again() {
    Node::each(|node| {
        let facts = peer(&node);
        node.settings(PEER);
        node.machine.file("facts", &with(&facts, "Secondary", "UpToDate"));
        node.machine.file("facts.outdated", &with(&facts, "Secondary", "Outdated"));
        // At first the peer still takes the connection for alive.
        node.program("opt/outdate", "echo \"$*\" >> ROOT/outdated; [ $(wc -l < ROOT/outdated) = 1 ] && exit 17; cp ROOT/facts.outdated ROOT/facts");
        let said = node.handler("fence-peer");
        assert_eq!(said.code, 4, "{said:?}");
        assert_eq!(node.text("outdated").unwrap(), "-x r0\n-x r0\n");
    });
}

#[test]
fn a_peer_that_establishes_nothing_leaves_it_in_doubt() {
    Node::each(|node| {
        let facts = peer(&node);
        // Without a way to outdate it there, one look is all.
        node.settings(&PEER.replace("outdate-command", "#"));
        let mut other = facts.clone();
        other["resources"] = json!({ "is": [] });
        let mut filed = serde_json::from_str::<Value>(&with(&facts, "Primary", "UpToDate")).unwrap();
        filed["resources"]["is"][0]["source"] = "drbdsetup".into();
        let mut wrong = facts.clone();
        wrong["node"]["host"] = json!({ "is": "c" });
        for (said, words) in [
            (with(&facts, "Secondary", "UpToDate"), "Secondary with its disk UpToDate"),
            (with(&facts, "Secondary", "Consistent"), "Secondary with its disk Consistent"),
            (with(&facts, "Secondary", "Diskless"), "Secondary with its disk Diskless"),
            (with(&facts, "Unknown", "Outdated"), "b says that it is Unknown"),
            (other.to_string(), "b does not have it up"),
            (filed.to_string(), "out of files"),
            (wrong.to_string(), "calls itself \"c\""),
            (String::new(), "not the output of block-drbd facts --json"),
        ] {
            node.machine.file("facts", &said);
            let said = node.handler("fence-peer");
            assert!(said.code == 1 && said.err.contains(words), "{words}: {said:?}");
        }
        node.settings(PEER);
        node.machine.file("facts", &with(&facts, "Secondary", "UpToDate"));
        let said = node.handler("fence-peer");
        assert!(said.code == 1 && said.err.contains("with its disk UpToDate"), "its 0 is no fact: {said:?}");
        node.program("opt/outdate", "exit 17");
        let said = node.handler("fence-peer");
        assert!(said.code == 1 && said.err.contains("outdating it there ended with 17"), "{said:?}");
        node.program("opt/ask", "echo no route >&2; exit 255");
        let said = node.handler("fence-peer");
        assert!(said.code == 1 && said.err.contains("no route"), "{said:?}");
        node.program("opt/ask", "sleep 600");
        let said = node.handler("fence-peer");
        assert!(said.code == 1 && said.err.contains("time allowed"), "{said:?}");
        let said = of(node.command("fence-peer").env_remove("DRBD_PEERS").output().unwrap());
        assert!(said.code == 1 && said.err.contains("DRBD does not say what the peer is called"), "{said:?}");
        assert_eq!(node.text("run/block-drbd/fenced/r0.json"), None);
    });
}

#[test]
fn what_was_placed_is_taken_back() {
    Node::each(|node| {
        node.program("opt/fence", "exit 7");
        node.program("opt/unfence", "echo \"$1 $DRBD_RESOURCE $DRBD_PEERS\" >> ROOT/unfenced");
        let method = r#"{ method = "program", command = ["/opt/fence"], unfence = ["/opt/unfence", "now"] }"#;
        node.settings(&format!("[fencing]\nmethods = [{method}]\n"));
        assert_eq!(node.handler("fence-peer").code, 7);
        assert!(node.text("run/block-drbd/fenced/r0.json").is_some());
        let said = of(node.command("unfence-peer").arg("-v").stdin(Stdio::null()).output().unwrap());
        assert!(said.code == 0 && said.err.contains("/opt/fence answers 7"), "{said:?}");
        assert_eq!(node.awaited("unfenced", 1), "now r0 b\n");
        assert_eq!(node.text("run/block-drbd/fenced/r0.json"), None);
        // Also when this host has booted since, and has no record of it.
        assert_eq!(node.handler("unfence-peer").code, 0);
        assert_eq!(node.awaited("unfenced", 2), "now r0 b\nnow r0 b\n");
    });
}
