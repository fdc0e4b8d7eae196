//! The two nodes together: booted once, given clean resources for each scenario.
//!
//! It hides nothing that failed: what cannot be cleaned up makes the pair unfit
//! for the next scenario, and the caller boots another.

use crate::drbd;
use crate::image::Image;
use crate::link::Link;
use crate::node::{LIMIT, Node};
use anyhow::{Result, anyhow};
use std::fs;
use std::path::Path;

/// What says how a node is, by the file that keeps it.
const DIAGNOSES: &[(&str, &str)] = &[
    ("dmesg", "dmesg"),
    ("xl-dmesg", "xl dmesg"),
    ("xl-list", "xl list"),
    ("proc-drbd", "cat /proc/drbd"),
    ("xenstore", "xenstore-ls -fp"),
    ("ps", "ps"),
    ("drbd-options", "for r in $(drbdadm sh-resources); do echo \"$r:\"; drbdsetup show $r; done"),
    ("run-block-drbd", "find /run/block-drbd /run/xen-hotplug -type f | xargs -r tail -n +1"),
];

/// Both machines, connected.
pub struct Pair {
    /// 10.0.0.1, where scenarios start their guests.
    pub a: Node,
    /// 10.0.0.2, the peer.
    pub b: Node,
    /// The network over which they replicate, 10.0.0.0.
    pub link: Link,
    /// The one behind their names, 10.0.1.0: migration, fencing, questions to the peer.
    pub management: Link,
}

impl Pair {
    /// Boots both machines and waits for their agents.
    pub fn boot(image: &Image, directory: &Path) -> Result<Pair> {
        let (link, [link_a, link_b]) = Link::new()?;
        let (management, [management_a, management_b]) = Link::new()?;
        let a = Node::new("a", directory, image, [link_a, management_a]);
        let b = Node::new("b", directory, image, [link_b, management_b]);
        let pair = Pair { a, b, link, management };
        pair.a.power_on()?;
        pair.b.power_on()?;
        pair.both(Node::wait_for_boot)?;
        Ok(pair)
    }

    /// Does the same on both nodes at the same time.
    pub fn both(&self, work: impl Fn(&Node) -> Result<()> + Sync) -> Result<()> {
        std::thread::scope(|scope| {
            let on_b = scope.spawn(|| work(&self.b));
            let on_a = work(&self.a);
            let on_b = on_b.join().map_err(|_| anyhow!("the thread of node b panicked"))?;
            on_a.and(on_b)
        })
    }

    /// New metadata on both nodes, both up: Connected and Inconsistent.
    pub fn connect_inconsistent(&self, resource: &str) -> Result<()> {
        self.both(|node| {
            node.ok(&format!("drbdadm -- --force create-md {resource} && drbdadm up {resource}"))?;
            node.wait_for_drbd(resource, "cs:Connected ")
        })
    }

    /// A clean resource: Connected, Secondary, UpToDate on both nodes.
    pub fn connect(&self, resource: &str) -> Result<()> {
        self.connect_inconsistent(resource)?;
        // Two empty disks are equal: no initial sync.
        for volume in 0..drbd::volumes(resource) {
            self.a.ok(&format!("drbdadm new-current-uuid --clear-bitmap {resource}/{volume}"))?;
        }
        self.both(|node| node.wait_for_drbd(resource, "ds:UpToDate/UpToDate "))
    }

    /// A clean resource whose drives are all zero and have no history.
    pub fn connect_erased(&self, resource: &str) -> Result<()> {
        for disk in drbd::drives(resource) {
            self.a.drive(disk).erase();
            self.b.drive(disk).erase();
        }
        self.connect(resource)
    }

    /// An ext4 file system on the resource, made through node a.
    pub fn make_file_system(&self, resource: &str) -> Result<()> {
        let minor = drbd::minor(resource);
        self.a.ok(&format!(
            "drbdadm primary {resource} && /sbin/mke2fs -q -t ext4 /dev/drbd{minor} \
             && drbdadm secondary {resource}"
        ))?;
        Ok(())
    }

    /// Ends what a scenario may have left, whatever way it ended.
    pub fn clean_up(&self, resources: &[&str]) -> Result<()> {
        self.link.restore();
        self.management.restore();
        self.a.come_back()?;
        self.b.come_back()?;
        self.both(|node| {
            node.wait_for_boot()?;
            node.put(drbd::CONFIGURATION, drbd::configuration().as_bytes())?;
            node.ok("rm -rf /run/lab-hold /run/lab-peer-is-off /etc/xen/block-drbd.toml /var/lib/block-drbd/quarantine
                 for job in /run/lab-job-*; do [ -e $job ] && kill $(cat $job); rm -f $job; done
                 kill -KILL $(pidof xl libxl-save-helper) 2>/dev/null || true
                 for id in $(xl list | awk 'NR > 1 && $2 != 0 { print $2 }'); do xl destroy $id; done
                 ! grep -q ' /mnt ' /proc/mounts || umount /mnt")?;
            node.wait_for_no_vbds(LIMIT)?;
            for resource in resources {
                // A node that was booted again has it down already.
                let minor = drbd::minor(resource);
                let down = format!(
                    "! grep -q '^ *{minor}: ' /proc/drbd \
                     || {{ drbdadm secondary {resource} && drbdadm down {resource}; }}"
                );
                node.wait_until("down", &down, LIMIT)?;
            }
            node.ok("rm -rf /run/block-drbd /run/xen-hotplug/block")?;
            Ok(())
        })
    }

    /// Keeps all that a failed scenario can be understood from. What cannot be had is left out.
    pub fn collect(&self, directory: &Path) -> Result<()> {
        fs::create_dir_all(directory)?;
        for node in [&self.a, &self.b].into_iter().filter(|node| node.is_on()) {
            node.resume()?;
            for (name, command) in DIAGNOSES {
                let output = node.run(command)?;
                let text = output.text() + &output.stderr;
                fs::write(directory.join(format!("{}-{name}.txt", node.name)), text)?;
            }
            for path in node.ok("find /var/log -type f")?.lines() {
                let name = path.trim_start_matches("/var/log/").replace('/', "-");
                fs::write(directory.join(format!("{}-{name}", node.name)), node.get(path)?)?;
            }
        }
        Ok(())
    }
}
