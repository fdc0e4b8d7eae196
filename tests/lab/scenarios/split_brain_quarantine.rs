//! Both nodes have written apart: the kernel calls the handler on both. Only the
//! guest on that resource is stopped, one on another writes on; nobody is given the
//! resource until an administrator has decided which data stays, and has said so.

use crate::flushes;
use crate::guest::Guest;
use crate::handled;
use crate::node::LIMIT;
use crate::pair::Pair;
use crate::settled;
use anyhow::{Result, ensure};

const RESOURCE: &str = "r0";
const OTHER: &str = "r1";

pub fn run(pair: &Pair) -> Result<()> {
    let (a, b) = (&pair.a, &pair.b);
    handled::install(pair, "[handlers]\nsplit-brain = \"destroy\"\n")?;
    pair.connect(RESOURCE)?;
    pair.connect(OTHER)?;
    let other = Guest::new("split-other", "checked", OTHER);
    other.create(a)?;
    other.wait_for(a, "fsynced 3")?;
    let concerned = Guest::tiny("split-concerned", RESOURCE);
    concerned.create(a)?;

    split(pair)?;
    pair.both(|node| handled::wait_for(node, RESOURCE, "split-brain", 1))?;
    pair.both(|node| handled::answered(node, RESOURCE, "split-brain", 0))?;
    a.wait_until("without the guest", &format!("! xl list {}", concerned.name), LIMIT)?;
    b.ok(&format!("drbdadm secondary {RESOURCE}"))?;
    other.goes_on(a)?;
    is_refused(pair, "[standalone]")?;

    mend(pair)?;
    is_refused(pair, "[quarantined]")?;
    pair.both(|node| {
        node.ok(&format!("block-drbd quarantine clear {RESOURCE} --reason 'a was right'"))?;
        node.ok("grep 'a was right' /var/log/syslog")?;
        Ok(())
    })?;
    concerned.create(a)?;
    ensure!(flushes::find(a, RESOURCE)?.contains(&1), "what a had written is gone");
    a.ok(&format!("xl destroy {}", concerned.name))?;
    a.wait_for_drbd(RESOURCE, "ro:Secondary/Secondary ds:UpToDate/UpToDate")?;
    other.goes_on(a)?;
    a.ok("xl shutdown split-other")?;
    other.wait_until_gone(a)?;
    handled::tell_times(pair, RESOURCE)?;
    settled::without_guest(pair, OTHER)
}

/// Somebody promotes b by hand while the link is cut, and both are written to.
fn split(pair: &Pair) -> Result<()> {
    let (a, b) = (&pair.a, &pair.b);
    pair.link.cut();
    pair.both(|node| node.wait_for_drbd(RESOURCE, "cs:WFConnection .* ds:UpToDate/DUnknown"))?;
    b.ok(&format!("drbdadm primary {RESOURCE}"))?;
    flushes::write(a, RESOURCE, 1..=1)?;
    flushes::write(b, RESOURCE, 2..=2)?;
    pair.link.restore();
    Ok(())
}

fn is_refused(pair: &Pair, rule: &str) -> Result<()> {
    for (node, name) in [(&pair.a, "split-again"), (&pair.b, "split-peer")] {
        let said = Guest::tiny(name, RESOURCE).create_is_refused(node)?;
        ensure!(said.contains(rule), "{}: xl does not name the rule: {said}", node.name);
        node.drbd_is(RESOURCE, "ro:Secondary/")?;
    }
    Ok(())
}

/// An administrator gives up what b has written.
fn mend(pair: &Pair) -> Result<()> {
    pair.both(|node| node.run(&format!("drbdadm disconnect {RESOURCE}")).map(drop))?;
    pair.b.ok(&format!("drbdadm -- --discard-my-data connect {RESOURCE}"))?;
    pair.a.ok(&format!("drbdadm connect {RESOURCE}"))?;
    flushes::are_equal(pair, RESOURCE)
}
