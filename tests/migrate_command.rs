//! `migrate DOMAIN HOST` through the real binary, with an xl that does what the test says.

#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

#[path = "support/drbd_kernel.rs"]
mod drbd_kernel;
#[path = "support/machine.rs"]
mod machine;
#[path = "support/place.rs"]
mod place;
#[path = "support/xenstored.rs"]
mod xenstored;

use machine::{BACKEND, Machine, said};
use std::fs;

/// Guest 5 runs here on r0, and `xl` is this script.
fn running(xl: &str) -> Machine {
    let machine = Machine::new();
    assert_eq!(machine.call("add"), (0, String::new()));
    machine.xenstored.set(&format!("{BACKEND}/dev"), "xvda");
    let xl = xl.replace("BLOCK-DRBD", env!("CARGO_BIN_EXE_block-drbd"));
    machine.program("usr/sbin/xl", &format!("echo \"xl: $*\"\n{xl}"));
    machine
}

fn migrate(machine: &Machine, arguments: &[&str]) -> (i32, String) {
    let mut command = machine.command(&[&["migrate"], arguments].concat());
    said(command.env("PATH", "/usr/bin:/bin").output().unwrap())
}

/// What libxl does when the guest runs on the other host.
const REMOVE: &str = "BLOCK-DRBD --sysroot ROOT remove";

#[test]
fn a_guest_moves_by_xl() {
    let machine = running(REMOVE);
    let (code, text) = migrate(&machine, &["vm5", "b"]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("xl: migrate 5 b\n"), "{text}");
    assert!(text.contains("b is not asked beforehand: the settings have no [peers.b]"), "{text}");
    assert!(text.contains("vm5 runs on b, and r0 is Secondary here"), "{text}");
    let machine = running(REMOVE);
    let (code, text) = migrate(&machine, &["5", "b", "-s", "ssh -i key"]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("xl: migrate -s ssh -i key 5 b\n"), "{text}");
}

#[test]
fn the_other_host_is_told_beforehand_who_comes() {
    let machine = running(REMOVE);
    machine.program("bin/expect-b", "echo \"$*\" >> ROOT/announced; exit $(cat ROOT/code)");
    machine.settings("[peers.b]\ncommand = [\"/bin/true\"]\nexpect-command = [\"/bin/expect-b\", \"x\"]\n");
    machine.file("code", "0");
    let uuid = "11111111-2222-3333-4444-555555555555";
    machine.xenstored.set("/local/domain/5/vm", &format!("/vm/{uuid}"));
    let generation = machine.drbd.with(|model| model.resources[0].volumes[0].current_uuid);
    let (code, text) = migrate(&machine, &["vm5", "b"]);
    assert_eq!(code, 0, "{text}");
    let announced = fs::read_to_string(machine.path("announced")).unwrap();
    assert_eq!(announced, format!("x {uuid} 5 vm5 r0/0={generation:016X}:51712\n"));
}

#[test]
fn a_host_that_cannot_be_told_asks_itself() {
    let machine = running(REMOVE);
    machine.program("bin/expect-b", "exit 3");
    machine.settings("[peers.b]\ncommand = [\"/bin/true\"]\nexpect-command = [\"/bin/expect-b\"]\n");
    machine.xenstored.set("/local/domain/5/vm", "/vm/11111111-2222-3333-4444-555555555555");
    let (code, text) = migrate(&machine, &["vm5", "b"]);
    assert!(
        code == 0 && text.contains("vm5 is not announced to b, which asks when it arrives"),
        "{code}: {text}"
    );
}

#[test]
fn xl_that_fails_is_told() {
    let machine = running("exit 3");
    let (code, text) = migrate(&machine, &["vm5", "b"]);
    assert_eq!(code, 4, "{text}");
    assert!(text.contains("vm5 did not move to b"), "{text}");
    fs::remove_file(machine.path("usr/sbin/xl")).unwrap();
    let (code, text) = migrate(&machine, &["vm5", "b"]);
    assert!(code == 3 && text.contains("starting /"), "{text}");
}

/// xl gets the number, whatever the guest is called, and the terminal gets printable letters.
#[test]
fn a_name_chooses_neither_the_guest_nor_an_option_nor_what_the_terminal_does() {
    for name in ["7", "-Cx", "a b", "\u{1b}]0;x\u{7}\u{202e}\u{200b}\u{9b}31m", "two\nlines\r"] {
        for (xl, code) in [(REMOVE, 0), ("exit 3", 4)] {
            let machine = running(xl);
            machine.guest(7, 51712, "other");
            machine.xenstored.set("/local/domain/5/name", name);
            let (found, text) = migrate(&machine, &["5", "b"]);
            assert_eq!(found, code, "{name:?}: {text}");
            assert!(text.contains("xl: migrate 5 b\n"), "{name:?}: {text}");
            let printable = |letter: char| letter == '\n' || (' '..='~').contains(&letter);
            assert!(text.chars().all(printable), "{name:?}: {text:?}");
            assert_eq!(text.lines().count(), 4, "{name:?}: one line each for us, xl, us: {text:?}");
        }
    }
}

