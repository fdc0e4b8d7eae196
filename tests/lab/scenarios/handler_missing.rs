//! A wrong path in `handlers { }`: `check` says so beforehand, and when the peer is
//! lost, DRBD has no answer and promotes nothing.

use crate::flushes;
use crate::guest::Guest;
use crate::handled;
use crate::pair::Pair;
use anyhow::{Result, ensure};

const RESOURCE: &str = "r5";

pub fn run(pair: &Pair) -> Result<()> {
    let a = &pair.a;
    let wrong = "handlers { fence-peer \"/usr/sbin/block-drdb handler fence-peer\"; }";
    handled::install_handlers(pair, wrong, "[fencing]\nmethods = [{ method = \"ask-peer\" }]\n")?;
    pair.connect(RESOURCE)?;
    pair.both(|node| flushes::disk_options(node, RESOURCE, "--fencing=resource-only"))?;
    let check = a.run(&format!("block-drbd check {RESOURCE}"))?.text();
    ensure!(
        check.contains("fencing-handler") && check.contains("/usr/sbin/block-drdb"),
        "check does not say that the handler is missing: {check}"
    );

    pair.link.cut();
    pair.both(|node| node.wait_for_drbd(RESOURCE, "cs:WFConnection .* ds:UpToDate/DUnknown"))?;
    let said = Guest::tiny("unhandled", RESOURCE).create_is_refused(a)?;
    ensure!(said.contains("fencing"), "xl does not say that fencing has failed: {said}");
    a.drbd_is(RESOURCE, "ro:Secondary/Unknown ds:UpToDate/DUnknown")?;
    a.has_no_guest()
}
