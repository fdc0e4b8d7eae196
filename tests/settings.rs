//! The settings and the programs that they name are believed only where nobody but root could have
//! put them: through the real binary.

#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

#[path = "support/drbd_kernel.rs"]
mod drbd_kernel;
#[path = "support/machine.rs"]
mod machine;
#[path = "support/place.rs"]
mod place;
#[path = "support/xenstored.rs"]
mod xenstored;

use machine::{Machine, said};
use place::Place;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, lchown, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const SETTINGS: &str = "etc/xen/block-drbd.toml";
/// A user who is not root, and another one.
const USER: u32 = 1000;
const OTHER: u32 = 1001;
/// Longer than anything takes here, on a busy machine too.
const SOON: Duration = Duration::from_secs(60);

/// A machine with settings, with one thing about them changed.
fn with(change: &dyn Fn(&Path)) -> Machine {
    let machine = Machine::new();
    machine.settings("strict = false\n");
    change(&machine.path(""));
    machine
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn owner(path: &Path, user: u32) {
    chown(path, Some(user), None).unwrap();
}

/// The settings are a link to a file elsewhere.
fn linked(root: &Path) {
    fs::create_dir(root.join("opt")).unwrap();
    fs::rename(root.join(SETTINGS), root.join("opt/x.toml")).unwrap();
    symlink("/opt/x.toml", root.join(SETTINGS)).unwrap();
}

type Row = (&'static str, &'static dyn Fn(&Path), Option<&'static str>);

/// What is changed, and what is wrong then, if anything.
const ROWS: [Row; 17] = [
    ("as installed", &|_| (), None),
    ("read by others", &|root| mode(&root.join(SETTINGS), 0o644), None),
    ("written by others", &|root| mode(&root.join(SETTINGS), 0o666), Some("mode 0666")),
    ("written by a group", &|root| mode(&root.join(SETTINGS), 0o664), Some("mode 0664")),
    (
        "another user's",
        &|root| owner(&root.join(SETTINGS), USER),
        Some("belongs to user 1000 and not to root"),
    ),
    ("its directory", &|root| mode(&root.join("etc/xen"), 0o777), Some("mode 0777")),
    ("the directory above", &|root| mode(&root.join("etc"), 0o775), Some("mode 0775")),
    ("another user's directory", &|root| owner(&root.join("etc/xen"), USER), Some("belongs to user 1000")),
    ("a sticky directory", &|root| mode(&root.join("etc/xen"), 0o1777), None),
    ("the root itself", &|root| mode(root, 0o777), Some("mode 0777")),
    ("a link of root's", &linked, None),
    (
        "a link of another user's",
        &|root| {
            linked(root);
            lchown(root.join(SETTINGS), Some(USER), None).unwrap();
        },
        Some("run: chown -h root: "),
    ),
    (
        "a link to another user's file",
        &|root| {
            linked(root);
            owner(&root.join("opt/x.toml"), USER);
        },
        Some("belongs to user 1000"),
    ),
    (
        "a link into a directory of everybody",
        &|root| {
            linked(root);
            mode(&root.join("opt"), 0o777);
        },
        Some("mode 0777"),
    ),
    (
        "a link to nothing",
        &|root| {
            linked(root);
            fs::remove_file(root.join("opt/x.toml")).unwrap();
        },
        Some("leads to nothing; bring back what it led to"),
    ),
    (
        "a directory that is a link to nothing",
        &|root| {
            fs::remove_dir_all(root.join("etc/xen")).unwrap();
            symlink("/opt/xen", root.join("etc/xen")).unwrap();
        },
        Some("etc/xen leads to nothing"),
    ),
    (
        "no settings in a directory behind a link",
        &|root| {
            fs::create_dir_all(root.join("opt/xen")).unwrap();
            fs::remove_dir_all(root.join("etc/xen")).unwrap();
            symlink("/opt/xen", root.join("etc/xen")).unwrap();
        },
        None,
    ),
];

#[test]
fn settings_are_believed_only_where_nobody_but_root_could_have_put_them() {
    for (what, change, wrong) in ROWS {
        let machine = with(change);
        let (code, text) = machine.call("add");
        let Some(wrong) = wrong else {
            assert_eq!((code, text), (0, String::new()), "{what}");
            continue;
        };
        assert_eq!((code, machine.role()), (2, 2), "{what}: {text}");
        assert!(text.contains(wrong) && text.lines().count() == 1, "{what}: {text}");
        assert!(machine.backend("hotplug-error").unwrap().contains(wrong), "{what}");
        for arguments in [&["check", "r0"][..], &["facts"], &["rules"], &["migrate", "vm5", "b"]] {
            let (code, text) = said(machine.command(arguments).output().unwrap());
            assert!(code == 2 && text.contains(wrong), "{what}: {arguments:?}: {code} {text}");
        }
    }
}

/// The command of the sentence, typed as it stands, mends it.
#[test]
fn the_remedy_works() {
    for (what, change, wrong) in ROWS.iter().filter(|row| row.2.is_some()) {
        let machine = with(change);
        let (_, text) = machine.call("add");
        let (_, remedy) = text.trim_end().split_once("then run: ").unwrap();
        assert!(Command::new("sh").args(["-c", remedy]).status().unwrap().success(), "{what}: {remedy}");
        assert_eq!(machine.call("add"), (0, String::new()), "{what}: {wrong:?}: {remedy}");
    }
}

#[test]
fn nobody_is_kept_from_being_released_and_a_handler_answers_what_loses_nothing() {
    let machine = Machine::new();
    assert_eq!(machine.call("add"), (0, String::new()));
    machine.program("opt/fence", "echo run >> ROOT/ran\nexit 4");
    machine.settings("[fencing]\nmethods = [{ method = \"program\", command = [\"/opt/fence\"] }]\n");
    owner(&machine.path(SETTINGS), USER);
    let (code, text) = said(machine.handler("fence-peer").output().unwrap());
    assert!(code == 1 && text.contains("belongs to user 1000 and not to root"), "{code} {text}");
    let (code, text) = said(machine.handler("split-brain").output().unwrap());
    assert!(code == 0 && text.contains("belongs to user 1000 and not to root"), "{code} {text}");
    assert!(text.contains("everything is at its default"), "{text}");
    assert!(!machine.path("ran").exists());
    assert_eq!(machine.call("remove"), (0, String::new()));
    assert_eq!(machine.role(), 2);
}

#[test]
fn a_program_that_others_could_have_put_there_is_not_run() {
    type Change = &'static dyn Fn(&Path);
    let rows: [(&str, Change, Option<&str>); 6] = [
        ("root's", &|_| (), None),
        ("written by others", &|root| mode(&root.join("opt/fence"), 0o777), Some("chmod go-w")),
        ("another user's", &|root| owner(&root.join("opt/fence"), USER), Some("chown root:")),
        ("its directory", &|root| mode(&root.join("opt"), 0o777), Some("chmod go-w")),
        ("another user's directory", &|root| owner(&root.join("opt"), USER), Some("chown root:")),
        (
            "a link into a directory of everybody",
            &|root| {
                fs::create_dir(root.join("srv")).unwrap();
                fs::rename(root.join("opt/fence"), root.join("srv/fence")).unwrap();
                symlink("/srv/fence", root.join("opt/fence")).unwrap();
                mode(&root.join("srv"), 0o777);
            },
            Some("chmod go-w"),
        ),
    ];
    for (what, change, wrong) in rows {
        let machine = Machine::new();
        machine.program("opt/fence", "echo run >> ROOT/ran\nexit 4");
        machine.settings(
            "xl = \"/opt/fence\"\n[fencing]\nmethods = [{ method = \"program\", command = [\"/opt/fence\"] }]\n",
        );
        change(&machine.path(""));
        let (code, text) = said(machine.handler("fence-peer").output().unwrap());
        let Some(wrong) = wrong else {
            assert_eq!(code, 4, "{what}: {text}");
            continue;
        };
        assert!(code == 1 && text.contains(wrong) && text.contains("is not run"), "{what}: {code} {text}");
        assert_eq!(machine.call("add"), (0, String::new()), "{what}");
        machine.xenstored.set(&format!("{}/dev", machine::BACKEND), "xvda");
        let (code, text) = said(machine.command(&["migrate", "vm5", "b"]).output().unwrap());
        assert!(code == 2 && text.contains(wrong) && text.contains("is not run"), "{what}: {code} {text}");
        assert!(!machine.path("ran").exists(), "{what}");
    }
}

/// Who is not root believes his own files: with them he misleads nobody but himself.
#[test]
fn a_plain_user_believes_himself_and_root() {
    for (files, believed) in [(USER, true), (0, true), (OTHER, false)] {
        let place = Place::new();
        mode(place.path(), 0o755);
        let binary = place.path().join("block-drbd");
        fs::copy(env!("CARGO_BIN_EXE_block-drbd"), &binary).unwrap();
        let root = place.path().join("root");
        fs::create_dir_all(root.join("etc/xen")).unwrap();
        fs::write(root.join(SETTINGS), "[rules]\ndisk-timeout = \"refuse\"\n").unwrap();
        for path in ["", "etc", "etc/xen", SETTINGS] {
            owner(&root.join(path), files);
        }
        let mut command = Command::new(&binary);
        command.env_clear().arg("--sysroot").arg(&root).args(["rules", "disk-timeout"]);
        let (code, text) = said(command.uid(USER).gid(USER).stdin(Stdio::null()).output().unwrap());
        match believed {
            true => assert!(code == 0 && text.contains("disk-timeout: refuse"), "{files}: {code} {text}"),
            false => assert!(code == 2 && text.contains("belongs to user 1001"), "{files}: {code} {text}"),
        }
    }
}

/// In /tmp anybody may make a file, but only root may exchange one of root's.
#[test]
fn a_file_of_roots_in_a_sticky_directory_is_believed() {
    let path = std::env::temp_dir().join(format!("block-drbd-settings-{}.toml", std::process::id()));
    fs::write(&path, "[rules]\ndisk-timeout = \"refuse\"\n").unwrap();
    mode(&path, 0o600);
    let rules = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_block-drbd"));
        said(command.env_clear().args(["rules", "disk-timeout", "--config"]).arg(&path).output().unwrap())
    };
    let (code, text) = rules();
    assert!(code == 0 && text.contains("disk-timeout: refuse"), "{code} {text}");
    owner(&path, USER);
    let (code, text) = rules();
    assert!(code == 2 && text.contains("belongs to user 1000"), "{code} {text}");
    fs::remove_file(&path).unwrap();
}

/// The settings grow all the time: half of them are never taken for all of them.
#[test]
fn settings_that_change_while_they_are_read_are_not_believed() {
    let machine = Machine::new();
    let line = format!("# {}\n", "x".repeat(97));
    machine.settings(&line.repeat(80_000));
    let (done, started) = (AtomicBool::new(false), Instant::now());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            use std::io::Write;
            let mut file = fs::File::options().append(true).open(machine.path(SETTINGS)).unwrap();
            // Not without end: what is larger than 16 MiB is another mistake.
            while !done.load(Ordering::Relaxed) && file.metadata().unwrap().len() < 15 << 20 {
                file.write_all(b"#\n").unwrap();
            }
        });
        loop {
            let (code, text) = said(machine.command(&["rules"]).output().unwrap());
            if code == 2 {
                done.store(true, Ordering::Relaxed);
                assert_eq!(text.lines().count(), 1, "{text}");
                assert!(text.contains("it was changed while it was read; run it again"), "{text}");
                break;
            }
            assert!(code == 0 && started.elapsed() < SOON, "{code} {text:.200}");
        }
    });
    assert_eq!(said(machine.command(&["rules"]).output().unwrap()).0, 0, "nobody writes any more");
}
