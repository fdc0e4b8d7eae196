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
            assert!(said.err.contains("see: drbdadm cstate r0"), "what to do: {said:?}");
            assert!(!said.err.contains("resume-io"), "what is frozen is not thawed by hand: {said:?}");
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
fn a_program_that_has_ended_has_answered_whoever_keeps_its_output() {
    Node::each(|node| {
        node.program("opt/fence", "sleep 600 & echo $! > ROOT/sleeper; exit 4");
        let started = Instant::now();
        answers(&node, PROGRAM, 4, "/opt/fence answers 4");
        assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
        // What it has left behind is nobody's to end: a logger, a connection that is kept.
        let sleeper = node.text("sleeper").unwrap();
        kill(Pid::from_raw(sleeper.trim().parse().unwrap()), Signal::SIGKILL).unwrap();
    });
}

#[test]
fn what_a_program_has_started_ends_with_a_handler_that_is_killed() {
    Node::each(|node| {
        node.program("opt/fence", "sleep 600 & echo $! > ROOT/sleeper; wait");
        node.settings(&format!("[fencing]\nbudget-seconds = 3\nmethods = [{PROGRAM}]\n"));
        for (whom, signal) in [("handler", Signal::SIGKILL), ("child", Signal::SIGSTOP)] {
            let _ = fs::remove_file(node.machine.path("sleeper"));
            let mut handler = node.command("fence-peer").spawn().unwrap();
            let sleeper = node.awaited("sleeper", 1);
            let pid = handler.id();
            let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
            let victim = if whom == "child" { children } else { pid.to_string() };
            kill(Pid::from_raw(victim.trim().parse().unwrap()), signal).unwrap();
            assert_eq!(handler.wait().unwrap().code(), (whom == "child").then_some(1), "{whom}");
            handler::is_ended(&sleeper);
        }
    });
}

