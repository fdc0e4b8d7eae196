//! A machine in a directory: the files, a xenstored and the kernel's side of
//! DRBD, with the real binary run on it.

#![allow(dead_code, clippy::disallowed_methods, clippy::unwrap_used)]

use crate::drbd_kernel::{DrbdKernel, Resource, Volume};
use crate::place::Place;
use crate::xenstored::Xenstored;
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;

pub const BACKEND: &str = "/local/domain/0/backend/vbd/5/51712";

pub struct Machine {
    pub xenstored: Xenstored,
    pub drbd: DrbdKernel,
    /// The block device that plays `/dev/drbdN`: a loop device of the test's own.
    pub device: Arc<LoopDevice>,
    /// The program.
    pub binary: PathBuf,
    /// Last: the daemons end by their sockets in it.
    place: Place,
}

impl Machine {
    /// Xen 4.17, the resource r0 in good order, and guest 5 waiting for it.
    pub fn new() -> Machine {
        Machine::on(Arc::new(LoopDevice::new()))
    }

    /// The same with a loop device that others may have too: no test writes to it.
    pub fn on(device: Arc<LoopDevice>) -> Machine {
        let place = Place::new();
        let machine = Machine {
            xenstored: Xenstored::start(&place.path().join("run/xenstored/socket")),
            drbd: DrbdKernel::start(place.path()),
            place,
            device,
            binary: env!("CARGO_BIN_EXE_block-drbd").into(),
        };
        machine.file("sys/hypervisor/version/major", "4\n");
        machine.file("sys/hypervisor/version/minor", "17\n");
        machine.file("proc/devices", "Character devices:\n  1 mem\n\nBlock devices:\n  7 drbd\n");
        machine.file("proc/self/mountinfo", "");
        machine.file("proc/swaps", "Filename\n");
        machine.file("proc/drbd", "version: 8.4.11 (api:1/proto:86-101)\n");
        machine.file("proc/sys/kernel/hostname", "a\n");
        machine.file("proc/sys/kernel/osrelease", "6.1.0-53-amd64\n");
        machine.file("sys/module/drbd/parameters/disable_sendpage", "Y\n");
        fs::create_dir_all(machine.path("run/block-drbd")).unwrap();
        let minor = machine.device.minor;
        machine.disk("vda", "254:0", "");
        machine.disk(&format!("drbd{minor}"), &format!("7:{minor}"), "vda");
        machine.node();
        machine.drbd.with(|model| model.resources.push(Resource::healthy("r0", &[minor])));
        machine.guest(5, 51712, "r0");
        machine
    }

    /// A block device in sysfs with a volatile cache, on another one or on nothing.
    fn disk(&self, name: &str, number: &str, below: &str) {
        let directory = format!("sys/block/{name}");
        self.file(&format!("{directory}/dev"), &format!("{number}\n"));
        self.file(&format!("{directory}/queue/write_cache"), "write back\n");
        self.file(&format!("{directory}/queue/fua"), "0\n");
        self.file(&format!("{directory}/queue/rotational"), "0\n");
        match below {
            "" => fs::create_dir_all(self.path(&format!("{directory}/slaves"))).unwrap(),
            below => self.file(&format!("{directory}/slaves/{below}"), ""),
        }
    }

    /// Creates the device node, which names the loop device.
    pub fn node(&self) {
        let path = self.path(&format!("dev/drbd{}", self.device.minor));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let device = makedev(7, self.device.minor.into());
        mknod(&path, SFlag::S_IFBLK, Mode::from_bits_truncate(0o600), device).unwrap();
    }

    /// What the toolstack writes before it calls the script.
    pub fn guest(&self, domid: u32, devid: u32, params: &str) {
        let backend = format!("/local/domain/0/backend/vbd/{domid}/{devid}");
        for (name, value) in
            [("params", params), ("state", "2"), ("online", "1"), ("mode", "w"), ("type", "phy")]
        {
            self.xenstored.set(&format!("{backend}/{name}"), value);
        }
        self.xenstored.set(&format!("/local/domain/{domid}/name"), &format!("vm{domid}"));
        self.xenstored.set(&format!("/local/domain/{domid}/vm"), &format!("/vm/{domid}"));
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.place.path().join(path)
    }

