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
    refused(&machine, 6, 51712, "; also: other-guest");
    domain(&machine, 6, "name", "vm5--incoming");
    machine.guest(6, 51728, "r0");
    domain(&machine, 6, "vm", "/vm/5");
    domain(&machine, 6, "name", "vm5--incoming");
    refused(&machine, 6, 51728, "; also: other-guest");
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

#[test]
fn a_guest_on_the_disk_below_the_volume_has_it_too() {
    let machine = Machine::new();
    machine.guest(4, 51712, "/dev/vda");
    let device = "/local/domain/0/backend/vbd/4/51712/physical-device";
    machine.xenstored.set(device, "fe:0");
    refused(&machine, 5, 51712, "stands on vda, which domain 4 has as a disk [other-guest]");
    std::fs::remove_file(machine.path("sys/block/vda/dev")).unwrap();
    let (code, text) = add(&machine, 5, 51712);
    assert!(code == 3 && text.contains("whether a guest has a device below"), "{code}: {text}");
    machine.file("sys/block/vda/dev", "254:0\n");
    machine.xenstored.set(device, "fd:1");
    assert_eq!(add(&machine, 5, 51712), (0, String::new()));
}

/// Guest 4 has a partition of the disk below the volume, the disk itself where the volume is on a partition, and
/// one partition beside another, which is healthy.
#[test]
fn a_guest_on_a_part_of_the_disk_below_has_it_too() {
    let machine = Machine::new();
    machine.guest(4, 51712, "/dev/vda1");
    let device = "/local/domain/0/backend/vbd/4/51712/physical-device";
    machine.xenstored.set(device, "fe:1");
    for part in ["1", "2"] {
        machine.file(&format!("sys/block/vda/vda{part}/dev"), &format!("254:{part}\n"));
    }
    refused(&machine, 5, 51712, "stands on vda1, a part of vda, which domain 4 has as a disk [other-guest]");

    let slaves = format!("sys/block/drbd{}/slaves", machine.device.minor);
    std::fs::remove_file(machine.path(&format!("{slaves}/vda"))).unwrap();
    machine.file(&format!("{slaves}/vda2"), "");
    machine.volume(|volume| volume.backing = "/dev/vda2".into());
    machine.xenstored.set(device, "fe:0");
    refused(&machine, 5, 51712, "stands on vda, which domain 4 has as a disk [other-guest]");
    machine.xenstored.set(device, "fe:1");
    assert_eq!(add(&machine, 5, 51712), (0, String::new()), "another partition of the disk");
}

/// By qemu, which Xen's list of backend devices does not have, and by a loop device.
#[test]
fn a_guest_that_reaches_the_disk_below_by_another_way_has_it_too() {
    let machine = Machine::new();
    let node = |name: &str, number: (u64, u64)| {
        let device = nix::sys::stat::makedev(number.0, number.1);
        let mode = nix::sys::stat::Mode::from_bits_truncate(0o600);
        let kind = nix::sys::stat::SFlag::S_IFBLK;
        nix::sys::stat::mknod(&machine.path(name), kind, mode, device).unwrap();
    };
    node("dev/vda", (254, 0));
    node("dev/vdb", (254, 16));
    std::os::unix::fs::symlink("vda", machine.path("dev/disk")).unwrap();
    let qdisk = "/local/domain/0/backend/qdisk/4/51712";
    machine.xenstored.set(&format!("{qdisk}/params"), "aio:/dev/disk");
    machine.xenstored.set(&format!("{qdisk}/state"), "4");
    refused(&machine, 5, 51712, "stands on vda, which domain 4 has as a disk [other-guest]");

    machine.file("sys/block/loop999/dev", "7:999\n");
    machine.file("sys/block/loop999/loop/backing_file", "/dev/vda\n");
    node("dev/loop999", (7, 999));
    machine.xenstored.set(&format!("{qdisk}/params"), "aio:/dev/loop999");
    refused(&machine, 5, 51712, "stands on loop999, a loop device on vda, which domain 4");
    machine.xenstored.remove(qdisk);

    machine.guest(4, 51712, "/dev/vda");
    machine.xenstored.set("/local/domain/0/backend/vbd/4/51712/physical-device", "7:3e7");
    refused(&machine, 5, 51712, "stands on loop999, a loop device on vda, which domain 4");
    machine.file("sys/block/loop999/loop/backing_file", "/dev/vdb\n");
    assert_eq!(add(&machine, 5, 51712), (0, String::new()), "a loop device on another disk");
}

