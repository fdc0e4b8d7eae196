//! Xen's `block` lock, held by the lab to stop an `add` between its promotion
//! and its commit.
//!
//! `add` promotes first, then takes this lock and looks at xenstore again. To
//! hold the lock is therefore the one way to stop it at a known place without a
//! race: the role says Primary, and nothing is written yet.

use crate::node::Node;
use anyhow::Result;

/// Takes the lock and keeps it until [`release`].
pub fn hold(node: &Node) -> Result<()> {
    node.ok("mkdir -p /run/xen-hotplug; rm -f /run/lab-locked
         flock /run/xen-hotplug/block sh -c 'touch /run/lab-locked; exec sleep 600' &
         echo $! >/run/lab-job-lock
         until [ -e /run/lab-locked ]; do sleep 0.1; done")?;
    Ok(())
}

/// Lets go of the lock.
pub fn release(node: &Node) -> Result<()> {
    // flock(1) itself keeps the file open, and so does the sleep that it started.
    node.ok(
        "flock=$(cat /run/lab-job-lock); pkill -P $flock; kill $flock 2>/dev/null; rm /run/lab-job-lock",
    )?;
    Ok(())
}