    pub fn file(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A shell script below the root; ROOT in it is the root.
    pub fn program(&self, path: &str, script: &str) {
        let root = self.path("");
        let root = root.to_str().unwrap().trim_end_matches('/');
        self.file(path, &format!("#!/bin/sh\n{}\n", script.replace("ROOT", root)));
        fs::set_permissions(self.path(path), fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// A call of a handler as drbdadm makes it.
    pub fn handler(&self, name: &str) -> Command {
        let mut command = self.command(&["handler", name]);
        command
            .env_remove("XENBUS_PATH")
            .env_remove("script")
            .env("DRBD_RESOURCE", "r0")
            .env("DRBD_MINOR", self.device.minor.to_string())
            .env("DRBD_VOLUME", "0")
            .env("DRBD_PEERS", "b")
            .env("DRBD_PEER_ADDRESS", "10.0.0.2")
            .env("DRBD_PEER_AF", "ipv4")
            .env("DRBD_LL_DISK", "/dev/vg/lv");
        command
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.arg("--sysroot").arg(self.place.path()).args(arguments);
        command
            .env_clear()
            .env("XENBUS_PATH", "backend/vbd/5/51712")
            .env("script", "/etc/xen/scripts/block-drbd");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs `add` or `remove` and returns its exit code and what it said.
    pub fn call(&self, action: &str) -> (i32, String) {
        said(self.command(&[action]).output().unwrap())
    }

    pub fn start(&self, action: &str) -> Child {
        self.command(&[action]).spawn().unwrap()
    }

    pub fn backend(&self, name: &str) -> Option<String> {
        self.xenstored.get(&format!("{BACKEND}/{name}"))
    }

    /// The role of the volume with the test's minor: 1 Primary, 2 Secondary.
    pub fn role(&self) -> u32 {
        self.drbd.with(|model| model.volume(self.device.minor).unwrap().role)
    }

    /// Changes the volume of r0.
    pub fn volume(&self, change: impl FnOnce(&mut Volume)) {
        self.drbd.with(|model| change(&mut model.resources[0].volumes[0]));
    }

    /// The settings are this text.
    pub fn settings(&self, text: &str) {
        self.file("etc/xen/block-drbd.toml", text);
    }

    /// What is recorded of a node that has gone on without its peer.
    pub fn lone(&self) -> Option<String> {
        fs::read_to_string(self.path("run/block-drbd/lone/r0.json")).ok()
    }

    /// The guest ends, and its backend with it.
    pub fn guest_ends(&self) {
        assert_eq!(self.call("remove"), (0, String::new()));
        self.xenstored.remove(BACKEND);
        self.guest(5, 51712, "r0");
        assert_eq!(self.role(), 2);
    }

    pub fn claim(&self) -> Option<String> {
        fs::read_to_string(self.path("run/block-drbd/claims/r0.json")).ok()
    }
}

/// Exit code, and stdout with stderr; no panic ever.
pub fn said(output: Output) -> (i32, String) {
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(!text.contains("panicked"), "{text}");
    (output.status.code().unwrap_or(-1), text)
}

/// A real block device that a test may flush.
pub struct LoopDevice {
    pub minor: u32,
    _file: Place,
}

impl LoopDevice {
    pub fn new() -> LoopDevice {
        let file = Place::new();
        let image = file.path().join("image");
        fs::File::create(&image).unwrap().set_len(1 << 20).unwrap();
        let output = Command::new("losetup").args(["--find", "--show"]).arg(&image).output().unwrap();
        assert!(output.status.success(), "losetup: {}", String::from_utf8_lossy(&output.stderr));
        let name = String::from_utf8(output.stdout).unwrap();
        let minor = name.trim().trim_start_matches("/dev/loop").parse().unwrap();
        LoopDevice { minor, _file: file }
    }
}

impl Drop for LoopDevice {
    fn drop(&mut self) {
        let _ = Command::new("losetup").args(["--detach", &format!("/dev/loop{}", self.minor)]).status();
    }
}
