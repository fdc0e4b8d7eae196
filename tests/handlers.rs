//! DRBD's handlers through the real binary: what they do, and what they answer whatever goes wrong.

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

use block_drbd::event::drbd::NAMES;
use drbd_kernel::{Fault, GET_RESOURCES, GET_STATUS, GETFAMILY};
use handler::{Node, SOON};
use machine::BACKEND;
use said::of;
use std::fs;
use std::time::Instant;

const QUARANTINE: &str = "var/lib/block-drbd/quarantine/r0.json";

/// What is answered where nothing can be known.
fn safe(name: &str) -> i32 {
    i32::from(["fence-peer", "outdate-peer", "before-resync-target"].contains(&name))
}

#[test]
fn a_split_brain_puts_the_resource_in_quarantine_until_it_is_cleared() {
    Node::each(|node| {
        let said = node.handler("split-brain");
        assert_eq!((said.code, said.out.as_str()), (0, ""), "{said:?}");
        node.logged_with("handler=split-brain resource=r0 guests=\"vm5 (domain 5)\" act=quarantine exit=0: ");
        let entry = node.quarantine().unwrap();
        assert_eq!(
            (&entry["event"], &entry["node"], &entry["act"]),
            (&"split-brain".into(), &"a".into(), &"record".into())
        );
        assert_eq!(entry["guests"]["is"][0], "vm5 (domain 5)");
        assert_eq!(node.text("xl.log"), None, "by default the guest goes on");

        node.machine.xenstored.remove(&format!("{BACKEND}/physical-device"));
        let add = node.run(&["add"]);
        assert_eq!(add.code, 1, "{add:?}");
        for words in
            ["[quarantined]", "split-brain on a at 20", "block-drbd quarantine clear r0 --reason \"...\""]
        {
            assert!(add.err.contains(words), "{words}: {add:?}");
        }
        let check = node.run(&["check", "r0"]);
        assert!(check.code == 1 && check.out.contains("[quarantined]"), "{check:?}");
        let status = node.run(&["status"]);
        assert!(status.code == 1 && status.out.starts_with("needs you: r0 is in quarantine, "), "{status:?}");
        assert!(
            status.out.contains("  do: mend that, and then run: block-drbd quarantine clear r0 "),
            "{status:?}"
        );
        let list = node.run(&["quarantine"]);
        assert!(list.code == 0 && list.out.starts_with("r0: split-brain on a at "), "{list:?}");

        node.run(&["quarantine", "clear", "r0"]).is_wrong("--reason");
        node.run(&["quarantine", "clear", "r0", "--reason", " "]).is_wrong("the reason is empty");
        node.run(&["quarantine", "clear", "r0/0", "--reason", "x"]).is_wrong("a whole resource");
        node.run(&["quarantine", "clear", "../r0", "--reason", "x"]).is_wrong("../r0: ");
        assert!(node.quarantine().is_some());
        node.logged();
        let clear = node.run(&["quarantine", "clear", "r0", "--reason", "b's copy\u{1b} is older"]);
        assert_eq!((clear.code, clear.out.as_str()), (0, "r0 is not in quarantine any more\n"), "{clear:?}");
        node.logged_with("resource=r0 the quarantine is cleared: b's copy? is older");
        assert_eq!(node.quarantine(), None);
        let history = node.text("var/lib/block-drbd/quarantine/history").unwrap();
        let kept: serde_json::Value = serde_json::from_str(history.trim()).unwrap();
        assert_eq!(kept["reason"], "b's copy\u{1b} is older");
        assert_eq!(kept["entry"]["is"], entry);
        assert_eq!(node.run(&["quarantine", "list"]).out, "nothing is in quarantine\n");
        let again = node.run(&["quarantine", "clear", "r0", "--reason", "x"]);
        assert!(again.code == 1 && again.err.contains("r0 is not in quarantine"), "{again:?}");
        assert_eq!(node.run(&["add"]).code, 0);
    });
}

