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
    machine.program("bin/xl", &format!("echo \"xl: $*\"\n{xl}"));
    machine
}

fn migrate(machine: &Machine, arguments: &[&str]) -> (i32, String) {
    let mut command = machine.command(&[&["migrate"], arguments].concat());
    let path = format!("{}:/usr/bin:/bin", machine.path("bin").display());
    said(command.env("PATH", path).output().unwrap())
}

/// What libxl does when the guest runs on the other host.
const REMOVE: &str = "BLOCK-DRBD --sysroot ROOT remove";

#[test]
fn a_guest_moves_by_xl() {
    let machine = running(REMOVE);
    let (code, text) = migrate(&machine, &["vm5", "b"]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("xl: migrate vm5 b\n"), "{text}");
    assert!(text.contains("b is not asked beforehand: the settings have no [peers.b]"), "{text}");
    assert!(text.contains("vm5 runs on b, and r0 is Secondary here"), "{text}");
    let machine = running(REMOVE);
    let (code, text) = migrate(&machine, &["5", "b", "-s", "ssh -i key"]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("xl: migrate -s ssh -i key vm5 b\n"), "{text}");
}

#[test]
fn xl_that_fails_is_told() {
    let machine = running("exit 3");
    let (code, text) = migrate(&machine, &["vm5", "b"]);
    assert_eq!(code, 4, "{text}");
    assert!(text.contains("vm5 did not move to b"), "{text}");
    fs::remove_file(machine.path("bin/xl")).unwrap();
    let (code, text) = migrate(&machine, &["vm5", "b"]);
    assert!(code == 3 && text.contains("starting xl"), "{text}");
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

    machine.guest(5, 51728, "/dev/vg/swap");
    machine.xenstored.set("/local/domain/0/backend/vbd/5/51728/physical-device", "fd:1");
    machine.xenstored.set("/local/domain/0/backend/vbd/5/51728/dev", "xvdb");
    refused(&["vm5", "b"], 1, "vm5 has the disk xvdb (/dev/vg/swap), which is not replicated");
    machine.xenstored.remove("/local/domain/0/backend/vbd/5/51728");
    assert_eq!(migrate(&machine, &["vm5", "b"]).0, 0, "nothing of all that is left");
}