#[test]
fn a_program_that_never_stops_printing_is_one_sentence() {
    Node::each(|node| {
        for (script, words) in [
            ("exec yes", "it printed more than 1048576 bytes"),
            ("echo here; exec sleep 600", "it does not end: the time allowed for it is over"),
        ] {
            node.program("opt/fence", script);
            node.settings(&format!("[fencing]\nbudget-seconds = 4\nmethods = [{PROGRAM}]\n"));
            let said = node.handler("fence-peer");
            assert!(said.code == 1 && said.err.contains(words), "{script}: {said:?}");
            assert_eq!(said.err.lines().count(), 1, "{script}: {said:?}");
        }
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

/// A peer whose facts are a file, and which has lost this node, too.
fn peer(node: &Node) -> Value {
    let facts = node.run(&["facts", "--json"]);
    let mut facts: Value = serde_json::from_str(&facts.out).unwrap();
    facts["node"]["host"] = json!({ "is": "b" });
    facts["resources"]["is"][0]["connections"][0]["state"] = "Connecting".into();
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

fn changed(facts: &Value, change: impl FnOnce(&mut Value)) -> Value {
    let mut facts = facts.clone();
    change(&mut facts["resources"]["is"][0]);
    facts
}

fn with(facts: &Value, role: &str, disk: &str) -> Value {
    changed(facts, |resource| {
        resource["role"] = role.into();
        resource["volumes"][0]["role"] = role.into();
        resource["volumes"][0]["disk"] = disk.into();
    })
}

/// The same peer with these generations.
fn of_generation(facts: &Value, current: &str, bitmap: &str) -> Value {
    changed(facts, |resource| {
        resource["volumes"][0]["generations"] =
            json!({ "is": { "current-uuid": current, "bitmap-uuid": bitmap, "disk-flags": 0 } });
    })
}

/// fence-peer, when this is what the peer says.
#[track_caller]
fn asked(node: &Node, facts: &Value, code: i32, words: &str) -> Said {
    node.machine.file("facts", &facts.to_string());
    let said = node.handler("fence-peer");
    assert!(said.code == code && said.err.contains(words), "{code} {words}: {said:?}");
    said
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
            asked(&node, &with(&facts, role, disk), code, words);
            assert_eq!(node.text("outdated"), None, "nothing has to be changed there");
            for at in [json!(0), json!(1_000_000_000_u64), json!(1_u64 << 63)] {
                let mut facts = with(&facts, role, disk);
                facts["at"] = at;
                asked(&node, &facts, code, words);
            }
        }
    });
}

#[test]
fn a_peer_with_the_same_data_is_outdated_there_and_asked_again() {
    Node::each(|node| {
        let facts = peer(&node);
        node.settings(PEER);
        node.machine.file("facts.outdated", &with(&facts, "Secondary", "Outdated").to_string());
        // At first DRBD there refuses.
        node.program("opt/outdate", "echo \"$*\" >> ROOT/outdated; [ $(wc -l < ROOT/outdated) = 1 ] && exit 17; cp ROOT/facts.outdated ROOT/facts");
        let said = asked(&node, &with(&facts, "Secondary", "UpToDate"), 4, "b says that it is Outdated");
        assert!(said.err.contains("outdate-command was run on b 2 times and ended with 0"), "{said:?}");
        assert_eq!(node.text("outdated").unwrap(), "-x r0\n-x r0\n");
    });
}

#[test]
fn a_peer_that_is_still_connected_is_asked_until_it_has_lost_this_node() {
    Node::each(|node| {
        let facts = peer(&node);
        node.settings(PEER);
        let connected = |facts: &Value| {
            changed(facts, |resource| resource["connections"][0]["state"] = "Connected".into())
        };
        node.program("opt/ask", "echo >> ROOT/asked; cat ROOT/facts; [ $(wc -l < ROOT/asked) = 2 ] && cp ROOT/facts.lost ROOT/facts; exit 0");
        for (disk, code) in [("Inconsistent", 3), ("Outdated", 4)] {
            let facts = with(&facts, "Secondary", disk);
            node.machine.file("facts.lost", &facts.to_string());
            node.machine.file("asked", "");
            asked(&node, &connected(&facts), code, &format!("b says that it is {disk}"));
            assert_eq!(node.text("asked").unwrap().lines().count(), 3);
        }
        node.program("opt/ask", "cat ROOT/facts");
        for disk in ["Inconsistent", "Outdated", "UpToDate"] {
            let facts = connected(&with(&facts, "Secondary", disk));
            asked(&node, &facts, 1, "b says that it is still connected to this node");
        }
        assert_eq!(node.text("outdated"), None, "only a peer that has lost this node is outdated");
        asked(&node, &connected(&with(&facts, "Primary", "UpToDate")), 6, "b says that it is Primary");
    });
}

/// The guest has run on b alone and ended there; b is Secondary, and what it is called may be the
/// work of an earlier call of this handler.
#[test]
fn a_peer_that_has_written_alone_is_never_outdated() {
    Node::each(|node| {
        let facts = of_generation(&peer(&node), "B0B0000000000002", "215C47A0B39CA630");
        let assumed = PEER.replace("}]", "}, { method = \"assume-down\", reason = \"x\" }]");
        for settings in [PEER, &assumed] {
            node.settings(settings);
            for disk in ["UpToDate", "Consistent", "Outdated", "Inconsistent"] {
                let said = asked(
                    &node,
                    &with(&facts, "Secondary", disk),
                    1,
                    "b has newer data, it has written without this node",
                );
                for words in [
                    "drbdadm connect r0",
                    "start the guest on b",
                    "is not known",
                    "block-drbd check r0",
                    "bitmap 215C47A0B39CA630",
                ] {
                    assert!(said.err.contains(words), "{words}: {said:?}");
                }
                node.logged_with(
                    "act=none exit=1: r0 is not promoted and what is frozen stays frozen: b has",
                );
            }
        }
        assert_eq!(node.text("outdated"), None);
        assert_eq!(node.text("run/block-drbd/fenced/r0.json"), None);
    });
}

/// DRBD shows this node's generations in debugfs, where that is mounted.
#[test]
fn the_generations_here_are_compared_where_they_can_be_read() {
    Node::each(|node| {
        let facts = with(&peer(&node), "Secondary", "Outdated");
        node.settings(PEER);
        let here = |uuids: [&str; 4]| {
            let text: String = uuids.iter().map(|uuid| format!("0x{uuid}\n")).collect();
            node.machine.file("sys/kernel/debug/drbd/resources/r0/volumes/0/data_gen_id", &text);
        };
        let (none, same, alone, other) =
            ("0000000000000000", "A0A0000000000002", "B0B0000000000002", "C0C0000000000002");
        let newest = "b says that it is Outdated";
        for (uuids, current, bitmap, code, words) in [
            ([same, none, none, none], same, none, 4, newest),
            ([same, none, none, none], "A0A0000000000003", none, 4, newest),
            ([alone, same, none, none], same, none, 4, newest),
            ([alone, other, same, none], same, none, 4, newest),
            ([same, none, none, none], alone, same, 1, "b has the newer data"),
            ([other, same, none, none], alone, same, 1, "split brain: this node and b"),
            ([same, none, none, none], other, none, 1, "whether b has newer data is not certain"),
        ] {
            here(uuids);
            asked(&node, &of_generation(&facts, current, bitmap), code, words);
        }
        here([same, none, none, none]);
        asked(&node, &of_generation(&facts, same, none), 4, newest);
        node.machine.file("sys/kernel/debug/drbd/resources/r0/volumes/0/data_gen_id", "v: 1\n");
        asked(&node, &of_generation(&facts, same, none), 1, "cannot be understood");
        here([same, none, none, none]);
        node.machine.file("sys/kernel/debug/drbd/resources/r0/volumes/1/data_gen_id", "v: 1\n");
        asked(
            &node,
            &of_generation(&facts, same, none),
            1,
            "r0 has volume 1 here, and DRBD does not name it",
        );
    });
}

#[test]
fn a_peer_that_does_not_name_each_volume_once_leaves_it_in_doubt() {
    Node::each(|node| {
        let facts = with(&peer(&node), "Secondary", "Outdated");
        node.settings(PEER);
        let numbered =
            |number: u32| changed(&facts, |resource| resource["volumes"][0]["number"] = number.into());
        let again = |volume: usize| {
            changed(&facts, |resource| {
                let volume = resource["volumes"][volume].clone();
                resource["volumes"].as_array_mut().unwrap().push(volume);
            })
        };
        let mut twice = facts.clone();
        let resource = with(&facts, "Secondary", "UpToDate")["resources"]["is"][0].clone();
        twice["resources"]["is"].as_array_mut().unwrap().push(resource);
        for (facts, words) in [
            (numbered(7), "b has volume 7, which DRBD here does not ask about"),
            (again(0), "it tells volume 0 of r0 twice"),
            (twice, "it tells the resource r0 twice"),
        ] {
            asked(&node, &facts, 1, words);
        }
        // DRBD asks about two volumes, and takes the answer for both.
        node.machine.file("facts", &facts.to_string());
        let minor = node.machine.device.minor;
        let two = format!("{minor} {}", minor + 1);
        for (volumes, minors, words) in [
            ("0 1", &two, "b does not have volume 1 up"),
            ("0 0", &two, "DRBD names volume 0 twice"),
            ("0", &two, "DRBD names 1 volumes and 2 minors"),
            ("0 1", &minor.to_string(), "DRBD names 2 volumes and 1 minors"),
        ] {
            let mut command = node.command("fence-peer");
            let said = of(command.env("DRBD_VOLUME", volumes).env("DRBD_MINOR", minors).output().unwrap());
            assert!(said.code == 1 && said.err.contains(words), "{words}: {said:?}");
        }
        assert_eq!((node.handler("fence-peer").code, node.text("outdated")), (4, None));
    });
}

/// drbdadm for DRBD 8.4 calls fence-peer with the minors of the resource and without DRBD_VOLUME.
#[test]
fn drbd_may_name_its_volumes_by_their_minors() {
    Node::each(|node| {
        let facts = with(&peer(&node), "Secondary", "Outdated");
        node.settings(PEER);
        node.machine.file("facts", &facts.to_string());
        let minor = node.machine.device.minor;
        let configured = |volumes: &str| {
            let text = format!("resource r0 {{ on a {{ address 10.0.0.1:7788; {volumes} }} }}\n");
            node.machine.file("etc/drbd.conf", &text);
        };
        let volume = |number: u32, minor: u32| {
            format!(
                "volume {number} {{ device minor {minor}; disk /dev/vg/lv{number}; meta-disk internal; }} "
            )
        };
        let named = |minors: &str| {
            let mut command = node.command("fence-peer");
            of(command.env_remove("DRBD_VOLUME").env("DRBD_MINOR", minors).output().unwrap())
        };
        let one = minor.to_string();
        for (volumes, minors, code, words) in [
            (volume(0, minor), one.clone(), 4, "b says that it is Outdated"),
            (volume(1, minor), one.clone(), 1, "which DRBD here does not ask about"),
            (
                volume(0, minor) + &volume(1, minor + 1),
                one.clone(),
                1,
                "r0 has volume 1 here, and DRBD does not name it",
            ),
            (
                volume(0, minor) + &volume(1, minor + 1),
                format!("{minor} {}", minor + 1),
                1,
                "b does not have volume 1 up",
            ),
            (volume(0, minor + 1), one, 1, "which r0 does not have in drbd.conf"),
            (volume(0, minor), String::new(), 1, "DRBD names none in DRBD_VOLUME or DRBD_MINOR"),
        ] {
            configured(&volumes);
            let said = named(&minors);
            assert!(said.code == code && said.err.contains(words), "{volumes}: {minors}: {said:?}");
        }
        fs::remove_file(node.machine.path("etc/drbd.conf")).unwrap();
        let said = named(&minor.to_string());
        assert!(said.code == 1 && said.err.contains("/etc/drbd.conf does not exist"), "{said:?}");
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
        let filed =
            changed(&with(&facts, "Primary", "UpToDate"), |resource| resource["source"] = "drbdsetup".into());
        let untold = changed(&with(&facts, "Secondary", "Outdated"), |resource| {
            resource["volumes"][0].as_object_mut().unwrap().remove("generations");
        });
        let renamed =
            changed(&with(&facts, "Secondary", "Outdated"), |resource| resource["name"] = "r1".into());
        for (facts, words) in [
            (
                with(&facts, "Secondary", "UpToDate"),
                "its disk UpToDate, and [peers.b] has no outdate-command",
            ),
            (with(&facts, "Secondary", "Consistent"), "Secondary with its disk Consistent"),
            (with(&facts, "Secondary", "Diskless"), "Secondary with its disk Diskless"),
            (with(&facts, "Unknown", "Outdated"), "b says that it is Unknown"),
            (other, "b does not have it up"),
            (renamed, "b does not have it up"),
            (filed, "out of files"),
            (untold, "whether b has written without this node is not known"),
        ] {
            asked(&node, &facts, 1, words);
        }
        node.settings(PEER);
        let same = with(&facts, "Secondary", "UpToDate");
        let said = asked(&node, &same, 1, "with its disk UpToDate");
        assert!(
            said.err.contains("ended with 0: its disk may be Outdated now"),
            "its 0 is no fact: {said:?}"
        );
        node.program("opt/outdate", "echo no such resource >&2; exit 17");
        asked(&node, &same, 1, "times and ended with 17 (no such resource): its disk may be Outdated now");
        let said = of(node.command("fence-peer").env_remove("DRBD_PEERS").output().unwrap());
        assert!(said.code == 1 && said.err.contains("DRBD does not say what the peer is called"), "{said:?}");
        assert_eq!(node.text("run/block-drbd/fenced/r0.json"), None);
    });
}

/// What changes something on the peer is run only after an answer of this very call.
#[test]
fn a_peer_that_gives_no_answer_is_not_outdated() {
    Node::each(|node| {
        let facts = peer(&node);
        node.settings(PEER);
        let mut wrong = facts.clone();
        wrong["node"]["host"] = json!({ "is": "c" });
        node.machine.file("facts", &facts.to_string());
        node.machine.file("wrong", &wrong.to_string());
        for (script, words) in [
            ("echo no route >&2; exit 255", "no route"),
            ("cat ROOT/facts; exit 1", "exit status: 1"),
            ("cat ROOT/facts; kill -9 $$", "signal: 9"),
            ("cat ROOT/facts ROOT/facts", "not the output of block-drbd facts --json"),
            ("exit 0", "not the output of block-drbd facts --json"),
            ("cat ROOT/wrong", "calls itself \"c\""),
            ("yes", "it printed more than"),
            ("cat ROOT/facts; exec sleep 600", "time allowed"),
            ("sleep 600", "time allowed"),
        ] {
            node.program("opt/ask", script);
            let said = node.handler("fence-peer");
            assert!(said.code == 1 && said.err.contains(words), "{script}: {said:?}");
            assert!(said.err.contains("b did not answer"), "{script}: {said:?}");
            assert_eq!(node.text("outdated"), None, "{script}");
        }
    });
}

/// Both nodes refuse the guest then, so the log must say why.
#[test]
fn that_the_peer_was_outdated_is_told_when_it_says_nothing_after() {
    Node::each(|node| {
        let facts = with(&peer(&node), "Secondary", "UpToDate");
        node.settings(PEER);
        for silence in ["sleep 600", "exit 255"] {
            let _ = fs::remove_file(node.machine.path("outdated"));
            node.program("opt/ask", &format!("[ -e ROOT/outdated ] && {silence}; cat ROOT/facts"));
            asked(
                &node,
                &facts,
                1,
                "outdate-command was run on b and ended with 0: its disk may be Outdated now",
            );
            assert_eq!(node.text("outdated").unwrap(), "-x r0\n");
        }
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