#[test]
fn what_happens_later_is_noted_and_what_happened_first_stays() {
    let node = Node::new(&handler::binaries()[0]);
    for name in ["local-io-error", "split-brain", "out-of-sync", "after-resync-target"] {
        assert_eq!(node.handler(name).code, 0, "{name}");
    }
    let entry = node.quarantine().unwrap();
    assert_eq!(entry["event"], "local-io-error");
    let later: Vec<&str> =
        entry["later"].as_array().unwrap().iter().map(|later| later["event"].as_str().unwrap()).collect();
    assert_eq!(later, ["split-brain", "out-of-sync", "after-resync-target"]);
    for _ in 0..20 {
        assert_eq!(node.handler("split-brain").code, 0);
    }
    assert_eq!(node.quarantine().unwrap()["later"].as_array().unwrap().len(), 16);
    let json = node.run(&["quarantine", "list", "--json"]);
    let list: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(list["quarantine"][0]["entry"]["is"]["event"], "local-io-error");
}

#[test]
fn events_that_set_nothing_aside_leave_no_quarantine() {
    let node = Node::new(&handler::binaries()[0]);
    for name in [
        "initial-split-brain",
        "before-resync-source",
        "out-of-sync",
        "after-resync-target",
        "disconnected",
        "unfence-peer",
    ] {
        let said = node.handler(name);
        assert_eq!(said.code, 0, "{said:?}");
        node.logged_with(&format!("handler={name} resource=r0 "));
        assert_eq!(node.quarantine(), None, "{name}");
    }
}

#[test]
fn only_the_guest_that_is_hit_is_stopped() {
    Node::each(|node| {
        node.machine.guest(6, 51712, "/dev/vg/other");
        node.machine.xenstored.set("/local/domain/0/backend/vbd/6/51712/physical-device", "fd:1");
        node.machine.guest(7, 51712, "r1");
        let other = format!("7:{:x}", node.machine.device.minor + 1);
        node.machine.xenstored.set("/local/domain/0/backend/vbd/7/51712/physical-device", &other);
        let said = node.handler("pri-lost-after-sb");
        assert_eq!(said.code, 0, "{said:?}");
        node.logged_with("act=pause,quarantine exit=0: ");
        assert_eq!(node.text("xl.log").unwrap(), "pause 5\n");
        fs::remove_file(node.machine.path("xl.log")).unwrap();

        node.settings(
            "[handlers]\nsplit-brain = \"destroy\"\n[resources.r0.handlers]\nquorum-lost = \"shutdown\"\n",
        );
        assert_eq!(node.handler("split-brain").code, 0);
        assert_eq!(node.awaited("xl.log", 2), "pause 5\ndestroy 5\n");
        fs::remove_file(node.machine.path("xl.log")).unwrap();
        assert_eq!(node.handler("quorum-lost").code, 0);
        assert_eq!(node.awaited("xl.log", 1), "shutdown -F 5\n");
    });
}

#[test]
fn a_resource_is_found_by_its_minor_and_with_all_its_guests() {
    let node = Node::new(&handler::binaries()[0]);
    node.machine.xenstored.remove(&format!("{BACKEND}/physical-device"));
    assert_eq!(node.run(&["add"]).code, 0);
    let minor = format!("minor-{}", node.machine.device.minor);
    let said = of(node.command("local-io-error").env("DRBD_RESOURCE", &minor).output().unwrap());
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(node.quarantine().unwrap()["guests"]["is"][0], "vm5 (domain 5)");
    // The claim knows its devices where DRBD names none.
    fs::remove_file(node.machine.path(QUARANTINE)).unwrap();
    let said = of(node.command("split-brain").env_remove("DRBD_MINOR").output().unwrap());
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(node.quarantine().unwrap()["guests"]["is"][0], "vm5 (domain 5)");
}

