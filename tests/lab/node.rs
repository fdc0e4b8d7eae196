//! One of the two machines, and what scenarios ask of it.
//!
//! Waiting is always for a state that is polled inside the node, with a limit;
//! the limits are generous because TCG beside other work is slow.

use crate::channel::{Channel, Output};
use crate::drbd;
use crate::image::Image;
use crate::qemu::Machine;
use anyhow::{Context, Result, bail};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// For a command that is not known to take longer.
pub const LIMIT: Duration = Duration::from_secs(120);
const BOOT_LIMIT: Duration = Duration::from_secs(300);

/// A machine with its agent.
pub struct Node {
    /// `a` or `b`: its host name.
    pub name: &'static str,
    channel: Mutex<Channel>,
    _machine: Machine,
}

impl Node {
    /// Starts the machine and does not wait for it.
    pub fn start(name: &'static str, directory: &Path, image: &Image, network: OwnedFd) -> Result<Node> {
        let mut machine = Machine::start(name, directory, image, network)?;
        let stream = connect(&mut machine)
            .with_context(|| format!("{name}: see {}/{name}-qemu.log", directory.display()))?;
        Ok(Node { name, channel: Mutex::new(Channel::new(stream)), _machine: machine })
    }

    /// Waits until the agent answers.
    pub fn wait_for_boot(&self) -> Result<()> {
        self.request(BOOT_LIMIT, "run", &[b"1000", b"true"])
            .with_context(|| format!("{} did not boot", self.name))?;
        Ok(())
    }

    fn request(&self, limit: Duration, verb: &str, arguments: &[&[u8]]) -> Result<Output> {
        let mut channel = match self.channel.lock() {
            Ok(channel) => channel,
            Err(poisoned) => poisoned.into_inner(),
        };
        channel.request(limit, verb, arguments).with_context(|| format!("node {}", self.name))
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