/// Guest 4 has the DRBD device that the volume is stacked on.
#[test]
fn a_guest_on_the_drbd_device_below_has_it_too() {
    let machine = Machine::new();
    machine.file("sys/block/drbd999/dev", "7:999\n");
    machine.file("sys/block/drbd999/slaves/vda", "");
    let slaves = format!("sys/block/drbd{}/slaves", machine.device.minor);
    std::fs::remove_file(machine.path(&format!("{slaves}/vda"))).unwrap();
    machine.file(&format!("{slaves}/drbd999"), "");
    machine.volume(|volume| volume.backing = "/dev/drbd999".into());
    machine.guest(4, 51712, "lower");
    machine.xenstored.set("/local/domain/0/backend/vbd/4/51712/physical-device", "7:3e7");
    refused(&machine, 5, 51712, "stands on drbd999, which domain 4 has as a disk [other-guest]");
}

/// The toolstack has removed its directory, and blkback has it open.
#[test]
fn a_device_that_only_the_kernel_lists_counts() {
    let machine = Machine::new();
    machine.settings("healing-seconds = 1\n");
    let listed = "sys/bus/xen-backend/devices/vbd-4-51712";
    let own = format!("7:{:x}\n", machine.device.minor);
    machine.file("sys/bus/xen-backend/devices/vbd-5-51712/nodename", "");
    for (device, words) in [("fe:0\n", "stands on vda, which domain 4"), (&own, "belongs to domain 4")] {
        machine.file(&format!("{listed}/physical_device"), device);
        refused(&machine, 5, 51712, words);
    }
    std::fs::remove_file(machine.path(&format!("{listed}/physical_device"))).unwrap();
    let (code, text) = add(&machine, 5, 51712);
    assert!(code == 3 && text.contains("the kernel lists a device of domain 4"), "{code}: {text}");
    std::fs::remove_dir(machine.path(listed)).unwrap();
    assert_eq!(add(&machine, 5, 51712), (0, String::new()));
}

#[test]
fn a_guest_that_leaves_the_disk_below_is_waited_for() {
    let machine = Machine::new();
    machine.settings("healing-seconds = 1\n");
    let backend = "/local/domain/0/backend/vbd/4/51712";
    machine.guest(4, 51712, "/dev/vda");
    machine.xenstored.set(&format!("{backend}/physical-device"), "fe:0");
    machine.xenstored.set(&format!("{backend}/online"), "0");
    refused(&machine, 5, 51712, "[other-guest]; wait until domain 4 is gone");
    machine.xenstored.set(&format!("{backend}/state"), "6");
    assert_eq!(add(&machine, 5, 51712), (0, String::new()), "it is closed");
}

#[test]
fn two_guests_do_not_share_a_resource() {
    let machine = Machine::new();
    let first = machine.drbd.with(|model| model.resources[0].volumes[0].clone());
    let second = drbd_kernel::Volume { number: 1, minor: 999, role: 1, ..first };
    machine.drbd.with(|model| model.resources[0].volumes.push(second));
    machine.guest(4, 51712, "r0/1");
    machine.xenstored.set("/local/domain/0/backend/vbd/4/51712/physical-device", "7:3e7");
    machine.guest(5, 51712, "r0/0");
    refused(&machine, 5, 51712, "guest vm4 (domain 4) has another volume of r0 (/dev/drbd999)");
    // It moves in from the peer, whose window would never close.
    machine.volume(|volume| volume.peer_role = 1);
    domain(&machine, 5, "name", "vm5--incoming");
    receiving(&machine);
    refused(&machine, 5, 51712, "so that both nodes would stay Primary [incoming]");
    assert!(machine.drbd.log().is_empty() && !machine.drbd.with(|model| model.resources[0].two_primaries));
}

