//! What nobody demotes in time is demoted later: by the detached release, by the
//! timer's command, or by the `remove` of a guest whose xl was killed.

use crate::block_lock;
use crate::drbd;
use crate::guest::Guest;
use crate::node::{LIMIT, Node};
use crate::pair::Pair;
use crate::settled;
use anyhow::{Result, ensure};

const RESOURCE: &str = "r5";

pub fn run(pair: &Pair) -> Result<()> {
    pair.connect(RESOURCE)?;
    by_the_detached_release(pair)?;
    by_the_command(pair)?;
    after_xl_was_killed(pair)
}

/// The device is held past the patience of `remove`: the guest is gone, the release is pending, and
/// comes as soon as the device is let go.
fn by_the_detached_release(pair: &Pair) -> Result<()> {
    let a = &pair.a;
    Guest::tiny("orphan-detached", RESOURCE).create(a)?;
    hold_device(a, RESOURCE)?;
    a.ok("xl destroy orphan-detached")?;
    a.has_no_guest()?;
    a.drbd_is(RESOURCE, "ro:Primary/Secondary")?;
    a.ok(&format!("grep -q '\"users\":\\s*\\[\\]' /run/block-drbd/claims/{RESOURCE}.json"))?;
    let status = a.ok("block-drbd status")?;
    let line = status.lines().find(|line| line.starts_with(&format!("{RESOURCE} "))).unwrap_or_default();
    ensure!(line.contains("release pending"), "status does not say that the release is pending: {status}");
    let_go(a)?;
    settled::without_guest(pair, RESOURCE)
}

/// `remove` and what it might have left are killed: nobody is there to release, until somebody asks.
fn by_the_command(pair: &Pair) -> Result<()> {
    let a = &pair.a;
    Guest::tiny("orphan-killed", RESOURCE).create(a)?;
    hold_device(a, RESOURCE)?;
    a.ok("( xl destroy orphan-killed ) >/run/lab-destroy 2>&1 &")?;
    wait_for_remove(a)?;
    a.ok("kill -KILL $(pidof block-drbd)")?;
    a.wait_until("without the guest", "[ $(xl list | wc -l) = 2 ]", LIMIT)?;
    a.drbd_is(RESOURCE, "ro:Primary/Secondary")?;
    let_go(a)?;
    a.ok("block-drbd release --all")?;
    a.drbd_is(RESOURCE, "ro:Secondary/Secondary")?;
    settled::without_guest(pair, RESOURCE)
}

/// xl is killed while it creates: its script ends what it began, for a domain that stays until it is destroyed.
fn after_xl_was_killed(pair: &Pair) -> Result<()> {
    let a = &pair.a;
    let create = Guest::tiny("orphan-xl", RESOURCE).command(a)?;
    block_lock::hold(a)?;
    a.ok(&format!("( {create} ) >/run/lab-create 2>&1 &"))?;
    a.wait_for_drbd(RESOURCE, "ro:Primary/Secondary")?;
    a.ok("kill -KILL $(pidof xl)")?;
    block_lock::release(a)?;
    a.wait_until("done with the add", "! pidof block-drbd", LIMIT)?;
    settled::with_guest(pair, a, "orphan-xl", RESOURCE)?;
    a.ok("xl destroy orphan-xl")?;
    settled::without_guest(pair, RESOURCE)
}

/// Something in dom0 opens the device, and keeps it until [`let_go`].
pub fn hold_device(node: &Node, resource: &str) -> Result<()> {
    let minor = drbd::minor(resource);
    node.ok(&format!(
        "rm -f /run/lab-held
         ( exec 3</dev/drbd{minor}; touch /run/lab-held; exec sleep 3600 ) >/dev/null 2>&1 &
         echo $! >/run/lab-job-hold
         until [ -e /run/lab-held ]; do sleep 0.1; done"
    ))?;
    Ok(())
}

/// Ends it.
pub fn let_go(node: &Node) -> Result<()> {
    node.ok("kill $(cat /run/lab-job-hold); rm /run/lab-job-hold")?;
    Ok(())
}

/// Waits until a `remove` runs.
pub fn wait_for_remove(node: &Node) -> Result<()> {
    node.wait_until("running a remove", "ps | grep -v grep | grep -q 'block-drbd remove'", LIMIT)
}