#[test]
fn xl_that_is_missing_fails_or_hangs_keeps_nothing_from_the_quarantine() {
    Node::each(|node| {
        for (script, words) in [
            (Some("echo no such domain >&2; exit 1"), "no such domain"),
            (Some("sleep 600 & echo $! > ROOT/sleeper; wait"), "time allowed for it is over"),
            (None, "there is no program /usr/sbin/xl to pause domain 5 with"),
        ] {
            match script {
                Some(script) => node.program("usr/sbin/xl", script),
                None => fs::remove_file(node.machine.path("usr/sbin/xl")).unwrap(),
            }
            let _ = fs::remove_file(node.machine.path(QUARANTINE));
            let said = node.handler("pri-lost");
            assert!(said.code == 0 && said.err.contains(words), "{words}: {said:?}");
            assert!(node.quarantine().is_some(), "{words}");
            if let Some(sleeper) = node.text("sleeper") {
                handler::is_ended(&sleeper);
            }
        }
        node.settings("xl = \"/opt/xl\"\n");
        node.program("opt/xl", "echo \"$*\" >> ROOT/xl.log");
        assert_eq!(node.handler("pri-lost").code, 0);
        assert_eq!(node.text("xl.log").unwrap(), "pause 5\n");
    });
}

#[test]
fn a_quarantine_that_cannot_be_written_is_told() {
    Node::each(|node| {
        fs::create_dir_all(node.machine.path("var/lib")).unwrap();
        node.machine.file("var/lib/block-drbd", "a file");
        let said = node.handler("split-brain");
        assert!(said.code == 0 && said.err.contains("not in quarantine, although it should be"), "{said:?}");
        assert!(said.err.contains("/var/lib/block-drbd is not a directory"), "{said:?}");
        assert_eq!(said.err.lines().count(), 1, "{said:?}");
    });
}

#[test]
fn a_record_that_cannot_be_believed_refuses_as_unknown_and_can_be_cleared() {
    let node = Node::new(&handler::binaries()[0]);
    node.machine.xenstored.remove(&format!("{BACKEND}/physical-device"));
    assert_eq!(node.handler("split-brain").code, 0);
    let good = node.text(QUARANTINE).unwrap();
    for text in [
        "",
        "{",
        &good[..good.len() / 2],
        &good.replace("\"r0\"", "\"r1\""),
        &good.replace("\"version\":1", "\"version\":2"),
    ] {
        node.machine.file(QUARANTINE, text);
        let add = node.run(&["add"]);
        assert!(
            add.code == 3 && add.err.contains("[quarantined]") && add.err.contains(QUARANTINE),
            "{add:?}"
        );
        let list = node.run(&["quarantine", "list"]);
        assert!(list.code == 3 && list.out.contains(QUARANTINE), "{list:?}");
    }
    assert_eq!(node.handler("split-brain").code, 0, "what cannot be read is written anew");
    assert_eq!(node.quarantine().unwrap()["event"], "split-brain");
    node.machine.file(QUARANTINE, "{");
    assert_eq!(node.run(&["quarantine", "clear", "r0", "--reason", "garbage"]).code, 0);
    assert_eq!(node.run(&["add"]).code, 0);
}

#[test]
fn an_environment_that_is_missing_or_hostile_is_answered_safely() {
    Node::each(|node| {
        for (name, _) in NAMES {
            let said = of(node.bare(&["handler", name]).output().unwrap());
            assert_eq!(said.code, safe(name), "{said:?}");
            assert!(
                said.err.lines().count() == 1 && said.err.contains("DRBD_RESOURCE is not set"),
                "{said:?}"
            );
            node.logged_with("DRBD_RESOURCE is not set");
        }
        for (variable, value) in [
            ("DRBD_RESOURCE", "all"),
            ("DRBD_RESOURCE", "../../../etc/passwd"),
            ("DRBD_RESOURCE", "-h"),
            ("DRBD_RESOURCE", "r0\n"),
            ("DRBD_MINOR", "3;reboot"),
            ("DRBD_PEERS", "$(reboot)"),
            ("DRBD_CONF", "\u{1b}[2J"),
        ] {
            for name in ["fence-peer", "split-brain", "before-resync-target"] {
                let said = of(node.command(name).env(variable, value).output().unwrap());
                assert_eq!(said.code, safe(name), "{said:?}");
                assert!(said.err.lines().count() == 1 && said.err.contains(variable), "{variable}: {said:?}");
                node.logged_with(&format!("handler={name} exit={}: {variable}", safe(name)));
            }
        }
        assert!(!node.machine.path("var").exists());
    });
}

