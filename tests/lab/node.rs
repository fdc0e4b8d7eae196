//! One of the two machines, and what scenarios ask of it.
//!
//! Waiting is always for a state that is polled inside the node, with a limit;
//! the limits are generous because TCG beside other work is slow.

use crate::channel::{Channel, Output};
use crate::drive::Drive;
use crate::image::Image;
use crate::link::Plug;
use crate::qemu::{self, Machine};
use crate::{drbd, nbd};
use anyhow::{Context, Result, bail, ensure};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// For a command that is not known to take longer.
pub const LIMIT: Duration = Duration::from_secs(120);
const BOOT_LIMIT: Duration = Duration::from_secs(300);

/// A machine with its agent and its drives, switched on or off.
pub struct Node {
    /// `a` or `b`: its host name.
    pub name: &'static str,
    directory: PathBuf,
    image: Image,
    plugs: [Plug; 2],
    drives: Vec<Arc<Drive>>,
    running: Mutex<Option<Running>>,
}

struct Running {
    channel: Channel,
    machine: Machine,
    servers: Vec<JoinHandle<Result<()>>>,
}

impl Node {
    /// A machine that is off, with empty drives; its files are in the directory.
    pub fn new(name: &'static str, directory: &Path, image: &Image, plugs: [Plug; 2]) -> Node {
        let drives = drbd::DRIVES.iter().map(|(_, size)| Arc::new(Drive::new(*size))).collect();
        let running = Mutex::new(None);
        Node { name, directory: directory.to_owned(), image: image.clone(), plugs, drives, running }
    }

    /// Starts the machine and does not wait for it.
    ///
    /// It dies with the thread that calls this (PR_SET_PDEATHSIG(2const)): not from within `Pair::both`.
    pub fn power_on(&self) -> Result<()> {
        let Node { name, directory, image, .. } = self;
        let mut servers = Vec::new();
        for ((disk, _), drive) in drbd::DRIVES.iter().zip(&self.drives) {
            let socket = qemu::drive_socket(name, directory, disk);
            servers.push(nbd::serve(Arc::clone(drive), &socket)?);
        }
        let [link, management] = &self.plugs;
        let networks = [link.for_machine()?, management.for_machine()?];
        let mut machine = Machine::start(name, directory, image, networks)?;
        let stream = connect(&mut machine)
            .with_context(|| format!("{name}: see {}/{name}-qemu.log", directory.display()))?;
        *self.running() = Some(Running { channel: Channel::new(stream), machine, servers });
        Ok(())
    }

    /// Takes the power from the machine and its drives: what no flush has reached is lost.
    pub fn power_cut(&self) -> Result<()> {
        let running = self.running().take();
        let Running { machine, servers, .. } = running.with_context(|| self.is_off())?;
        drop(machine);
        // What QEMU had sent before it died may still reach the drives, and must do so before their cut.
        for server in servers {
            // How the connection ended says nothing: QEMU was killed in the middle of it.
            let _ = server.join();
        }
        for drive in &self.drives {
            drive.cut();
        }
        Ok(())
    }

    /// Stops the machine as if it had hung; nothing it holds is lost.
    pub fn pause(&self) -> Result<()> {
        self.running().as_ref().with_context(|| self.is_off())?.machine.pause()
    }

    /// Ends a pause.
    pub fn resume(&self) -> Result<()> {
        self.running().as_ref().with_context(|| self.is_off())?.machine.resume()
    }

    /// Starting or running, and with drives that answer, whatever a scenario has done to it.
    pub fn come_back(&self) -> Result<()> {
        for drive in &self.drives {
            drive.release();
        }
        if self.is_on() {
            return self.resume();
        }
        self.power_on()
    }

    /// Whether the machine has power.
    pub fn is_on(&self) -> bool {
        self.running().is_some()
    }

    /// Waits until the agent answers.
    pub fn wait_for_boot(&self) -> Result<()> {
        self.request(BOOT_LIMIT, "run", &[b"1000", b"true"])
            .with_context(|| format!("{} did not boot: see {}", self.name, self.directory.display()))?;
        Ok(())
    }

