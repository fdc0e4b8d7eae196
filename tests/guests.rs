//! Who has a disk already, through the real binary on a machine in a directory.

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

/// Guest 5 runs on r0, and the toolstack has written what guest `domid` asks for.
fn beside(domid: u32, devid: u32, params: &str) -> Machine {
    let machine = Machine::new();
    assert_eq!(machine.call("add"), (0, String::new()));
    machine.guest(domid, devid, params);
    machine
}

/// `add` for a device other than that of guest 5.
fn add(machine: &Machine, domid: u32, devid: u32) -> (i32, String) {
    let path = format!("backend/vbd/{domid}/{devid}");
    said(machine.command(&["add"]).env("XENBUS_PATH", path).output().unwrap())
}

#[track_caller]
fn refused(machine: &Machine, domid: u32, devid: u32, words: &str) {
    let (code, text) = add(machine, domid, devid);
    assert!(code == 1 && text.contains(words), "{code}: {text}");
    let backend = format!("/local/domain/0/backend/vbd/{domid}/{devid}");
    assert_eq!(machine.xenstored.get(&format!("{backend}/physical-device")), None);
    assert_eq!(machine.xenstored.get(&format!("{backend}/hotplug-status")).as_deref(), Some("error"));
}

/// `xl migrate-receive` is what calls.
fn receiving(machine: &Machine) {
    machine.file(&format!("proc/{}/cmdline", std::process::id()), "xl\0migrate-receive\0");
}

fn domain(machine: &Machine, domid: u32, name: &str, value: &str) {
    machine.xenstored.set(&format!("/local/domain/{domid}/{name}"), value);
}

#[test]
fn a_copied_uuid_gives_no_second_guest_the_disk() {
    let machine = beside(6, 51712, "r0");
    domain(&machine, 6, "vm", "/vm/5");
    refused(&machine, 6, 51712, "belongs to guest vm5 (domain 5) [other-guest]");
    receiving(&machine);
    refused(&machine, 6, 51712, "[other-guest]");
    domain(&machine, 6, "name", "vm6--incoming");
    refused(&machine, 6, 51712, "[other-guest]");
    domain(&machine, 6, "name", "vm5--incoming");
    assert_eq!(add(&machine, 6, 51712), (0, String::new()), "the other half of guest 5");
}

#[test]
fn no_guest_gets_one_disk_twice() {
    let machine = beside(5, 51728, "r0/0");
    refused(&machine, 5, 51728, "is the disk xvda of this guest already [other-guest]");
}

#[test]
fn a_stub_domain_has_the_disks_of_its_guest() {
    let machine = beside(6, 51712, "r0");
    domain(&machine, 6, "target", "4");
    refused(&machine, 6, 51712, "[other-guest]");
    domain(&machine, 6, "target", "5");
    assert_eq!(add(&machine, 6, 51712), (0, String::new()));
}

/// Below Xen 4.2 the guest owns its own directory in xenstore.
#[test]
fn an_old_guest_does_not_pass_for_another() {
    for (name, value) in [("target", "5"), ("vm", "/vm/6"), ("name", "vm6--migratedaway")] {
        let machine = beside(6, 51712, "r0");
        machine.file("sys/hypervisor/version/minor", "1\n");
        domain(&machine, 5, name, value);
        refused(&machine, 6, 51712, "[other-guest]");
    }
}
