//! add and remove through the real binary, on a machine in a directory.

#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

#[path = "support/drbd_kernel.rs"]
mod drbd_kernel;
#[path = "support/machine.rs"]
mod machine;
#[path = "support/place.rs"]
mod place;
#[path = "support/xenstored.rs"]
mod xenstored;

use drbd_kernel::{Fault, Resource};
use machine::{BACKEND, Machine, said};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::time::{Duration, Instant};
use xenstored::op;

const PRIMARY: u32 = 1;
const SECONDARY: u32 = 2;
const PRIMARY_COMMAND: u8 = 14;
const SECONDARY_COMMAND: u8 = 15;

/// The add is refused or fails with `code`, `hotplug-error` is the sentence on
/// stderr with `words`, and nothing is left behind.
#[track_caller]
fn refused(machine: &Machine, code: i32, words: &str) {
    let (found, text) = machine.call("add");
    assert!(text.contains(words), "{text}");
    assert_eq!(found, code, "{text}");
    let error = machine.backend("hotplug-error").unwrap_or_default();
    assert!(!error.is_empty() && text.contains(&error), "{error:?} is not {text:?}");
    assert_eq!(machine.backend("hotplug-status").as_deref(), Some("error"));
    nothing_is_left(machine);
}

#[track_caller]
fn nothing_is_left(machine: &Machine) {
    assert_eq!(machine.backend("physical-device"), None);
    assert_eq!(machine.role(), SECONDARY);
    assert_eq!(machine.claim(), None);
}

#[test]
fn a_guest_starts_and_stops() {
    let machine = Machine::new();
    assert_eq!(machine.call("add"), (0, String::new()));
    let minor = machine.device.minor;
    assert_eq!(machine.backend("physical-device"), Some(format!("7:{minor:x}")));
    assert_eq!(machine.backend("physical-device-path"), Some(format!("/dev/drbd{minor}")));
    assert_eq!(machine.backend("hotplug-status").as_deref(), Some("connected"));
    assert_eq!(machine.role(), PRIMARY);
    assert!(machine.claim().unwrap().contains("\"domid\":5"));

    machine.xenstored.set(&format!("{BACKEND}/state"), "4");
    assert_eq!(machine.call("add"), (0, String::new()), "a second add is harmless");
    assert_eq!(machine.role(), PRIMARY);

    assert_eq!(machine.call("remove"), (0, String::new()));
    assert_eq!(machine.role(), SECONDARY);
    assert_eq!(machine.claim(), None);
    assert_eq!(machine.call("remove"), (0, String::new()), "a second remove is harmless");
    assert!(machine.drbd.log().iter().all(|asked| !asked.force));
}

#[test]
fn the_legacy_prefix_names_the_same_resource() {
    let machine = Machine::new();
    machine.guest(5, 51712, "drbd:r0/0");
    assert_eq!(machine.call("add"), (0, String::new()));
    assert_eq!(machine.call("remove"), (0, String::new()));
    assert_eq!(machine.role(), SECONDARY);
}

#[test]
fn a_backend_directory_that_is_gone_is_not_brought_back() {
    let machine = Machine::new();
    machine.xenstored.remove(BACKEND);
    let (code, text) = machine.call("add");
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("backend directory is gone"), "{text}");
    assert_eq!(machine.backend("hotplug-error"), None);
    assert_eq!(machine.call("remove").0, 0);
    assert_eq!(machine.backend("hotplug-error"), None);
}

#[test]
fn a_directory_that_vanishes_between_two_reads_rolls_back() {
    let machine = Machine::new();
    let mut seen = 0;
    machine.xenstored.before(op::READ, &format!("{BACKEND}/params"), move |tree| {
        seen += 1;
        if seen == 3 {
            tree.remove(BACKEND).unwrap();
        }
    });
    let (code, text) = machine.call("add");
    assert_ne!(code, 0, "{text}");
    assert_eq!(machine.backend("hotplug-error"), None);
    nothing_is_left(&machine);
}

#[test]
fn the_toolstack_gives_up_between_promotion_and_attach() {
    let machine = Machine::new();
    let mut seen = 0;
    machine.xenstored.before(op::READ, &format!("{BACKEND}/state"), move |tree| {
        seen += 1;
        if seen == 3 {
            tree.set(&format!("{BACKEND}/state"), b"5");
        }
    });
    refused(&machine, 4, "is in state 5");
    assert_eq!(
        machine.drbd.log().iter().filter(|asked| asked.primary).count(),
        1,
        "it was promoted and demoted"
    );
}

