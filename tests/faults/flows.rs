//! What the program is called for, and where each call ends when nothing goes wrong.
//!
//! A new mode of the program is a new line in [`FLOWS`].

use crate::drbd_kernel::{Fault, SECONDARY};
use crate::handlers::{
    self, cleared, in_doubt, kept, outdated, refused_resync, set_aside, taken_back, told, unfenced,
};
use crate::machine::{BACKEND, Machine};
use crate::oracle::{attached, is_released, pending, released, window_is_open};
use anyhow::{Result, ensure};
use std::process::Command;
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
    pub times: Times,
}

/// How long it may take, and the delays that a call may meet.
#[derive(Clone, Copy)]
pub struct Times {
    /// By when it must have ended.
    pub patience: Duration,
    /// Past the end of its work, and past the end of all that it does after that.
    pub delays: [Duration; 2],
    /// How many such runs may sleep at a time.
    pub sleeping: usize,
}

const fn times(patience: u64, delays: [u64; 2]) -> Times {
    let [work, all] = delays;
    let delays = [Duration::from_millis(work), Duration::from_millis(all)];
    Times { patience: Duration::from_millis(patience), delays, sleeping: 120 }
}

/// Xen before 4.6 kills after 10 s: 6 s for the work, and 2 s for the undoing.
const XEN: Times = times(10_000, [6_500, 8_100]);
/// A detached release of each of these looks at everything twice a second meanwhile.
const MIGRATION: Times = Times { sleeping: 40, ..XEN };
/// A release is called by no Xen: 10 s for the lock, 10 s for the work, 10 s for the undoing.
const NOBODY: Times = times(31_000, [10_500, 20_500]);
/// Handlers: their own patience (`src/handlers/drbd.rs`) or budget, 2 s less for what they do, and
/// 2 s more on this busy machine.
const SET_ASIDE: Times = times(12_000, [8_300, 10_500]);
const RESYNC: Times = times(32_000, [28_300, 30_500]);
/// unfence-peer answers after 5 s, and so does fence-peer before it knows its budget (4 s).
const FENCE: Times = times(7_000, [3_300, 5_500]);

#[rustfmt::skip]
pub const FLOWS: &[Flow] = &[
    Flow { name: "add", arguments: &["add"], before: nothing, code: 0, end: attached, repair: nothing, times: XEN },
    Flow { name: "refuse", arguments: &["add"], before: mounted, code: 1, end: refused, repair: unmounted, times: XEN },
    Flow { name: "undo", arguments: &["add"], before: no_node, code: 4, end: refused, repair: Machine::node, times: XEN },
    Flow { name: "move-in", arguments: &["add"], before: moving_in, code: 0, end: moved_in, repair: moved_out, times: MIGRATION },
    Flow { name: "remove", arguments: &["remove"], before: added, code: 0, end: is_released, repair: nothing, times: XEN },
    Flow { name: "hand-over", arguments: &["remove"], before: stuck, code: 0, end: pending, repair: unstuck, times: XEN },
    Flow { name: "release", arguments: &["release", "--all"], before: left, code: 0, end: is_released, repair: nothing, times: NOBODY },
    Flow { name: "split-brain", arguments: &["handler", "split-brain"], before: handlers::guest, code: 0, end: set_aside, repair: cleared, times: SET_ASIDE },
    Flow { name: "fence", arguments: &["handler", "fence-peer"], before: handlers::peer, code: 4, end: outdated, repair: unfenced, times: FENCE },
    Flow { name: "doubt", arguments: &["handler", "fence-peer"], before: handlers::silence, code: 1, end: in_doubt, repair: unfenced, times: FENCE },
    Flow { name: "unfence", arguments: &["handler", "unfence-peer"], before: handlers::fenced, code: 0, end: taken_back, repair: nothing, times: FENCE },
    Flow { name: "notify", arguments: &["handler", "local-io-error"], before: handlers::listened, code: 0, end: told, repair: cleared, times: SET_ASIDE },
    Flow { name: "resync", arguments: &["handler", "before-resync-target"], before: handlers::guest, code: 1, end: refused_resync, repair: nothing, times: RESYNC },
    Flow { name: "snapshot", arguments: &["handler", "before-resync-target"], before: handlers::lvm, code: 0, end: kept, repair: nothing, times: RESYNC },
];

impl Flow {
    /// The event, when it is DRBD that calls.
    pub fn event(&self) -> Option<&'static str> {
        if let ["handler", event] = self.arguments { Some(event) } else { None }
    }
}

/// A call with the environment that the caller of such a one sets.
pub fn command(machine: &Machine, arguments: &[&str]) -> Command {
    match arguments {
        ["handler", event] => machine.handler(event),
        _ => machine.command(arguments),
    }
}

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

/// xl lets the guest run here, and the source has demoted.
fn moved_out(machine: &Machine) {
    machine.xenstored.set("/local/domain/5/name", "vm5");
    machine.drbd.with(|model| model.resources[0].volumes[0].peer_role = 2);
}

pub fn added(machine: &Machine) {
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
