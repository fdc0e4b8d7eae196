//! What the program is called for, and where each call ends when nothing goes wrong.
//!
//! A new mode of the program is a new line in [`FLOWS`].

use crate::drbd_kernel::{Fault, SECONDARY};
use crate::machine::{BACKEND, Machine};
use crate::oracle::{attached, is_released, pending, released, window_is_open};
use anyhow::{Result, ensure};
use std::time::Duration;

/// One way through the program.
pub struct Flow {
    pub name: &'static str,
    pub arguments: &'static [&'static str],
    /// What happened on a machine in good order before.
    pub before: fn(&Machine),
    /// The exit code and the end, when nothing goes wrong.
    pub code: i32,
    pub end: fn(&Machine) -> Result<()>,
    /// What ends the trouble that it is about.
    pub repair: fn(&Machine),
    /// When its caller kills it: Xen before 4.6 after 10 s.
    pub patience: Duration,
}

const XEN: Duration = Duration::from_secs(10);
/// A release is called by no Xen: 10 s for the lock, 10 s for the work, 10 s for the undoing.
const NOBODY: Duration = Duration::from_secs(30);

#[rustfmt::skip]
pub const FLOWS: &[Flow] = &[
    Flow { name: "add", arguments: &["add"], before: nothing, code: 0, end: attached, repair: nothing, patience: XEN },
    Flow { name: "refuse", arguments: &["add"], before: mounted, code: 1, end: refused, repair: unmounted, patience: XEN },
    Flow { name: "undo", arguments: &["add"], before: no_node, code: 4, end: refused, repair: Machine::node, patience: XEN },
    Flow { name: "move-in", arguments: &["add"], before: moving_in, code: 0, end: moved_in, repair: moved_out, patience: XEN },
    Flow { name: "remove", arguments: &["remove"], before: added, code: 0, end: is_released, repair: nothing, patience: XEN },
    Flow { name: "hand-over", arguments: &["remove"], before: stuck, code: 0, end: pending, repair: unstuck, patience: XEN },
    Flow { name: "release", arguments: &["release", "--all"], before: left, code: 0, end: is_released, repair: nothing, patience: NOBODY },
];

/// What every flow finds: its device and that of another guest in the kernel's list.
pub fn host(machine: &Machine) {
    machine.file("sys/bus/xen-backend/devices/vbd-5-51712", "");
    machine.file("sys/bus/xen-backend/devices/vbd-9-51712", "");
    machine.guest(9, 51712, "/dev/vg/disk");
    machine.xenstored.set("/local/domain/0/backend/vbd/9/51712/physical-device", "fd:1");
}

fn nothing(_: &Machine) {}

fn mounted(machine: &Machine) {
    let minor = machine.device.minor;
    machine.file("proc/self/mountinfo", &format!("25 1 7:{minor} / /mnt rw - ext4 /dev/drbd rw\n"));
}

fn unmounted(machine: &Machine) {
    machine.file("proc/self/mountinfo", "");
}

/// Without the device's node the flush fails, and the promotion is undone.
fn no_node(machine: &Machine) {
    std::fs::remove_file(machine.path(&format!("dev/drbd{}", machine.device.minor))).unwrap();
}

/// The guest runs on the peer, and `xl migrate-receive` calls.
fn moving_in(machine: &Machine) {
    machine.file(&format!("proc/{}/cmdline", std::process::id()), "xl\0migrate-receive\0");
    machine.xenstored.set("/local/domain/5/name", "vm5--incoming");
    machine.drbd.with(|model| model.resources[0].volumes[0].peer_role = 1);
}

fn moved_in(machine: &Machine) -> Result<()> {
    attached(machine)?;
    ensure!(window_is_open(machine), "the window of the migration is not open");
    Ok(())
}

/// The source has demoted.
fn moved_out(machine: &Machine) {
    machine.drbd.with(|model| model.resources[0].volumes[0].peer_role = 2);
}

fn added(machine: &Machine) {
    assert_eq!(machine.call("add"), (0, String::new()));
}

/// DRBD will not demote (-17), which is no matter of waiting.
fn stuck(machine: &Machine) {
    added(machine);
    machine.drbd.with(|model| model.faults.insert(SECONDARY, Fault::Refuse(-17)));
}

fn unstuck(machine: &Machine) {
    machine.drbd.with(|model| model.faults.clear());
}

/// The guest is gone, and nobody said so.
fn left(machine: &Machine) {
    added(machine);
    machine.xenstored.remove(BACKEND);
}

fn refused(machine: &Machine) -> Result<()> {
    released(machine)?;
    ensure!(machine.backend("hotplug-error").is_some(), "hotplug-error is missing");
    ensure!(machine.backend("hotplug-status").as_deref() == Some("error"), "hotplug-status is not error");
    Ok(())
}
