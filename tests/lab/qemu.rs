//! One QEMU process: started, and killed when it is no longer wanted.
//!
//! No KVM, no tap, no root: TCG always, because /dev/kvm may exist and still be
//! useless. The two machines' network is a socket pair, so no port is taken.

use crate::drbd;
use crate::image::Image;
use anyhow::{Context, Result};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const MEMORY: &str = "2048";

/// A running machine.
pub struct Machine {
    process: Child,
    /// The socket at which the agent answers.
    pub channel: PathBuf,
}

impl Machine {
    /// Starts the machine; its files are `directory/NAME-*`.
    pub fn start(name: &str, directory: &Path, image: &Image, network: OwnedFd) -> Result<Machine> {
        let channel = directory.join(format!("{name}-channel"));
        let serial = directory.join(format!("{name}-serial.log"));
        let mac = format!("52:54:00:00:00:{:02x}", name.as_bytes()[0]);
        let kernel = image.kernel.display();
        let root = image.root.display();
        // setpriv: the machine must not outlive a harness that was killed.
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "qemu-system-x86_64"])
            // Without -smap dom0 crashes at once; without -rdtscp PVH guests flood the console.
            .args(["-accel", "tcg,thread=multi", "-cpu", "max,-smap,-pku,-rdtscp"])
            .args(["-smp", "1", "-m", MEMORY, "-nodefaults", "-display", "none"])
            .args(["-no-reboot", "-serial", &format!("file:{}", serial.display())])
            .arg("-kernel")
            .arg(&image.xen)
            .args([
                "-append",
                "console=com1 com1=115200,8n1 dom0_mem=1024M dom0_max_vcpus=1 sched=credit noreboot",
            ])
            .args(["-initrd", &format!("{kernel} console=hvc0 panic=1 quiet lab.host={name},{root}")])
            .args(["-netdev", "socket,id=n0,fd=0"])
            .args(["-device", &format!("virtio-net-pci,netdev=n0,mac={mac},romfile=")])
            .args(["-device", "virtio-serial-pci"])
            .args(["-chardev", &format!("socket,id=lab,path={},server=on,wait=off", channel.display())])
            .args(["-device", "virtserialport,chardev=lab,name=lab"]);
        for number in 0..drbd::disks() {
            command.args(["-drive", &disk(name, directory, number)?]);
        }
        let process = command
            .stdin(network)
            .stdout(Stdio::null())
            .stderr(File::create(directory.join(format!("{name}-qemu.log")))?)
            .spawn()
            .context("starting qemu-system-x86_64 (`make deps` installs it)")?;
        Ok(Machine { process, channel })
    }

    /// Whether QEMU still runs.
    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.process.try_wait()?.is_none())
    }
}

/// A new, empty disk; write-back, so that a flush has something to flush.
fn disk(name: &str, directory: &Path, number: usize) -> Result<String> {
    let path = directory.join(format!("{name}-disk{number}.raw"));
    File::create(&path)?.set_len(drbd::DISK_SIZE)?;
    Ok(format!("file={},if=virtio,format=raw,cache=writeback", path.display()))
}

impl Drop for Machine {
    fn drop(&mut self) {
        // It may have ended by itself, and there is nobody to tell otherwise.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
