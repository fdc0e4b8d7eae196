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
    node.ok("mkdir -p /run/xen-hotplug; rm -f /run/lab-locked; touch /run/lab-hold
         ( exec 9>>/run/xen-hotplug/block; flock 9; touch /run/lab-locked
           while [ -e /run/lab-hold ]; do sleep 0.1; done ) >/dev/null 2>&1 &
         until [ -e /run/lab-locked ]; do sleep 0.1; done")?;
    Ok(())
}

/// Lets go of the lock.
pub fn release(node: &Node) -> Result<()> {
    node.ok("rm /run/lab-hold")?;
    Ok(())
}
