//! Records that cannot be relied on, whoever made them so: no guest gets a disk on one, nothing
//! is demoted on one, and `status` says which file, why, and what to do.

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
use nix::sys::stat::Mode;
use nix::unistd::{Uid, chown, mkfifo};
use said::{Said, said};
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

const PRIMARY: u32 = 1;
const CLAIM: &str = "run/block-drbd/claims/r0.json";

fn run(machine: &Machine, arguments: &[&str]) -> Said {
    said(&mut machine.command(arguments))
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn foreign(path: &Path) {
    chown(path, Some(Uid::from_raw(65534)), None).unwrap();
}

fn rewrite(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(path, text.replace(from, to)).unwrap();
}

/// Puts something else in the place of a file.
fn instead(path: &Path, put: impl Fn(&Path)) {
    fs::remove_file(path).unwrap();
    put(path);
}

/// What can be wrong with a good record, and the words for it.
type Spoiled = (&'static str, fn(&Path));
const SPOILED: [Spoiled; 15] = [
    ("cannot be understood (EOF", |path| fs::write(path, "").unwrap()),
    ("cannot be understood (EOF", |path| {
        let text = fs::read(path).unwrap();
        fs::write(path, &text[..text.len() / 2]).unwrap();
    }),
    ("cannot be understood (trailing characters", |path| {
        let text = fs::read(path).unwrap();
        fs::write(path, [&text[..], &text[..]].concat()).unwrap();
    }),
    ("cannot be understood (expected value", |path| fs::write(path, "\u{0}\u{1b}[2J").unwrap()),
    ("it is not UTF-8 text", |path| fs::write(path, b"{\"version\":1,\"\xff\":1}").unwrap()),
    ("is of version 2, this program knows version 1", |path| rewrite(path, "\"version\":1", "\"version\":2")),
    ("is of version 2, this program", |path| fs::write(path, "{\"version\":2,\"new\":{}}").unwrap()),
    ("belongs to user 65534 and not to root", foreign),
    ("others than root may write to /run/block-drbd/", |path| mode(path, 0o660)),
    ("others than root may write to /run/block-drbd/", |path| mode(path, 0o602)),
    ("is not a regular file", |path| {
        let aside = path.with_extension("aside");
        fs::rename(path, &aside).unwrap();
        symlink(&aside, path).unwrap();
    }),
    ("is not a regular file", |path| instead(path, |path| symlink("missing", path).unwrap())),
    ("is not a regular file", |path| instead(path, |path| mkfifo(path, Mode::S_IRWXU).unwrap())),
    ("is not a regular file", |path| instead(path, |path| fs::create_dir(path).unwrap())),
    ("is larger than 16 MiB", |path| {
        File::options().write(true).open(path).unwrap().set_len(100 << 20).unwrap()
    }),
];

/// A guest runs, and its record is spoiled.
fn running(spoil: fn(&Path)) -> Machine {
    let machine = Machine::new();
    assert_eq!(machine.call("add"), (0, String::new()));
    machine.xenstored.set(&format!("{BACKEND}/state"), "4");
    spoil(&machine.path(CLAIM));
    machine
}

#[test]
fn nothing_is_given_away_or_demoted_on_a_claim_that_cannot_be_relied_on() {
    for (words, spoil) in SPOILED
        .iter()
        .copied()
        .chain([("is a record of \"r1\"", (|path| rewrite(path, "\"r0\"", "\"r1\"")) as fn(&Path))])
    {
        let machine = running(spoil);
        let remedy = "then run: rm /run/block-drbd/claims/r0.json && block-drbd release r0";
        let tells = |text: &str| {
            assert!(text.contains("/run/block-drbd/claims/r0.json"), "{words}: {text}");
            assert!(text.contains(words) && text.contains(remedy), "{words}: {text}");
        };
        let asked = machine.drbd.log().len();
        let status = run(&machine, &["status"]);
        assert_eq!(status.code, 1, "{words}: {status:?}");
        tells(&status.out);
        assert!(status.out.contains("vm5 (5, xvda)\n"), "the guest is shown all the same: {status:?}");
        for arguments in [&["release", "r0"][..], &["release", "--recorded", "r0"], &["release", "--all"]] {
            let release = run(&machine, arguments);
            assert_eq!(release.code, 3, "{words}: {release:?}");
            tells(&release.err);
        }
        let remove = run(&machine, &["remove"]);
        assert!(remove.code == 3 && remove.err.contains("r0 stays as it is: "), "{words}: {remove:?}");
        tells(&remove.err);
        assert_eq!(machine.role(), PRIMARY, "{words}");

        machine.xenstored.remove(BACKEND);
        machine.guest(6, 51712, "r0");
        let add = said(machine.command(&["add"]).env("XENBUS_PATH", "backend/vbd/6/51712"));
        assert!(add.code == 3 && add.err.contains("[held]"), "{words}: {add:?}");
        tells(&add.err);
        assert_eq!(machine.drbd.log().len(), asked, "{words}: no role was asked for");
        assert!(fs::symlink_metadata(machine.path(CLAIM)).is_ok(), "{words}: it stays to be looked at");
    }
}

#[test]
fn the_remedy_ends_it() {
    let machine = running(foreign);
    machine.xenstored.remove(BACKEND);
    assert_eq!(run(&machine, &["status"]).code, 1);
    fs::remove_file(machine.path(CLAIM)).unwrap();
    let release = run(&machine, &["release", "r0"]);
    assert_eq!((release.code, release.out.as_str()), (0, "r0 is released, of which nothing was recorded\n"));
    assert_eq!(run(&machine, &["status"]).code, 0);
    machine.guest(5, 51712, "r0");
    assert_eq!(machine.call("add"), (0, String::new()));
}

/// The peer may have gone on: what says that this node has must be root's own word.
#[test]
fn no_guest_starts_without_the_peer_on_a_record_that_cannot_be_relied_on() {
    let other: Spoiled = ("is a record of \"r1\"", |path| rewrite(path, "\"r0\"", "\"r1\""));
    for (words, spoil) in SPOILED.into_iter().chain([other]) {
        let machine = Machine::new();
        machine.settings("connecting-seconds = 0\n");
        assert_eq!(machine.call("add"), (0, String::new()));
        machine.volume(drbd_kernel::Volume::lose_peer);
        machine.guest_ends();
        spoil(&machine.path("run/block-drbd/lone/r0.json"));
        let asked = machine.drbd.log().len();
        let (code, text) = machine.call("add");
        assert!(code == 1 && text.contains("[peer-unfenced]"), "{words}: {code} {text}");
        assert!(text.contains("/run/block-drbd/lone") && text.contains(words), "{words}: {text}");
        assert_eq!(machine.drbd.log().len(), asked, "{words}: no role was asked for");
    }
}

#[test]
fn a_record_of_a_flush_that_cannot_be_relied_on_is_shown_and_replaced() {
    for (words, spoil) in SPOILED {
        let machine = Machine::new();
        let path = format!("run/block-drbd/flushes/r0.{}.json", machine.device.minor);
        assert_eq!(machine.call("add"), (0, String::new()));
        assert_eq!(machine.call("remove"), (0, String::new()));
        machine.xenstored.remove(&format!("{BACKEND}/physical-device"));
        spoil(&machine.path(&path));
        let status = run(&machine, &["status"]);
        assert!(status.code == 1 && status.out.contains(words), "{words}: {status:?}");
        assert!(status.out.contains(&format!("do: run: rm /{path}, ")), "{words}: {status:?}");
        let check = run(&machine, &["check", "r0"]);
        assert!(check.code == 3 && check.out.contains("[flush-probe]"), "{words}: {check:?}");
        assert!(check.out.contains(words), "{words}: {check:?}");
        assert_eq!(machine.call("add"), (0, String::new()), "{words}: an add tries its own");
    }
}

/// Closing a window takes nothing from anybody: DRBD refuses it while both nodes are Primary.
#[test]
fn a_window_that_cannot_be_relied_on_is_shown_and_ended() {
    let directory = "is not a regular file";
    for (count, (words, spoil)) in SPOILED.into_iter().enumerate() {
        let machine = Machine::new();
        let path = "run/block-drbd/windows/r0.json";
        machine.file(path, r#"{"version":1,"resource":"r0","vm":"/vm/5","domid":5,"opened":1}"#);
        machine.drbd.with(|model| model.resources[0].two_primaries = true);
        spoil(&machine.path(path));
        let status = run(&machine, &["status"]);
        assert!(status.code == 1 && status.out.contains(words), "{words}: {status:?}");
        assert!(status.out.contains("do: to end the window run: block-drbd release r0\n"), "{status:?}");
        let release = run(&machine, &["release", "r0"]);
        assert!(!machine.drbd.with(|model| model.resources[0].two_primaries), "{words}: {release:?}");
        let is_directory = words == directory && machine.path(path).is_dir();
        match is_directory {
            true => assert!(release.code == 4 && release.err.contains("Is a directory"), "{release:?}"),
            false => {
                assert_eq!(release.code, 0, "{count} {words}: {release:?}");
                assert_eq!(run(&machine, &["status"]).code, 0, "{words}");
            }
        }
    }
}

#[test]
fn what_a_peer_said_is_not_believed_from_anybodys_hand() {
    for (words, spoil) in SPOILED.iter().filter(|(words, _)| !words.contains("version")) {
        let machine = Machine::new();
        machine.file("var/lib/block-drbd/peers/r0.json", "[]");
        let path = machine.path("var/lib/block-drbd/peers/r0.json");
        let before = run(&machine, &["check", "r0"]);
        assert!(before.code == 0 && !before.out.contains("peers/r0.json"), "{before:?}");
        spoil(&path);
        let after = run(&machine, &["check", "r0"]);
        assert!(after.code == 0 && after.out.contains("peer-durability-unknown"), "{words}: {after:?}");
        assert!(after.out.contains("/var/lib/block-drbd/peers/r0.json"), "{words}: {after:?}");
        machine.file("etc/xen/block-drbd.toml", "strict = true\n");
        let strict = run(&machine, &["add"]);
        assert!(strict.code == 3 && strict.err.contains("[peer-durability-unknown]"), "{words}: {strict:?}");
    }
}

#[test]
fn a_forged_memory_of_other_guests_is_not_believed() {
    let machine = Machine::new();
    machine.file("proc/sys/kernel/osrelease", "6.1.0-56-amd64\n");
    machine.file("sys/bus/xen-backend/devices/vbd-5-51712", "");
    machine.file("sys/bus/xen-backend/devices/vbd-9-51712", "");
    machine.guest(9, 51712, "r0");
    let ours = format!("7:{:x}", machine.device.minor);
    machine.xenstored.set("/local/domain/0/backend/vbd/9/51712/physical-device", &ours);
    let other = machine.path("sys/bus/xen-backend/devices/vbd-9-51712");
    let inode = std::os::unix::fs::MetadataExt::ino(&fs::metadata(other).unwrap());
    machine.file("run/block-drbd/vbds", &format!("9 51712 {inode} fd:1\n"));
    assert_eq!(run(&machine, &["add"]).code, 0, "the memory is believed where it is ours");
    assert_eq!(machine.call("remove").0, 0);
    machine.xenstored.remove(&format!("{BACKEND}/physical-device"));
    machine.file("run/block-drbd/vbds", &format!("9 51712 {inode} fd:1\n"));
    foreign(&machine.path("run/block-drbd/vbds"));
    let add = run(&machine, &["add"]);
    assert!(add.code == 1 && add.err.contains("[other-guest]"), "{add:?}");
}

/// What can be wrong with a directory of ours.
const EXPOSED: [Spoiled; 5] = [
    ("others than root may write to", |path| mode(path, 0o777)),
    ("others than root may write to", |path| mode(path, 0o1770)),
    ("belongs to user 65534 and not to root", foreign),
    ("is not a directory", |path| {
        let aside = path.with_extension("aside");
        fs::rename(path, &aside).unwrap();
        symlink(&aside, path).unwrap();
    }),
    ("is not a directory", |path| {
        fs::remove_dir_all(path).unwrap();
        fs::write(path, "").unwrap();
    }),
];

#[test]
fn a_directory_that_others_may_write_into_is_not_used() {
    for (words, expose) in EXPOSED {
        for directory in ["run/block-drbd", "run/block-drbd/claims"] {
            let machine = running(|_| ());
            expose(&machine.path(directory));
            let asked = machine.drbd.log().len();
            let tells = |text: &str| {
                assert!(
                    text.contains(words) && text.contains(&format!("/{directory}")),
                    "{directory}: {text}"
                );
                let remedy = format!("chown root: /{directory} && chmod 0700 /{directory}");
                assert!(text.contains(&remedy), "{directory}: {text}");
            };
            let status = run(&machine, &["status"]);
            assert_eq!(status.code, 1, "{directory}: {status:?}");
            tells(&status.out);
            assert_eq!(status.out.matches("needs you: ").count(), 1, "once is enough: {status:?}");
            for arguments in [&["release", "r0"][..], &["release", "--all"], &["remove"]] {
                let said = run(&machine, arguments);
                assert!(said.code == 3 || said.code == 4, "{arguments:?}: {said:?}");
                tells(&said.err);
            }
            assert_eq!(machine.role(), PRIMARY);
            machine.xenstored.remove(BACKEND);
            machine.guest(5, 51712, "r0");
            let add = run(&machine, &["add"]);
            assert!(add.code == 3 || add.code == 4, "{directory}: {add:?}");
            tells(&add.err);
            assert!(add.err.contains(&machine.backend("hotplug-error").unwrap()), "{add:?}");
            assert_eq!(machine.drbd.log().len(), asked, "{directory}: no role was asked for");
        }
    }
}

#[test]
fn what_is_made_is_for_root_alone() {
    let machine = Machine::new();
    fs::remove_dir_all(machine.path("run/block-drbd")).unwrap();
    assert_eq!(machine.call("add").0, 0);
    for (path, wanted) in [
        ("run/block-drbd", 0o700),
        ("run/block-drbd/claims", 0o700),
        ("run/block-drbd/lock", 0o700),
        ("run/block-drbd/claims/r0.json", 0o600),
        ("run/block-drbd/lock/r0", 0o600),
    ] {
        let found = fs::metadata(machine.path(path)).unwrap().permissions().mode() & 0o7777;
        assert_eq!(found, wanted, "{path}: {found:o}");
    }
}