#[test]
fn refusals() {
    let machine = Machine::new();
    let minor = machine.device.minor;
    let volume = |change: &dyn Fn(&mut drbd_kernel::Volume)| {
        machine.drbd.with(|model| {
            let fresh = Resource::healthy("r0", &[minor]);
            model.resources = vec![fresh];
            change(&mut model.resources[0].volumes[0]);
        });
    };
    volume(&|volume| volume.peer_role = PRIMARY);
    refused(&machine, 1, "[peer-primary]");
    volume(&|volume| volume.disk = 4);
    refused(&machine, 1, "is Inconsistent [disk-state]");
    volume(&|volume| volume.conn = 0);
    refused(&machine, 1, "[standalone]");
    volume(&|_| ());
    machine.drbd.with(|model| model.resources[0].suspended[0] = true);
    refused(&machine, 1, "[io-suspended]");
    volume(&|_| ());
    machine.file("proc/self/mountinfo", &format!("25 1 7:{minor} / /mnt rw - ext4 /dev/drbd rw\n"));
    refused(&machine, 1, "is mounted on /mnt in this domain [mounted]; run: umount /mnt");
    machine.file("proc/self/mountinfo", "");
    machine.file("proc/swaps", &format!("Filename\n/dev/drbd{minor} partition 1 0 -2\n"));
    refused(&machine, 1, "[swap]");
    machine.file("proc/swaps", "Filename\n");
    let holder = format!("sys/block/drbd{minor}/holders/dm-0");
    machine.file(&holder, "");
    refused(&machine, 1, "is held by dm-0 in this domain [held]");
    std::fs::remove_file(machine.path(&holder)).unwrap();
    machine.guest(9, 51712, "r0");
    machine.xenstored.set("/local/domain/0/backend/vbd/9/51712/physical-device", &format!("7:{minor:x}"));
    refused(&machine, 1, "belongs to guest vm9 (domain 9) [other-guest]");
    machine.xenstored.remove("/local/domain/0/backend/vbd/9");
    assert_eq!(machine.call("add"), (0, String::new()), "nothing of all that is left");
}

/// What drbd.conf says of r0 here: a handler for a lost peer, and its program.
fn fence_peer(machine: &Machine, command: &str) {
    machine.file("etc/drbd.conf", &format!("resource r0 {{ handlers {{ fence-peer \"{command}\"; }} }}\n"));
    machine.file("usr/lib/drbd/fence.sh", "#!/bin/sh\nexit 1\n");
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(machine.path("usr/lib/drbd/fence.sh"), executable).unwrap();
}

#[test]
fn a_guest_that_would_freeze_without_its_peer_does_not_start() {
    let machine = Machine::new();
    machine.drbd.with(|model| model.resources[0].fencing = 2);
    refused(&machine, 3, "[fencing-handler]; see that drbdadm dump r0 works on a");
    fence_peer(&machine, "/usr/lib/drbd/gone.sh");
    refused(&machine, 1, "which does not exist: when the peer is lost, a guest freezes until it is back");
    fence_peer(&machine, "/usr/lib/drbd/fence.sh --once");
    assert_eq!(machine.call("add"), (0, String::new()));
}

#[test]
fn a_start_without_fencing_reads_no_drbd_conf() {
    let machine = Machine::new();
    machine.file("etc/drbd.conf", "this is { no drbd.conf");
    let add = || said(machine.command(&["add", "--verbose"]).output().unwrap());
    let (code, text) = add();
    assert!(code == 0 && !text.contains("handlers_ms="), "{text}");
    assert_eq!(machine.call("remove"), (0, String::new()));
    machine.drbd.with(|model| model.resources[0].fencing = 2);
    let (code, text) = add();
    assert!(code == 3 && text.contains("handlers_ms="), "{text}");
    assert!(text.contains("what fences the peer of r0 for a is unknown: /etc/drbd.conf:1:"), "{text}");
}

#[test]
fn bad_params() {
    let machine = Machine::new();
    let long = "x".repeat(3000);
    for params in ["", "all", "drbd:all", "--force", "r0,vdev=xvda", "r0;reboot", "$(reboot)", "../r0", &long]
    {
        machine.guest(5, 51712, params);
        refused(&machine, 1, "[resource-name]");
    }
    machine.guest(5, 51712, "r1");
    refused(&machine, 1, "has no resource r1 up [resource-unknown]; run: drbdadm up r1");
    machine.guest(5, 51712, "r0/7");
    refused(&machine, 1, "has no volume 7");
    machine.drbd.with(|model| model.resources[0] = Resource::healthy("r0", &[machine.device.minor, 77]));
    machine.guest(5, 51712, "r0");
    refused(&machine, 1, "names none [volume]; write target=r0/0");
    assert!(machine.drbd.log().is_empty(), "no role was asked for");
}