/// The guest that moves in has one disk, and a guest that stays at the source has the other volume.
#[test]
fn a_window_that_would_not_close_is_not_opened() {
    let machine = Machine::new();
    let first = machine.drbd.with(|model| model.resources[0].volumes[0].clone());
    let second = drbd_kernel::Volume { number: 1, minor: 999, peer_role: 1, ..first };
    machine.drbd.with(|model| model.resources[0].volumes.push(second));
    machine.volume(|volume| volume.peer_role = 1);
    machine.guest(5, 51712, "r0/0");
    domain(&machine, 5, "name", "vm5--incoming");
    receiving(&machine);
    refused(
        &machine,
        5,
        51712,
        "has volume 1 of r0 Primary, too, and the guest that moves in has no disk on it",
    );
    assert!(machine.drbd.log().is_empty() && !machine.drbd.with(|model| model.resources[0].two_primaries));
    machine.guest(5, 51728, "r0/1");
    domain(&machine, 5, "name", "vm5--incoming");
    assert_eq!(add(&machine, 5, 51712), (0, String::new()), "both volumes move");
}

/// What stands in the backend directory alone gives no second guest the disk.
#[test]
fn only_the_disk_on_record_was_attached_before() {
    let machine = beside(6, 51712, "r0");
    assert_eq!(add(&machine, 5, 51712), (0, String::new()), "once more");
    let device = format!("7:{:x}", machine.device.minor);
    machine.xenstored.set("/local/domain/0/backend/vbd/6/51712/physical-device", &device);
    let (code, text) = add(&machine, 6, 51712);
    assert!(code == 1 && text.contains("belongs to guest vm5 (domain 5) [other-guest]"), "{code}: {text}");
}

/// r0 is Primary here, and nothing is recorded of it.
fn by_hand(open: bool) -> Machine {
    let machine = Machine::new();
    machine.volume(|volume| (volume.role, volume.open) = (1, open));
    machine.settings("healing-seconds = 1\n");
    machine
}

#[test]
fn what_somebody_has_open_is_given_to_no_guest() {
    let machine = by_hand(true);
    let device = format!("/dev/drbd{}", machine.device.minor);
    refused(
        &machine,
        5,
        51712,
        &format!("{device} is open in this domain, and it is not seen by whom [held]"),
    );
    assert!(machine.drbd.log().iter().all(|asked| !asked.primary), "DRBD is asked for Secondary only");
    assert_eq!((machine.role(), machine.claim()), (1, None));

    machine.file("sys/block/loop9/loop/backing_file", &format!("{device}\n"));
    refused(&machine, 5, 51712, "is open in this domain by the loop device loop9 [held]");
    std::fs::remove_dir_all(machine.path("sys/block/loop9")).unwrap();

    let qdisk = "/local/domain/0/backend/qdisk/4/51712/params";
    machine.xenstored.set(qdisk, &format!("aio:{device}"));
    refused(&machine, 5, 51712, "is open in this domain by qemu, as a disk of domain 4 [held]");
    machine.xenstored.remove(qdisk);

    let export = "sys/kernel/config/target/core/iblock_0/backup/udev_path";
    machine.file(export, &format!("{device}\n"));
    refused(&machine, 5, 51712, "is open in this domain by the iSCSI export backup [held]");
    machine.file(export, "/dev/vg/other\n");

    machine.file("proc/123/comm", "qemu-system-x86\n");
    std::fs::create_dir_all(machine.path("proc/123/fd")).unwrap();
    std::os::unix::fs::symlink(&device, machine.path("proc/123/fd/7")).unwrap();
    refused(&machine, 5, 51712, "is open in this domain by qemu-system-x86 (pid 123) [held]");
    let (code, text) = said(machine.command(&["check", "r0"]).output().unwrap());
    assert!(code == 1 && text.contains("by qemu-system-x86 (pid 123)"), "{code}: {text}");
    std::fs::remove_dir_all(machine.path("proc/123")).unwrap();

    machine.volume(|volume| volume.open = false);
    assert_eq!(add(&machine, 5, 51712), (0, String::new()));
    assert_eq!(machine.role(), 1);
}