#[test]
fn a_handler_or_a_resource_that_does_not_exist() {
    Node::each(|node| {
        for name in ["fence_peer", "reboot", "\u{1b}[2J", ""] {
            let said = of(node.command(name).output().unwrap());
            said.is_wrong("there is no handler");
        }
        node.run(&["handler"]).is_wrong("required");
        node.machine.file("etc/drbd.conf", "resource other { on a { device /dev/drbd9; disk /dev/x; address 10.0.0.1:1; meta-disk internal; } }\n");
        for name in ["fence-peer", "split-brain", "before-resync-target"] {
            let said = node.handler(name);
            assert!(
                said.code == safe(name) && said.err.contains("there is no resource r0 in drbd.conf"),
                "{said:?}"
            );
        }
        assert_eq!(node.quarantine(), None);
    });
}

#[test]
fn closed_descriptors_change_nothing() {
    Node::each(|node| {
        for (name, code) in [("fence-peer", 1), ("split-brain", 0), ("before-resync-target", 1)] {
            let real = node.command(name);
            let mut shell = std::process::Command::new("/bin/sh");
            shell
                .args(["-c", "exec \"$0\" \"$@\" <&- >&- 2>&-"])
                .arg(real.get_program())
                .args(real.get_args());
            shell.env_clear().envs(real.get_envs().filter_map(|(name, value)| Some((name, value?))));
            assert_eq!(shell.status().unwrap().code(), Some(code), "{name}");
            node.logged_with(&format!("handler={name} resource=r0"));
        }
        assert!(node.quarantine().is_some());
    });
}

#[test]
fn without_xenstore_nothing_is_lost() {
    Node::each(|node| {
        fs::remove_file(node.machine.path("run/xenstored/socket")).unwrap();
        let said = node.handler("pri-lost-after-sb");
        assert!(said.code == 0 && said.err.contains("who uses it is not known"), "{said:?}");
        assert!(node.quarantine().unwrap()["guests"]["unknown"].is_string());
        let said = node.handler("before-resync-target");
        assert!(said.code == 1 && said.err.contains("who uses it is not known"), "{said:?}");
        // A host that boots: the kernel has no backend of any guest.
        fs::create_dir_all(node.machine.path("sys/bus/xen-backend/devices")).unwrap();
        assert_eq!(node.handler("before-resync-target").code, 0);
    });
}

#[test]
fn settings_that_cannot_be_understood_forbid_what_can_be_forbidden() {
    Node::each(|node| {
        for text in
            ["[", "[handlers]\nsplit-brain = \"reboot\"\n", "[fencing]\nmethods = [{ method = \"pray\" }]\n"]
        {
            node.settings(text);
            for name in ["fence-peer", "before-resync-target"] {
                let said = node.handler(name);
                assert!(said.code == 1 && said.err.contains("block-drbd.toml:"), "{said:?}");
            }
            let said = node.handler("pri-lost-after-sb");
            assert!(said.code == 0 && said.err.contains("everything is at its default"), "{said:?}");
            assert_eq!(node.text("xl.log").unwrap(), "pause 5\n");
            fs::remove_file(node.machine.path("xl.log")).unwrap();
        }
    });
}

#[test]
fn no_handler_waits_for_drbd() {
    Node::each(|node| {
        node.machine.drbd.with(|model| {
            for command in [GETFAMILY, GET_STATUS, GET_RESOURCES] {
                model.faults.insert(command, Fault::Silent);
            }
        });
        let started = Instant::now();
        for (name, _) in NAMES {
            node.handler(name);
        }
        assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
        assert!(node.machine.drbd.log().is_empty());
    });
}

#[test]
fn a_volume_that_a_guest_uses_is_not_overwritten() {
    Node::each(|node| {
        let said = node.handler("before-resync-target");
        assert!(said.code == 1 && said.err.contains("vm5 (domain 5) uses it"), "{said:?}");
        let proc_drbd = |disk: &str| proc_drbd(&node, disk);
        for (disk, code) in [("Outdated", 1), ("UpToDate", 1), ("Inconsistent", 0)] {
            proc_drbd(disk);
            assert_eq!(node.handler("before-resync-target").code, code, "{disk}");
        }
        proc_drbd("Outdated");
        node.settings("[resources.r0.handlers]\nresync-under-guest = \"allow\"\n");
        assert_eq!(node.handler("before-resync-target").code, 0);
        node.settings("");
        node.machine.xenstored.remove(BACKEND);
        assert_eq!(node.handler("before-resync-target").code, 0);
    });
}