#[test]
fn bad_xenbus_paths() {
    let machine = Machine::new();
    for (path, words) in [
        (None, "XENBUS_PATH is not set"),
        (Some("backend/vbd/5"), "is not backend/vbd/DOMAIN/DEVICE"),
        (Some("../../etc"), "is not backend/vbd/DOMAIN/DEVICE"),
        (Some("/local/domain/3/backend/vbd/5/51712"), "driver domains are not supported"),
    ] {
        let mut command = machine.command(&["add"]);
        match path {
            Some(path) => command.env("XENBUS_PATH", path),
            None => command.env_remove("XENBUS_PATH"),
        };
        let (code, text) = said(command.output().unwrap());
        assert_eq!(code, 2, "{text}");
        assert!(text.contains(words), "{text}");
    }
    nothing_is_left(&machine);
}

#[test]
fn no_drbd() {
    let machine = Machine::new();
    machine.drbd.with(|model| model.faults.insert(3, Fault::Errno(2)));
    std::fs::remove_file(machine.path("proc/drbd")).unwrap();
    refused(&machine, 3, "modprobe drbd");
    machine.file("proc/drbd", "version: 8.4.11 (api:1/proto:86-101)\n");
    refused(&machine, 3, "DRBD 8.4.11 is loaded and has no generic netlink family");
}

/// 8.3 has no netlink: files tell its state, and nothing can change its roles.
#[test]
fn drbd_8_3() {
    let machine = Machine::new();
    machine.drbd.with(|model| model.faults.insert(3, Fault::Errno(2)));
    let version = "version: 8.3.16 (api:88/proto:86-97)\n";
    machine.file("proc/drbd", version);
    refused(&machine, 1, "DRBD has no resource r0 up");
    let minor = machine.device.minor;
    let line = format!("{minor}: cs:Connected ro:Secondary/Secondary ds:UpToDate/UpToDate C r-----\n");
    machine.file("proc/drbd", &format!("{version}{line}"));
    machine.file("proc/sys/kernel/hostname", "a\n");
    let device = format!("device minor {minor}; disk /dev/x; meta-disk internal;");
    machine.file("etc/drbd.conf", &format!("resource r0 {{ {device} on a {{ }} on b {{ }} }}"));
    refused(&machine, 1, "which block-drbd cannot promote: it has no generic netlink [barrier-era]");
}

#[test]
fn no_xenstore() {
    let machine = Machine::new();
    std::fs::remove_file(machine.path("run/xenstored/socket")).unwrap();
    let (code, text) = machine.call("add");
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("xenstore"), "{text}");
    nothing_is_left(&machine);
}

#[test]
fn xenstored_dies_in_the_middle_of_the_transaction() {
    let machine = Machine::new();
    machine.xenstored.close_on(op::TRANSACTION_END, 1);
    let (code, text) = machine.call("add");
    assert_eq!(code, 4, "{text}");
    assert_eq!(machine.role(), SECONDARY);
    assert_eq!(machine.claim(), None);
}

#[test]
fn a_slow_xenstored_does_not_outlast_the_caller() {
    let machine = Machine::new();
    machine.file("sys/hypervisor/version/minor", "1\n");
    machine.xenstored.delay(Duration::from_secs(3));
    let started = Instant::now();
    let (code, text) = machine.call("add");
    assert_ne!(code, 0, "{text}");
    assert!(started.elapsed() < Duration::from_secs(10), "{text}");
    nothing_is_left(&machine);
}

#[test]
fn drbd_refuses_after_all() {
    let machine = Machine::new();
    machine.drbd.with(|model| model.faults.insert(PRIMARY_COMMAND, Fault::Refuse(-2)));
    refused(&machine, 4, "no access to UpToDate data");
}

#[test]
fn a_promotion_that_never_returns_is_given_up() {
    let machine = Machine::new();
    machine.file("sys/hypervisor/version/minor", "1\n");
    machine.drbd.with(|model| model.faults.insert(PRIMARY_COMMAND, Fault::Silent));
    let started = Instant::now();
    refused(&machine, 4, "the time allowed for it is over");
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_device_that_is_not_the_device_is_refused() {
    let machine = Machine::new();
    let node = machine.path(&format!("dev/drbd{}", machine.device.minor));
    std::fs::remove_file(&node).unwrap();
    refused(&machine, 4, "No such file");
    std::fs::write(&node, "a regular file").unwrap();
    refused(&machine, 4, "is not a block device");
}

#[test]
fn a_signal_rolls_back() {
    let machine = Machine::new();
    machine.drbd.with(|model| model.faults.insert(PRIMARY_COMMAND, Fault::Silent));
    let child = machine.start("add");
    while machine.claim().is_none() {
        std::thread::yield_now();
    }
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM).unwrap();
    let (code, text) = said(child.wait_with_output().unwrap());
    assert_eq!(code, 4, "{text}");
    assert!(text.contains("signal 15"), "{text}");
    nothing_is_left(&machine);
}

