//! A guest: its configuration for xl, and what it says on its console.

use crate::node::{LIMIT, Node};
use crate::payload;
use anyhow::{Context, Result, bail};

/// The script under test.
pub const OURS: &str = "block-drbd";
/// Debian's, kept beside it.
pub const OLD: &str = "block-drbd-old";

/// What makes a guest tiny. Without the native TSC the console of a PVH guest is flooded under TCG.
const TINY: &str = "kernel=\"/lab/idle\"\ntype=\"pvh\"\nmemory=16\ntsc_mode=\"native\"\n";

/// How many more records show that a guest goes on.
const SOME: u64 = 3;

/// A guest whose one disk is a DRBD resource.
pub struct Guest<'a> {
    /// Its name; each guest of a run has its own, because console logs are appended to.
    pub name: &'a str,
    /// What its init does (`lab.do=`); empty where it has none.
    pub does: &'a str,
    /// The hotplug script.
    pub script: &'a str,
    /// The resource.
    pub resource: &'a str,
    /// Further lines of the configuration; a later line overrides an earlier one.
    pub more: &'a str,
}

impl<'a> Guest<'a> {
    /// A PV guest behind the script under test.
    pub fn new(name: &'a str, does: &'a str, resource: &'a str) -> Guest<'a> {
        Guest {
            name,
            does,
            script: OURS,
            resource,
            more: "kernel=\"/lab/vmlinux\"\nramdisk=\"/lab/guest.cpio\"\n",
        }
    }

    /// The smallest guest, see [`crate::payload`]: it starts and moves within seconds and does nothing.
    pub fn tiny(name: &'a str, resource: &'a str) -> Guest<'a> {
        Guest { more: TINY, ..Guest::new(name, "", resource) }
    }

    /// Tells libxl how a tiny guest here is asked to suspend; to be said before it is saved or moves.
    pub fn is_suspendable(&self, node: &Node) -> Result<()> {
        let id = node.ok(&format!("xl domid {}", self.name))?;
        let path = format!("/local/domain/{}/device/suspend/event-channel", id.trim());
        node.ok(&format!("xenstore-write {path} {}", payload::PORT))?;
        Ok(())
    }

    fn configuration(&self) -> String {
        let Guest { name, does, script, resource, more } = self;
        let init = match *does {
            "" => String::new(),
            does => format!("extra=\"console=hvc0 panic=1 quiet lab.do={does}\"\n"),
        };
        format!(
            "name=\"{name}\"\nmemory=160\nvcpus=1\n\
             on_poweroff=\"destroy\"\non_reboot=\"restart\"\non_crash=\"destroy\"\n{init}\
             disk=[\"vdev=xvda,access=rw,script={script},target={resource}\"]\n{more}"
        )
    }

    /// Puts the configuration into the node and returns the command that starts the guest.
    pub fn command(&self, node: &Node) -> Result<String> {
        let path = format!("/etc/xen/{}.cfg", self.name);
        node.put(&path, self.configuration().as_bytes())?;
        Ok(format!("xl create {path}"))
    }

    /// Starts the guest.
    pub fn create(&self, node: &Node) -> Result<()> {
        let command = self.command(node)?;
        node.ok(&command)?;
        Ok(())
    }

    /// Tries to start the guest, which must be refused; returns what xl said.
    pub fn create_is_refused(&self, node: &Node) -> Result<String> {
        let command = self.command(node)?;
        node.fails(&command)
    }

    /// Waits for a line on the guest's console.
    pub fn wait_for(&self, node: &Node, line: &str) -> Result<()> {
        let log = self.log();
        let what = format!("{} saying `{line}`", self.name);
        let command = format!("grep -qE 'GUEST ({line}|FAILED)' {log}");
        node.wait_until(&what, &command, LIMIT)?;
        let failure = node.run(&format!("grep 'GUEST FAILED' {log}"))?;
        if failure.code == 0 {
            bail!("{}: {}", node.name, failure.text().trim());
        }
        Ok(())
    }

    /// The last record that was acknowledged to a guest that writes.
    pub fn acknowledged(&self, node: &Node) -> Result<u64> {
        let said = self.said(node)?;
        let numbers =
            said.lines().filter_map(|line| line.trim().strip_prefix("GUEST fsynced ")?.parse().ok());
        numbers.max().context("the guest had nothing acknowledged")
    }

    /// Waits until a guest that writes has had some more records acknowledged.
    pub fn goes_on(&self, node: &Node) -> Result<()> {
        let next = self.acknowledged(node)? + SOME;
        self.wait_for(node, &format!("fsynced {next}"))
    }

    /// What the guest has printed so far.
    pub fn said(&self, node: &Node) -> Result<String> {
        node.ok(&format!("cat {}", self.log()))
    }

    /// Waits until the guest no longer exists.
    pub fn wait_until_gone(&self, node: &Node) -> Result<()> {
        let what = format!("without {}", self.name);
        node.wait_until(&what, &format!("! xl list {}", self.name), LIMIT)
    }

    fn log(&self) -> String {
        format!("/var/log/xen/guest-{}.log", self.name)
    }
}