#[test]
fn a_volume_is_not_overwritten_when_its_number_cannot_be_found_out() {
    Node::each(|node| {
        let devices = node.machine.path("proc/devices");
        fs::remove_file(&devices).unwrap();
        std::os::unix::fs::symlink("devices", &devices).unwrap();
        let said = node.handler("before-resync-target");
        assert!(said.code == 1 && said.err.contains("who uses it is not known"), "{said:?}");
    });
}

/// The volume is to be overwritten with the peer's data.
fn proc_drbd(node: &Node, disk: &str) {
    proc_drbd_of(node, &[("WFBitMapT", disk)]);
}

/// The volume has been overwritten.
fn overwritten(node: &Node) {
    proc_drbd_of(node, &[("Connected", "UpToDate")]);
}

/// The connection and the disk of each volume, from the minor of the machine on.
fn proc_drbd_of(node: &Node, volumes: &[(&str, &str)]) {
    let states = |(minor, (connection, disk)): (u32, &(&str, &str))| {
        let states = format!("cs:{connection} ro:Secondary/Primary ds:{disk}/UpToDate C r-----");
        format!("{minor}: {states}\n    ns:0 wo:f oos:0\n")
    };
    let states: String = (node.machine.device.minor..).zip(volumes).map(states).collect();
    node.machine.file("proc/drbd", &format!("version: 8.4.11 (api:1/proto:86-101)\n\n{states}"));
}

/// drbd.conf with a resource of so many volumes.
fn configured(node: &Node, resource: &str, volumes: u32) {
    let volume = |number: u32| {
        let minor = node.machine.device.minor + number;
        format!("volume {number} {{ device minor {minor}; disk /dev/vg/lv{number}; meta-disk internal; }} ")
    };
    let volumes: String = (0..volumes).map(volume).collect();
    let text = format!("resource {resource} {{ on a {{ address 10.0.0.1:7788; {volumes} }} }}\n");
    node.machine.file("etc/drbd.conf", &text);
}

/// Nobody uses r0, snapshots are taken, and lvm2 writes down what it is asked for. The name of the snapshot.
fn with_lvm(node: &Node) -> String {
    node.machine.xenstored.remove(BACKEND);
    node.settings("[handlers]\nsnapshot-percent = 20\n");
    configured(node, "r0", 1);
    for name in ["lvcreate", "lvremove"] {
        node.program(&format!("sbin/{name}"), &format!("echo \"{name} $*\" >> ROOT/lvm.log"));
    }
    format!("block-drbd-r0-{}", node.machine.device.minor)
}

/// What lvm2 has been asked for since the last time.
fn lvm(node: &Node) -> String {
    let log = node.text("lvm.log").unwrap_or_default();
    node.machine.file("lvm.log", "");
    log
}

#[test]
fn a_snapshot_is_taken_before_and_removed_after() {
    Node::each(|node| {
        let name = with_lvm(&node);
        proc_drbd(&node, "Outdated");
        assert_eq!(node.handler("before-resync-target").code, 0);
        let (remove, create) = (
            format!("lvremove --yes --select lv_name={name}\n"),
            format!("lvcreate --snapshot --extents 20%ORIGIN --name {name} /dev/vg/lv\n"),
        );
        assert_eq!(lvm(&node), format!("{remove}{create}"));
        overwritten(&node);
        assert_eq!((node.handler("after-resync-target").code, lvm(&node)), (0, remove.clone()));

        node.program("sbin/lvcreate", "echo no room >&2; exit 5");
        let said = node.handler("before-resync-target");
        assert!(said.code == 1 && said.err.contains("no room"), "{said:?}");
        let said = of(node.command("before-resync-target").env_remove("DRBD_LL_DISK").output().unwrap());
        assert!(said.code == 1 && said.err.contains("DRBD does not say of which device"), "{said:?}");
        fs::remove_file(node.machine.path("sbin/lvcreate")).unwrap();
        let said = node.handler("before-resync-target");
        assert!(said.code == 1 && said.err.contains("exit=1: refused: r0 is not overwritten with the data of b: no snapshot of /dev/vg/lv could be taken"), "{said:?}");
    });
}

