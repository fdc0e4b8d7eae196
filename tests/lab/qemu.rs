//! One QEMU process: started, paused, and killed when it is no longer wanted.
//!
//! No KVM, no tap, no root: TCG always, because /dev/kvm may exist and still be
//! useless. The two machines' network is made of socket pairs, so no port is taken.

use crate::drbd;
use crate::image::Image;
use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

const MEMORY: &str = "2048";

/// Write-back, so that a flush has something to flush.
const DISK: &str = "if=virtio,format=raw,cache=writeback";

/// Xen's command line.
///
/// `spec-ctrl=eager-fpu`: Xen saves and loads the vector registers with every switch between vCPUs. Without it
/// Xen switches them on first use, and under QEMU's emulation dom0 and a busy PV guest then see each other's
/// registers; programs in dom0 fail at random.
const XEN_OPTIONS: &str = "console=com1 com1=115200,8n1 dom0_mem=1024M dom0_max_vcpus=1 sched=credit noreboot \
     spec-ctrl=eager-fpu";

/// A running machine.
pub struct Machine {
    process: Child,
    /// The socket at which the agent answers.
    pub channel: PathBuf,
}

impl Machine {
    /// Starts the machine; its files are `directory/NAME-*`, and its disks those of the machine before it.
    pub fn start(name: &str, directory: &Path, image: &Image, networks: [OwnedFd; 2]) -> Result<Machine> {
        let channel = directory.join(format!("{name}-channel"));
        let serial = directory.join(format!("{name}-serial.log")).display().to_string();
        let kernel = image.kernel.display();
        let root = image.root.display();
        // setpriv: the machine must not outlive a harness that was killed.
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "qemu-system-x86_64"])
            // Without -smap dom0 crashes at once; without -rdtscp PVH guests flood the console.
            .args(["-accel", "tcg,thread=multi", "-cpu", "max,-smap,-pku,-rdtscp"])
            .args(["-smp", "1", "-m", MEMORY, "-nodefaults", "-display", "none"])
            .args(["-no-reboot", "-chardev", &format!("file,id=serial,path={serial},append=on")])
            .args(["-serial", "chardev:serial"])
            .arg("-kernel")
            .arg(&image.xen)
            .args(["-append", XEN_OPTIONS])
            .args(["-initrd", &format!("{kernel} console=hvc0 panic=1 quiet lab.host={name},{root}")])
            .args(["-device", "virtio-serial-pci"])
            .args(["-chardev", &format!("socket,id=lab,path={},server=on,wait=off", channel.display())])
            .args(["-device", "virtserialport,chardev=lab,name=lab"]);
        // In this order they become eth0 and eth1. The numbers are those of QEMU's standard input and
        // output, for which it has no other use.
        for network in 0..networks.len() {
            let mac = format!("52:54:00:00:{network:02x}:{:02x}", name.as_bytes()[0]);
            command.args(["-netdev", &format!("socket,id=n{network},fd={network}")]);
            command.args(["-device", &format!("virtio-net-pci,netdev=n{network},mac={mac},romfile=")]);
        }
        // In this order they become vda, vdb, ….
        for number in 0..drbd::FILE_DISKS {
            command.args(["-drive", &file_disk(name, directory, number, drbd::DISK_SIZE)?]);
        }
        for (disk, _) in drbd::DRIVES {
            let socket = drive_socket(name, directory, disk);
            command.args([
                "-drive",
                &format!(
                    "{DISK},file.driver=nbd,file.server.type=unix,file.server.path={}",
                    socket.display()
                ),
            ]);
        }
        for (number, size) in (drbd::FILE_DISKS..).zip(drbd::LAST_FILE_DISKS) {
            command.args(["-drive", &file_disk(name, directory, number, size)?]);
        }
        let [link, management] = networks;
        let process = command
            .stdin(link)
            .stdout(management)
            .stderr(
                File::options().create(true).append(true).open(directory.join(format!("{name}-qemu.log")))?,
            )
            .spawn()
            .context("starting qemu-system-x86_64 (`make deps` installs it)")?;
        Ok(Machine { process, channel })
    }

    /// Stops the machine between two instructions, as if its host had hung.
    pub fn pause(&self) -> Result<()> {
        self.signal(Signal::SIGSTOP)
    }

    /// Ends a pause.
    pub fn resume(&self) -> Result<()> {
        self.signal(Signal::SIGCONT)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let process = Pid::from_raw(self.process.id().try_into()?);
        kill(process, signal).context("signalling QEMU")
    }

    /// Whether QEMU still runs.
    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.process.try_wait()?.is_none())
    }
}

/// Where the harness serves a drive to the machine.
pub fn drive_socket(name: &str, directory: &Path, disk: &str) -> PathBuf {
    directory.join(format!("{name}-{disk}.nbd"))
}

/// Empty at first.
fn file_disk(name: &str, directory: &Path, number: usize, size: u64) -> Result<String> {
    let path = directory.join(format!("{name}-disk{number}.raw"));
    File::options().create(true).append(true).open(&path)?.set_len(size)?;
    Ok(format!("{DISK},file={}", path.display()))
}

impl Drop for Machine {
    fn drop(&mut self) {
        // It may have ended by itself, and there is nobody to tell otherwise.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