    /// One of its drives, by the name that its disk has in the node.
    pub fn drive(&self, disk: &str) -> &Drive {
        let mut drives = drbd::DRIVES.iter().zip(&self.drives);
        let found = drives.find(|((name, _), _)| *name == disk);
        found.map(|(_, drive)| &**drive).unwrap_or_else(|| panic!("{disk} is not such a drive"))
    }

    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        match self.running.lock() {
            Ok(running) => running,
            Err(poisoned) => poisoned.into_inner(),
        }
    }

    fn is_off(&self) -> String {
        format!("node {} is switched off", self.name)
    }

    fn request(&self, limit: Duration, verb: &str, arguments: &[&[u8]]) -> Result<Output> {
        let mut running = self.running();
        let running = running.as_mut().with_context(|| self.is_off())?;
        running.channel.request(limit, verb, arguments).with_context(|| format!("node {}", self.name))
    }

    /// Runs a shell command, whatever it returns.
    pub fn run(&self, command: &str) -> Result<Output> {
        self.run_within(LIMIT, command)
    }

    fn run_within(&self, limit: Duration, command: &str) -> Result<Output> {
        let milliseconds = limit.as_millis().to_string();
        self.request(limit, "run", &[milliseconds.as_bytes(), command.as_bytes()])
    }

    /// Runs a shell command that must succeed, and returns what it printed.
    pub fn ok(&self, command: &str) -> Result<String> {
        let output = self.run(command)?;
        if output.code != 0 {
            bail!(
                "{}: `{command}` exited with {}: {}{}",
                self.name,
                output.code,
                output.text(),
                output.stderr
            );
        }
        Ok(output.text())
    }

    /// Runs a shell command that must fail, and returns everything it said.
    pub fn fails(&self, command: &str) -> Result<String> {
        let output = self.run(command)?;
        let said = output.text() + &output.stderr;
        match output.code {
            0 => bail!("{}: `{command}` succeeded: {said}", self.name),
            124 => bail!("{}: `{command}` took too long: {said}", self.name),
            _ => Ok(said),
        }
    }

    /// Waits until the command succeeds, polling inside the node.
    pub fn wait_until(&self, what: &str, command: &str, limit: Duration) -> Result<()> {
        let poll = format!("until {{ {command}; }} >/dev/null 2>&1; do sleep 0.1; done");
        if self.run_within(limit, &poll)?.code == 0 {
            return Ok(());
        }
        bail!("{}: not {what} after {} s", self.name, limit.as_secs())
    }

    /// Waits until no guest has a backend device here any more.
    pub fn wait_for_no_vbds(&self, limit: Duration) -> Result<()> {
        self.wait_until("without vbds", "! ls /sys/bus/xen-backend/devices | grep vbd", limit)
    }

    /// Puts a program or file into the node.
    pub fn put(&self, path: &str, data: &[u8]) -> Result<()> {
        let output = self.request(LIMIT, "put", &[path.as_bytes(), data])?;
        if output.code != 0 {
            bail!("{}: {}", self.name, output.stderr);
        }
        Ok(())
    }

    /// Gets a file out of the node.
    pub fn get(&self, path: &str) -> Result<Vec<u8>> {
        let output = self.request(LIMIT, "get", &[path.as_bytes()])?;
        if output.code != 0 {
            bail!("{}: {}", self.name, output.stderr);
        }
        Ok(output.stdout)
    }

    /// Waits until this node's line of `/proc/drbd` matches the pattern, for example `ro:Secondary/`.
    pub fn wait_for_drbd(&self, resource: &str, pattern: &str) -> Result<()> {
        let what = format!("{resource} {pattern}");
        self.wait_until(&what, &drbd_shows(resource, pattern), LIMIT)
    }

    /// Asserts that this node's line of `/proc/drbd` matches the pattern now.
    pub fn drbd_is(&self, resource: &str, pattern: &str) -> Result<()> {
        if self.run(&drbd_shows(resource, pattern))?.code == 0 {
            return Ok(());
        }
        let state = self.ok("cat /proc/drbd")?;
        bail!("{}: {resource} is not {pattern}: {state}", self.name)
    }

    /// Waits until this node's counters in `/proc/drbd` match the pattern, for example `wo:f oos:0$`.
    pub fn wait_for_counters(&self, resource: &str, pattern: &str) -> Result<()> {
        let what = format!("{resource} {pattern}");
        self.wait_until(&what, &counters_show(resource, pattern), LIMIT)
    }

    /// Asserts that this node's counters in `/proc/drbd` match the pattern now.
    pub fn counters_are(&self, resource: &str, pattern: &str) -> Result<()> {
        let state = self.ok("cat /proc/drbd")?;
        let matches = self.run(&counters_show(resource, pattern))?.code == 0;
        ensure!(matches, "{}: {resource} is not {pattern}: {state}", self.name);
        Ok(())
    }

    /// Asserts that no guest exists here.
    pub fn has_no_guest(&self) -> Result<()> {
        let list = self.ok("xl list")?;
        if list.lines().count() != 2 {
            bail!("{}: a domain is left: {list}", self.name);
        }
        Ok(())
    }
}

fn drbd_shows(resource: &str, pattern: &str) -> String {
    let minor = drbd::minor(resource);
    format!("grep -q '^ *{minor}: .*{pattern}' /proc/drbd")
}

/// The counters are the line after the states.
fn counters_show(resource: &str, pattern: &str) -> String {
    let minor = drbd::minor(resource);
    format!("grep -A1 '^ *{minor}: ' /proc/drbd | grep -q '{pattern}'")
}

/// QEMU makes the socket in the first moments of its life, and tells nobody.
fn connect(machine: &mut Machine) -> Result<UnixStream> {
    let start = Instant::now();
    loop {
        if let Ok(stream) = UnixStream::connect(&machine.channel) {
            return Ok(stream);
        }
        if !machine.is_running()? {
            bail!("QEMU ended at once");
        }
        if start.elapsed() > Duration::from_secs(60) {
            bail!("QEMU made no {}", machine.channel.display());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