/// A resync that is cut off leaves half of each copy on the disk; the snapshot from before is the only whole one.
#[test]
fn a_resync_that_begins_again_keeps_the_snapshot() {
    Node::each(|node| {
        let name = with_lvm(&node);
        proc_drbd(&node, "Outdated");
        assert_eq!(node.handler("before-resync-target").code, 0);
        assert!(lvm(&node).contains("lvcreate"));
        proc_drbd(&node, "Inconsistent");
        for _ in 0..2 {
            let said = of(node.command("before-resync-target").arg("-v").output().unwrap());
            assert!(said.code == 0 && said.err.contains("an earlier one stays"), "{said:?}");
            assert_eq!(lvm(&node), "");
        }
        overwritten(&node);
        assert_eq!(node.handler("after-resync-target").code, 0);
        assert_eq!(lvm(&node), format!("lvremove --yes --select lv_name={name}\n"));
    });
}

/// DRBD 8.4 calls the handlers for each volume alone, and only the snapshots of one moment are a whole copy.
#[test]
fn the_snapshots_of_all_volumes_go_together() {
    Node::each(|node| {
        let first = with_lvm(&node);
        configured(&node, "r0", 2);
        let minor = node.machine.device.minor + 1;
        let second = format!("block-drbd-r0-{minor}");
        let of_second = |event: &str| {
            let mut command = node.command(event);
            let minor = minor.to_string();
            of(command.args(["-v"]).env("DRBD_MINOR", minor).env("DRBD_VOLUME", "1").output().unwrap())
        };
        proc_drbd_of(&node, &[("WFBitMapT", "Outdated"), ("WFBitMapT", "Outdated")]);
        assert_eq!(node.handler("before-resync-target").code, 0);
        proc_drbd_of(&node, &[("SyncTarget", "Inconsistent"), ("WFBitMapT", "Outdated")]);
        assert_eq!(of_second("before-resync-target").code, 0);
        assert!(lvm(&node).contains(&format!("--name {second} ")));
        for (connection, disk) in
            [("SyncTarget", "Inconsistent"), ("WFConnection", "Inconsistent"), ("WFBitMapT", "Outdated")]
        {
            proc_drbd_of(&node, &[(connection, disk), ("Connected", "UpToDate")]);
            let said = of_second("after-resync-target");
            assert!(
                said.code == 0 && said.err.contains(&format!("stays in {second} until no volume")),
                "{said:?}"
            );
            assert_eq!(lvm(&node), "", "{connection} {disk}");
        }
        // The link is lost and comes back: the second one is overwritten again, and the first one is half.
        proc_drbd_of(&node, &[("WFBitMapT", "Inconsistent"), ("WFBitMapT", "Outdated")]);
        assert_eq!(of_second("before-resync-target").code, 0);
        assert!(!lvm(&node).contains("lvremove"));
        fs::remove_file(node.machine.path("etc/drbd.conf")).unwrap();
        proc_drbd_of(&node, &[("Connected", "UpToDate"), ("Connected", "UpToDate")]);
        let said = of_second("after-resync-target");
        assert!(
            said.code == 0 && said.err.contains("the other volumes of the resource are not known"),
            "{said:?}"
        );
        assert_eq!(lvm(&node), "");
        configured(&node, "r0", 2);
        assert_eq!(of_second("after-resync-target").code, 0);
        let removals = [first, second].map(|name| format!("lvremove --yes --select lv_name={name}\n"));
        assert_eq!(lvm(&node), removals.concat());
    });
}