#[test]
fn a_killed_add_is_cleaned_up_by_remove() {
    let machine = Machine::new();
    machine.drbd.with(|model| model.faults.insert(PRIMARY_COMMAND, Fault::Delay(Duration::from_millis(300))));
    let mut child = machine.start("add");
    while machine.claim().is_none() {
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    machine.drbd.with(|model| {
        model.faults.clear();
        model.volume(machine.device.minor).unwrap().role = PRIMARY;
    });
    assert_eq!(machine.call("remove"), (0, String::new()));
    nothing_is_left(&machine);
}

#[test]
fn remove_waits_until_the_device_is_closed() {
    let machine = Machine::new();
    assert_eq!(machine.call("add").0, 0);
    let minor = machine.device.minor;
    machine.drbd.with(|model| model.volume(minor).unwrap().open = true);
    let child = machine.start("remove");
    while machine.drbd.log().iter().filter(|asked| !asked.primary).count() < 3 {
        std::thread::yield_now();
    }
    machine.drbd.with(|model| model.volume(minor).unwrap().open = false);
    assert_eq!(said(child.wait_with_output().unwrap()), (0, String::new()));
    assert_eq!(machine.role(), SECONDARY);
}

#[test]
fn what_cannot_be_released_in_time_is_released_later() {
    let machine = Machine::new();
    machine.file("sys/hypervisor/version/minor", "1\n");
    assert_eq!(machine.call("add").0, 0);
    let minor = machine.device.minor;
    machine.drbd.with(|model| model.volume(minor).unwrap().open = true);
    let (code, text) = machine.call("remove");
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("still Primary") && text.contains("released as soon as"), "{text}");
    assert!(machine.claim().unwrap().contains("\"users\":[]"), "the record is a pending release");
    machine.drbd.with(|model| model.volume(minor).unwrap().open = false);
    released_later(&machine);
}

#[test]
fn the_last_volume_of_a_resource_releases_it() {
    let machine = Machine::new();
    let minor = machine.device.minor;
    assert_eq!(machine.call("add").0, 0);
    machine.guest(6, 51712, "r0");
    let other = "/local/domain/0/backend/vbd/6/51712";
    machine.xenstored.set("/local/domain/6/vm", "/vm/5");
    machine.xenstored.set("/local/domain/6/name", "vm5--incoming");
    machine.file(&format!("proc/{}/cmdline", std::process::id()), "xl\0migrate-receive\0");
    let call = |action: &str| {
        said(machine.command(&[action]).env("XENBUS_PATH", "backend/vbd/6/51712").output().unwrap())
    };
    assert_eq!(call("add"), (0, String::new()), "the same guest, migrating to its own host");
    assert_eq!(machine.xenstored.get(&format!("{other}/physical-device")), Some(format!("7:{minor:x}")));
    assert_eq!(machine.call("remove"), (0, String::new()));
    assert_eq!(machine.role(), PRIMARY, "the other half still runs");
    machine.xenstored.remove("/local/domain/0/backend/vbd/5");
    assert_eq!(call("remove"), (0, String::new()));
    assert_eq!(machine.role(), SECONDARY);
}

/// A role that somebody else has given is not taken over: DRBD is asked first whether anybody uses it.
#[test]
fn what_is_primary_by_hand_is_handed_back_and_promoted_anew() {
    let machine = Machine::new();
    machine.drbd.with(|model| model.volume(machine.device.minor).unwrap().role = PRIMARY);
    assert_eq!(machine.call("add"), (0, String::new()));
    let asked: Vec<bool> = machine.drbd.log().iter().map(|asked| asked.primary).collect();
    assert_eq!(asked, [false, true]);
    assert_eq!(machine.call("remove").0, 0);
    assert_eq!(machine.role(), SECONDARY);
}

#[test]
fn a_demotion_that_fails_during_roll_back_is_recorded() {
    let machine = Machine::new();
    let node = machine.path(&format!("dev/drbd{}", machine.device.minor));
    std::fs::remove_file(&node).unwrap();
    machine.drbd.with(|model| model.faults.insert(SECONDARY_COMMAND, Fault::Refuse(-10)));
    let (code, text) = machine.call("add");
    assert_eq!(code, 4, "{text}");
    assert!(text.contains("released as soon as"), "{text}");
    assert!(machine.claim().unwrap().contains("\"users\":[]"));
    machine.drbd.with(|model| model.faults.clear());
    released_later(&machine);
}