/// As with xl itself.
#[test]
fn a_word_of_digits_is_a_number_and_never_a_name() {
    let machine = running(REMOVE);
    machine.xenstored.set("/local/domain/5/name", "7");
    let (code, text) = migrate(&machine, &["7", "b"]);
    assert!(code == 3 && text.contains("there is no guest 7 on this host"), "{text}");
    machine.guest(7, 51712, "other");
    let (code, text) = migrate(&machine, &["7", "b"]);
    assert!(code == 1 && text.contains("vm7 has the disk"), "{text}");
    machine.xenstored.set("/local/domain/7/name", "vm");
    machine.xenstored.set("/local/domain/5/name", "vm");
    let (code, text) = migrate(&machine, &["vm", "b"]);
    assert!(code == 3 && text.contains("domains 5 and 7 are both called vm; name the one"), "{text}");
}

#[test]
fn xl_is_the_one_that_is_set() {
    let machine = running("exit 3");
    machine.program(
        "opt/xl",
        &format!("echo \"other: $*\"\n{}", REMOVE.replace("BLOCK-DRBD", env!("CARGO_BIN_EXE_block-drbd"))),
    );
    machine.settings("xl = \"/opt/xl\"\n");
    let (code, text) = migrate(&machine, &["vm5", "b"]);
    assert!(code == 0 && text.contains("other: migrate 5 b\n"), "{text}");
}

/// What the migration has left open is closed afterwards.
#[test]
fn the_window_is_closed_when_xl_has_ended() {
    let machine = running("touch ROOT/arrived; until [ -e ROOT/go ]; do sleep 0.05; done");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !machine.path("arrived").exists() {
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            machine.drbd.with(|model| {
                model.resources[0].two_primaries = true;
                let volume = &mut model.resources[0].volumes[0];
                (volume.role, volume.peer_role) = (2, 1);
            });
            machine.file("go", "");
        });
        let (code, text) = migrate(&machine, &["vm5", "b"]);
        assert_eq!(code, 0, "{text}");
    });
    assert!(!machine.drbd.with(|model| model.resources[0].two_primaries));
}

#[test]
fn what_cannot_move_does_not_set_out() {
    let machine = running(REMOVE);
    let refused = |arguments: &[&str], code: i32, words: &str| {
        let (found, text) = migrate(&machine, arguments);
        assert_eq!(found, code, "{arguments:?}: {text}");
        assert!(text.contains(words), "{arguments:?}: {text}");
        assert!(!text.contains("xl: "), "{arguments:?}: {text}");
    };
    refused(&["vm9", "b"], 3, "there is no guest vm9 on this host");
    refused(&["--", "-vm5", "b"], 2, "is not the name of a guest or a host");
    refused(&["vm5", "b;reboot"], 2, "is not the name of a guest or a host");
    refused(&["vm5", "b\u{1b}[31m"], 2, "is not the name of a guest or a host");
    refused(&["vm5"], 2, "block-drbd --help");

    let volume = |change: &dyn Fn(&mut drbd_kernel::Volume)| {
        machine.drbd.with(|model| change(&mut model.resources[0].volumes[0]));
    };
    volume(&|volume| volume.conn = 8);
    refused(&["vm5", "b"], 1, "r0 is Connecting from 10.0.0.2:");
    volume(&|volume| (volume.conn, volume.peer_disk) = (10, 4));
    refused(&["vm5", "b"], 1, "is Inconsistent, and a guest moves between equal disks only");
    volume(&|volume| (volume.peer_disk, volume.peer_role) = (8, 1));
    refused(&["vm5", "b"], 1, "r0 is Primary on 10.0.0.2:");
    volume(&|volume| volume.peer_role = 2);
    machine.drbd.with(|model| model.resources[0].protocol = 2);
    refused(&["vm5", "b"], 1, "uses protocol B");
    machine.drbd.with(|model| model.resources[0].protocol = 3);

    let other = drbd_kernel::Volume {
        number: 1,
        minor: 999,
        ..machine.drbd.with(|model| model.resources[0].volumes[0].clone())
    };
    machine.drbd.with(|model| model.resources[0].volumes.push(other));
    machine.guest(6, 51712, "r0/1");
    machine.xenstored.set("/local/domain/0/backend/vbd/6/51712/physical-device", "7:3e7");
    refused(
        &["vm5", "b"],
        1,
        "guest vm6 (domain 6) has a volume of r0, too, and a resource moves as a whole",
    );
    machine.xenstored.remove("/local/domain/0/backend/vbd/6");
    machine.drbd.with(|model| model.resources[0].volumes.truncate(1));

    machine.guest(5, 51728, "/dev/vg/swap");
    machine.xenstored.set("/local/domain/0/backend/vbd/5/51728/physical-device", "fd:1");
    machine.xenstored.set("/local/domain/0/backend/vbd/5/51728/dev", "xvdb");
    refused(&["vm5", "b"], 1, "vm5 has the disk xvdb (/dev/vg/swap), which is not replicated");
    machine.xenstored.remove("/local/domain/0/backend/vbd/5/51728");
    assert_eq!(migrate(&machine, &["vm5", "b"]).0, 0, "nothing of all that is left");
}