#[test]
fn what_nobody_has_open_is_promoted_anew() {
    let machine = by_hand(false);
    let (code, text) = said(machine.command(&["check", "r0"]).output().unwrap());
    assert!(code == 0 && text.contains("a start first has DRBD make it Secondary"), "{code}: {text}");
    assert_eq!(add(&machine, 5, 51712), (0, String::new()));
    let asked: Vec<bool> = machine.drbd.log().iter().map(|asked| asked.primary).collect();
    assert_eq!(asked, [false, true]);
    assert!(machine.claim().unwrap().contains(&format!("\"promoted\":[{}]", machine.device.minor)));
}

/// The guest for which this program has promoted it is gone, or the add was killed: anybody may have opened it
/// since.
#[test]
fn a_record_of_its_own_does_not_show_who_has_it_open() {
    for users in ["", "4", "5"] {
        let machine = by_hand(true);
        let minor = machine.device.minor;
        let user = |domid| format!(r#"{{"domid":{domid},"devid":51712,"minor":{minor}}}"#);
        let users = if users.is_empty() { String::new() } else { user(users) };
        let record = format!(r#"{{"version":1,"resource":"r0","promoted":[{minor}],"users":[{users}]}}"#);
        machine.file("run/block-drbd/claims/r0.json", &record);
        refused(&machine, 5, 51712, "is open in this domain, and it is not seen by whom [held]");
        assert_eq!((machine.role(), machine.claim()), (1, Some(record)), "the record stays as it was");
        machine.file("sys/block/loop9/loop/backing_file", &format!("/dev/drbd{minor}\n"));
        refused(&machine, 5, 51712, "is open in this domain by the loop device loop9 [held]");
        std::fs::remove_dir_all(machine.path("sys/block/loop9")).unwrap();
        assert!(machine.drbd.log().iter().all(|asked| !asked.primary), "{users}");
        machine.volume(|volume| volume.open = false);
        assert_eq!(add(&machine, 5, 51712), (0, String::new()), "{users}");
        assert_eq!(machine.role(), 1);
        let claim = machine.claim().unwrap();
        assert!(claim.contains("\"domid\":5") && !claim.contains("\"domid\":4"), "{claim}");
    }
}

/// It may be a device that is only just being closed.
#[test]
fn who_is_just_closing_it_is_waited_for() {
    let machine = by_hand(true);
    let model = machine.drbd.model();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while machine.drbd.log().is_empty() {
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            model.lock().unwrap().resources[0].volumes[0].open = false;
        });
        assert_eq!(add(&machine, 5, 51712), (0, String::new()));
    });
    assert_eq!(machine.role(), 1);
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

/// The toolstack died: the domain is no more, and nobody removes its device. `xl shutdown` would know no such domain.
#[test]
fn the_device_of_a_domain_that_is_no_more_can_be_removed() {
    let machine = beside(6, 51712, "r0");
    machine.xenstored.remove("/local/domain/5");
    let (code, text) = add(&machine, 6, 51712);
    assert_eq!(code, 1, "{text}");
    assert!(!text.contains("xl shutdown"), "{text}");
    let (_, path) = text.trim_end().split_once("then run: xenstore-rm ").unwrap();
    machine.xenstored.remove(path.split_whitespace().next().unwrap());
    // The kernel closes it then (xenbus_probe.c, xenbus_dev_changed).
    machine.volume(|volume| volume.open = false);
    assert_eq!(add(&machine, 6, 51712), (0, String::new()));
}