#[test]
fn a_snapshot_is_not_removed_where_the_disk_is_not_known() {
    Node::each(|node| {
        let name = with_lvm(&node);
        assert_eq!(node.handler("before-resync-target").code, 0);
        assert_eq!(lvm(&node), format!("lvcreate --snapshot --extents 20%ORIGIN --name {name} /dev/vg/lv\n"));
        // lvcreate takes no name twice: what is there stays, and is enough.
        node.program("sbin/lvcreate", "echo already exists >&2; exit 5");
        node.program("sbin/lvs", &format!("echo '  vg {name}'"));
        assert_eq!(node.handler("before-resync-target").code, 0);
        node.program("sbin/lvs", "echo '  vg other'");
        let said = node.handler("before-resync-target");
        assert!(said.code == 1 && said.err.contains("already exists"), "{said:?}");
        assert!(!lvm(&node).contains("lvremove"));
    });
}

#[test]
fn a_snapshot_stays_as_long_as_the_quarantine() {
    Node::each(|node| {
        let name = with_lvm(&node);
        proc_drbd(&node, "Outdated");
        assert_eq!(node.handler("before-resync-target").code, 0);
        lvm(&node);
        assert_eq!(node.handler("split-brain").code, 0);
        overwritten(&node);
        let said = of(node.command("after-resync-target").arg("-v").output().unwrap());
        assert!(
            said.code == 0 && said.err.contains(&format!("stays in {name} as long as the quarantine")),
            "{said:?}"
        );
        assert_eq!(node.handler("before-resync-target").code, 0);
        assert!(!lvm(&node).contains("lvremove"));
        node.program("sbin/lvs", &format!("echo '  vg {name}'; echo '  vg root'"));
        let cleared = node.run(&["quarantine", "clear", "r0", "--reason", "looked at"]);
        assert!(cleared.code == 0, "{cleared:?}");
        let line = format!(
            "vg/{name} holds what was on the disk before a resync, and the next resync replaces it; to keep it run: lvrename vg/{name} {name}-kept; when nobody needs it run: lvremove vg/{name}\n"
        );
        assert_eq!(cleared.out, format!("r0 is not in quarantine any more\n{line}"));
        assert_eq!(node.handler("after-resync-target").code, 0);
        assert_eq!(lvm(&node), format!("lvremove --yes --select lv_name={name}\n"));
    });
}

#[test]
fn a_long_name_of_a_resource_refuses_no_resync() {
    let node = Node::new(&handler::binaries()[0]);
    with_lvm(&node);
    proc_drbd(&node, "Outdated");
    let long = "r".repeat(127);
    configured(&node, &long, 1);
    for event in ["before-resync-target", "after-resync-target"] {
        if event == "after-resync-target" {
            overwritten(&node);
        }
        let said = of(node.command(event).env("DRBD_RESOURCE", &long).output().unwrap());
        assert_eq!(said.code, 0, "{said:?}");
    }
    let asked = lvm(&node);
    let (_, name) = asked.rsplit_once("lv_name=").unwrap();
    assert!(
        name.trim().len() <= 64 && asked.contains(&format!("--name {} /dev/vg/lv", name.trim())),
        "{asked}"
    );
}

#[test]
fn somebody_is_told_of_what_is_not_routine() {
    Node::each(|node| {
        node.settings("[handlers]\nnotify = [\"/opt/tell\", \"root\"]\n");
        node.program("opt/tell", "echo \"$1|$2|$3|$4\" >> ROOT/told");
        assert_eq!(node.handler("disconnected").code, 0);
        assert_eq!(node.handler("split-brain").code, 0);
        let told = node.awaited("told", 1);
        assert!(told.starts_with("root|split-brain|r0|handler=split-brain resource=r0 "), "{told}");
        // A program that hangs keeps nobody waiting.
        node.program("opt/tell", "echo $$ > ROOT/hangs; exec sleep 600");
        node.settings("[handlers]\nnotify = [\"/opt/tell\"]\nnotify-seconds = 1\n");
        assert_eq!(node.handler("out-of-sync").code, 0);
        // Its own deadline ends it.
        handler::is_ended(&node.awaited("hangs", 1));
    });
}

#[test]
fn how_long_it_took_is_told() {
    let node = Node::new(&handler::binaries()[0]);
    let said = of(node.command("disconnected").arg("-v").output().unwrap());
    assert!(said.code == 0 && said.err.contains("guests_ms=") && said.err.contains("total_ms="), "{said:?}");
}