#[test]
fn an_add_that_fails_on_a_pending_resource_leaves_it_pending() {
    let machine = Machine::new();
    let minor = machine.device.minor;
    machine.drbd.with(|model| model.volume(minor).unwrap().role = PRIMARY);
    let record = format!(r#"{{"version":1,"resource":"r0","promoted":[{minor}],"users":[]}}"#);
    machine.file("run/block-drbd/claims/r0.json", &record);
    std::fs::remove_file(machine.path(&format!("dev/drbd{minor}"))).unwrap();
    assert_eq!(machine.call("add").0, 4);
    released_later(&machine);
}

#[test]
fn all_that_could_not_be_undone_is_told() {
    let machine = Machine::new();
    machine.drbd.with(|model| model.faults.insert(drbd_kernel::SECONDARY, Fault::Refuse(-17)));
    let claims = machine.path("run/block-drbd/claims");
    let path = format!("{BACKEND}/physical-device");
    machine.xenstored.refuse(op::WRITE, &path, "EACCES");
    machine.xenstored.before(op::WRITE, &path, move |_| {
        std::fs::remove_dir_all(&claims).unwrap();
        std::fs::write(&claims, "").unwrap();
    });
    let (code, text) = machine.call("add");
    assert_eq!(code, 4, "{text}");
    for words in ["r0 could not be demoted", "; the record of r0 is wrong: "] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
fn an_add_that_fails_after_a_killed_one_releases_what_that_left() {
    let machine = Machine::new();
    let minor = machine.device.minor;
    machine.drbd.with(|model| model.volume(minor).unwrap().role = PRIMARY);
    let user = format!(r#"{{"domid":5,"devid":51712,"minor":{minor}}}"#);
    let record = format!(r#"{{"version":1,"resource":"r0","promoted":[{minor}],"users":[{user}]}}"#);
    machine.file("run/block-drbd/claims/r0.json", &record);
    std::fs::remove_file(machine.path(&format!("dev/drbd{minor}"))).unwrap();
    let (code, text) = machine.call("add");
    assert_eq!(code, 4, "{text}");
    assert!(text.contains("is released as soon as it can be"), "{text}");
    released_later(&machine);
}

/// Who ignores SIGCHLD hands that on to what he starts: no child can be waited for.
#[test]
fn a_caller_that_ignores_sigchld() {
    let machine = Machine::new();
    for action in ["add", "remove"] {
        let mut shell = std::process::Command::new("sh");
        let program = machine.command(&[action]);
        shell.args(["-c", "trap '' CHLD; exec \"$0\" \"$@\""]).arg(program.get_program());
        shell.args(program.get_args()).envs(program.get_envs().filter_map(|(k, v)| Some((k, v?))));
        assert_eq!(said(shell.output().unwrap()), (0, String::new()), "{action}");
    }
    assert_eq!(machine.role(), SECONDARY);
}

/// Waits for the detached release.
#[track_caller]
fn released_later(machine: &Machine) {
    let limit = Instant::now() + Duration::from_secs(20);
    while machine.claim().is_some() {
        assert!(Instant::now() < limit, "the detached release did not come");
        std::thread::yield_now();
    }
    assert_eq!(machine.role(), SECONDARY);
}

#[test]
fn under_udev_the_exit_code_is_good_and_the_error_stands() {
    let machine = Machine::new();
    machine.guest(5, 51712, "all");
    let mut command = machine.command(&["add"]);
    command.env_remove("script").env("SUBSYSTEM", "xen-backend").env("ACTION", "add");
    let (code, text) = said(command.output().unwrap());
    assert_eq!(code, 0, "{text}");
    assert!(machine.backend("hotplug-error").unwrap().contains("[resource-name]"));
}

#[test]
fn status_says_who_has_what() {
    let machine = Machine::new();
    let status = || said(machine.command(&["status"]).output().unwrap());
    let (code, text) = status();
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("r0 ") && text.contains("Secondary") && text.contains("nobody\n"), "{text}");
    assert_eq!(machine.call("add").0, 0);
    let (_, text) = status();
    assert!(text.contains("Primary") && text.contains("vm5 (5, xvda)\n"), "{text}");
    machine.xenstored.remove("/local/domain/0/backend/vbd/5");
    let (code, text) = status();
    assert!(code == 0 && text.contains("nobody: release pending for "), "{code} {text}");
    let (code, text) = said(machine.command(&["release", "--all"]).output().unwrap());
    assert_eq!((code, text.as_str()), (0, "r0 is released\n"));
    nothing_is_left(&machine);
    let (code, text) = said(machine.command(&["release", "r0"]).output().unwrap());
    assert_eq!((code, text.as_str()), (0, "r0: nothing is recorded, and it is not Primary\n"));
}

#[test]
fn a_remove_without_xenstore_releases_what_is_on_record() {
    let machine = Machine::new();
    assert_eq!(machine.call("add").0, 0);
    std::fs::remove_file(machine.path("run/xenstored/socket")).unwrap();
    assert_eq!(machine.call("remove").0, 0);
    assert_eq!(machine.role(), SECONDARY);
    assert_eq!(machine.claim(), None);
}

#[test]
fn a_running_guest_is_not_released() {
    let machine = Machine::new();
    assert_eq!(machine.call("add").0, 0);
    let (code, text) = said(machine.command(&["release", "--all"]).output().unwrap());
    assert_eq!((code, text.as_str()), (0, "r0: r0 is in use\n"));
    assert_eq!(machine.role(), PRIMARY);
}

#[test]
fn wrong_calls() {
    let machine = Machine::new();
    for (arguments, words) in [
        (&["release", "all"][..], "every resource"),
        (&["release", "-x"], "unexpected argument"),
        (&["release"], "required"),
        (&["attach"], "unrecognized subcommand"),
        (&[], "requires a subcommand"),
        (&["rules", "no-such-rule"], "there is no rule"),
    ] {
        let (code, text) = said(machine.command(arguments).output().unwrap());
        assert_eq!(code, 2, "{arguments:?}: {text}");
        assert!(text.contains(words), "{arguments:?}: {text}");
    }
}

#[test]
fn a_record_that_cannot_be_understood_is_not_ignored() {
    let machine = Machine::new();
    for text in ["", "{", "{\"version\":2,\"resource\":\"r0\",\"promoted\":[],\"users\":[]}", "\u{0}\u{1}"] {
        machine.file("run/block-drbd/claims/r0.json", text);
        let (code, said) = machine.call("add");
        assert_eq!(code, 3, "{said}");
        assert!(said.contains("claims/r0.json") && said.contains("[held]"), "{said}");
        let (code, text) = machine::said(machine.command(&["release", "--all"]).output().unwrap());
        assert!(code == 3 && text.contains("claims/r0.json"), "{code} {text}");
    }
    assert!(machine.drbd.log().is_empty());
}

#[test]
fn settings_that_cannot_be_understood_give_no_disk_and_keep_none() {
    let machine = Machine::new();
    machine.file("etc/xen/block-drbd.toml", "flush-second = 5\n");
    refused(&machine, 2, "unknown field `flush-second`");
    machine.file("etc/xen/block-drbd.toml", "flush-seconds = 5\n");
    assert_eq!(machine.call("add").0, 0);
    machine.file("etc/xen/block-drbd.toml", "[");
    assert_eq!(machine.call("remove").0, 0);
    assert_eq!(machine.role(), SECONDARY);
}

/// Other guests with disks that are not DRBD's, as the kernel and xenstore list them.
fn others(machine: &Machine, count: u32) {
    for domid in 100..100 + count {
        machine.guest(domid, 51712, "/dev/vg/disk");
        let node = format!("/local/domain/0/backend/vbd/{domid}/51712/physical-device");
        machine.xenstored.set(&node, "fd:1");
        machine.file(&format!("sys/bus/xen-backend/devices/vbd-{domid}-51712"), "");
    }
}

#[test]
fn what_one_add_has_read_of_other_guests_the_next_does_not_read_again() {
    let machine = Machine::new();
    machine.file("proc/sys/kernel/osrelease", "6.1.0-56-amd64\n");
    machine.file("sys/bus/xen-backend/devices/vbd-5-51712", "");
    others(&machine, 100);
    let reads = |machine: &Machine| {
        let before = machine.xenstored.requests(op::READ);
        assert_eq!(machine.call("add"), (0, String::new()));
        let reads = machine.xenstored.requests(op::READ) - before;
        machine.xenstored.remove(&format!("{BACKEND}/physical-device"));
        reads
    };
    let (first, second) = (reads(&machine), reads(&machine));
    assert!(first > 200 && second < 40, "{first} reads, then {second}");
    let device = format!("7:{:x}", machine.device.minor);
    machine.guest(100, 51712, "r0");
    // Renamed into its place, the successor has an inode of its own for certain.
    machine.file("sys/bus/xen-backend/devices/new", "");
    let [new, old] =
        ["new", "vbd-100-51712"].map(|name| machine.path(&format!("sys/bus/xen-backend/devices/{name}")));
    std::fs::rename(new, old).unwrap();
    machine.xenstored.set("/local/domain/0/backend/vbd/100/51712/physical-device", &device);
    let (code, text) = machine.call("add");
    assert_eq!(code, 1, "a device of the same name is not the one that is remembered: {text}");
    assert!(text.contains("[other-guest]"), "{text}");
}

#[test]
fn an_add_waits_for_a_peer_that_is_being_connected() {
    let machine = Machine::new();
    machine.settings("healing-seconds = 0\nconnecting-seconds = 20\n");
    machine.volume(drbd_kernel::Volume::lose_peer);
    let child = machine.start("add");
    while machine.drbd.with(|model| model.listed) < 3 {
        std::thread::yield_now();
    }
    assert!(machine.drbd.log().is_empty(), "no role was asked for");
    machine.volume(drbd_kernel::Volume::meet_peer);
    assert_eq!(said(child.wait_with_output().unwrap()), (0, String::new()));
    assert_eq!(machine.role(), PRIMARY);
}

#[test]
fn an_add_does_not_wait_for_ever_for_a_peer_that_does_not_come() {
    let machine = Machine::new();
    machine.settings("healing-seconds = 0\nconnecting-seconds = 1\n");
    machine.volume(drbd_kernel::Volume::lose_peer);
    let started = Instant::now();
    refused(&machine, 1, "from being Primary too [peer-unfenced]");
    assert!(started.elapsed() >= Duration::from_secs(1), "{:?}", started.elapsed());
    assert!(machine.drbd.log().is_empty(), "no role was asked for");
    machine.settings("healing-seconds = 20\nconnecting-seconds = 0\n");
    refused(&machine, 1, "[peer-unfenced]");
    machine.settings("connecting-seconds = 20\n");
    machine.volume(|volume| volume.conn = 0);
    refused(&machine, 1, "[standalone]");
    assert!(started.elapsed() < Duration::from_secs(12), "what does not heal is not waited for");
}

#[test]
fn waiting_leaves_the_time_to_say_why_not() {
    let machine = Machine::new();
    machine.file("sys/hypervisor/version/minor", "1\n");
    machine.settings("connecting-seconds = 20\n");
    machine.volume(drbd_kernel::Volume::lose_peer);
    let started = Instant::now();
    refused(&machine, 1, "[peer-unfenced]");
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
}

/// With the peer connected, DRBD needs no handler.
#[test]
fn an_add_waits_for_the_peer_before_drbd_asks_the_handler() {
    let machine = Machine::new();
    machine.settings("healing-seconds = 0\nconnecting-seconds = 20\n");
    machine.drbd.with(|model| (model.resources[0].fencing, model.resources[0].fences) = (1, true));
    fence_peer(&machine, "/usr/lib/drbd/fence.sh");
    // The disk of a node that has booted alone.
    for disk in [8, 7] {
        machine.volume(drbd_kernel::Volume::lose_peer);
        machine.volume(|volume| volume.disk = disk);
        machine.drbd.with(|model| model.listed = 0);
        let asked = machine.drbd.log().len();
        let child = machine.start("add");
        while machine.drbd.with(|model| model.listed) < 3 {
            std::thread::yield_now();
        }
        assert_eq!(machine.drbd.log().len(), asked, "no role was asked for");
        machine.volume(drbd_kernel::Volume::meet_peer);
        machine.volume(|volume| volume.disk = 8);
        assert_eq!(said(child.wait_with_output().unwrap()), (0, String::new()));
        assert_eq!(machine.role(), PRIMARY);
        machine.guest_ends();
    }
}

#[test]
fn a_role_that_another_program_gives_in_the_same_moment_is_not_taken_over() {
    let machine = Machine::new();
    // DRBD answers that the volume is Primary already, although it was Secondary a moment before.
    machine.drbd.with(|model| model.faults.insert(PRIMARY_COMMAND, Fault::Refuse(2)));
    refused(&machine, 4, "another program has made r0 Primary in the same moment");
    assert_eq!(machine.drbd.log().len(), 1, "the role is not taken back either");
}

/// A fence-peer handler decides, and DRBD asks it: no rule stands before that.
#[test]
fn fencing_decides_about_a_peer_that_is_out_of_sight() {
    let machine = Machine::new();
    machine.settings("connecting-seconds = 1\n");
    let started = Instant::now();
    machine.volume(drbd_kernel::Volume::lose_peer);
    machine.drbd.with(|model| model.resources[0].fencing = 1);
    let fenced = "the peer is not known to be Outdated, fencing forbids to become Primary; see why with: journalctl -b -t block-drbd -g fence-peer";
    refused(&machine, 4, fenced);
    assert!(started.elapsed() >= Duration::from_secs(1), "the peer is waited for: {:?}", started.elapsed());
    machine.drbd.with(|model| model.resources[0].fences = true);
    assert_eq!(machine.call("add"), (0, String::new()));
    assert_eq!(machine.role(), PRIMARY);
}

#[test]
fn a_guest_that_reboots_without_the_peer_starts_again() {
    let machine = Machine::new();
    machine.settings("connecting-seconds = 0\n");
    assert_eq!(machine.call("add"), (0, String::new()));
    assert_eq!(machine.lone(), None);
    machine.volume(drbd_kernel::Volume::lose_peer);
    for _ in 0..2 {
        machine.guest_ends();
        assert!(machine.lone().unwrap().contains("\"resource\":\"r0\""));
        assert_eq!(machine.call("add"), (0, String::new()));
        assert_eq!(machine.role(), PRIMARY);
    }
    machine.guest_ends();
    // The host boots: /run is empty, and the peer may have gone on.
    std::fs::remove_dir_all(machine.path("run/block-drbd")).unwrap();
    refused(&machine, 1, "[peer-unfenced]");
}

#[test]
fn what_was_recorded_without_the_peer_ends_when_it_is_met() {
    let machine = Machine::new();
    machine.settings("connecting-seconds = 0\n");
    assert_eq!(machine.call("add"), (0, String::new()));
    machine.volume(drbd_kernel::Volume::lose_peer);
    machine.guest_ends();
    machine.volume(drbd_kernel::Volume::meet_peer);
    machine.volume(drbd_kernel::Volume::lose_peer);
    refused(&machine, 1, "[peer-unfenced]");
    machine.volume(drbd_kernel::Volume::meet_peer);
    assert_eq!(machine.call("add"), (0, String::new()));
    assert_eq!(machine.lone(), None, "it is forgotten");
    machine.guest_ends();
    assert_eq!(machine.lone(), None, "a connected release records nothing");
    machine.volume(drbd_kernel::Volume::lose_peer);
    refused(&machine, 1, "[peer-unfenced]");
}

#[test]
fn a_failed_add_leaves_the_record_without_the_peer_as_it_was() {
    let machine = Machine::new();
    machine.settings("connecting-seconds = 0\n");
    assert_eq!(machine.call("add"), (0, String::new()));
    machine.volume(drbd_kernel::Volume::lose_peer);
    machine.guest_ends();
    let record = machine.lone();
    let data = machine.drbd.with(|model| model.resources[0].volumes[0].clone());
    machine.volume(drbd_kernel::Volume::meet_peer);
    machine.drbd.with(|model| model.faults.insert(PRIMARY_COMMAND, Fault::Refuse(-2)));
    refused(&machine, 4, "no access to UpToDate data");
    assert_eq!(machine.lone(), record);
    machine.drbd.with(|model| {
        model.faults.clear();
        model.resources[0].volumes[0] = data;
    });
    assert_eq!(machine.call("add"), (0, String::new()));
}

#[test]
fn a_record_without_the_peer_that_cannot_be_read_allows_nothing() {
    let machine = Machine::new();
    machine.settings("connecting-seconds = 0\n");
    machine.volume(drbd_kernel::Volume::lose_peer);
    for (text, words) in [
        ("", "lone/r0.json cannot be understood"),
        ("{\"version\":2,\"resource\":\"r0\",\"volumes\":[]}", "is of version 2"),
        ("{\"version\":1,\"resource\":\"r1\",\"volumes\":[]}", "is a record of \"r1\""),
    ] {
        machine.file("run/block-drbd/lone/r0.json", text);
        refused(&machine, 1, words);
        assert_eq!(machine.lone().as_deref(), Some(text), "it is left to whoever can read it");
    }
    machine.volume(drbd_kernel::Volume::meet_peer);
    assert_eq!(machine.call("add"), (0, String::new()), "it keeps no guest from a peer that is there");
    machine.volume(drbd_kernel::Volume::lose_peer);
    machine.guest_ends();
    assert_eq!(machine.call("add"), (0, String::new()), "what is known now stands in its place");
}

#[test]
fn a_record_that_cannot_be_written_keeps_nothing_from_being_released() {
    let machine = Machine::new();
    machine.settings("connecting-seconds = 0\n");
    assert_eq!(machine.call("add"), (0, String::new()));
    machine.volume(drbd_kernel::Volume::lose_peer);
    machine.file("run/block-drbd/lone", "a file in the place of the directory");
    let (code, text) = machine.call("remove");
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("what r0 has written without its peer is not recorded"), "{text}");
    assert_eq!(machine.role(), SECONDARY);
    assert_eq!(machine.claim(), None);
}

/// The peer may be Primary as well: then going on here would be a second writer.
#[test]
fn a_guest_that_may_live_on_with_the_peer_leaves_no_record_without_it() {
    for (name, two_primaries) in [(Some("vm5--migratedaway"), false), (None, false), (Some("vm5"), true)] {
        let machine = Machine::new();
        machine.settings("connecting-seconds = 0\n");
        assert_eq!(machine.call("add"), (0, String::new()));
        machine.volume(drbd_kernel::Volume::lose_peer);
        machine.drbd.with(|model| model.resources[0].two_primaries = two_primaries);
        match name {
            Some(name) => machine.xenstored.set("/local/domain/5/name", name),
            None => machine.xenstored.remove("/local/domain/5/name"),
        }
        machine.guest_ends();
        assert_eq!(machine.lone(), None, "{name:?}");
        refused(&machine, 1, "[peer-unfenced]");
    }
}
