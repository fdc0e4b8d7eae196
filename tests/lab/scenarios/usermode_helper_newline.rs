//! `echo` writes a newline into DRBD's parameter `usermode_helper`. The kernel keeps it, and runs no
//! handler any more: a lost peer is not fenced. `check` and the start of a guest say so, and the command that
//! `check` gives mends it.

use crate::check;
use crate::flushes;
use crate::guest::Guest;
use crate::handled;
use crate::node::Node;
use crate::pair::Pair;
use crate::settled;
use anyhow::{Context, Result, ensure};

const RESOURCE: &str = "r5";
const PARAMETER: &str = "/sys/module/drbd/parameters/usermode_helper";
const RULE: &str = "usermode-helper";

pub fn run(pair: &Pair) -> Result<()> {
    let a = &pair.a;
    handled::install(pair, "[fencing]\nmethods = [{ method = \"ask-peer\" }]\n")?;
    pair.connect(RESOURCE)?;
    pair.both(|node| flushes::disk_options(node, RESOURCE, "--fencing=resource-and-stonith"))?;
    a.ok(&format!("echo /sbin/drbdadm >{PARAMETER}"))?;
    let result = is_said_and_mended(pair);
    a.ok(&format!("printf %s /sbin/drbdadm >{PARAMETER}"))?;
    result
}

fn is_said_and_mended(pair: &Pair) -> Result<()> {
    let a = &pair.a;
    let guest = Guest::tiny("helper", RESOURCE);
    let said = guest.create_is_refused(a)?;
    ensure!(said.contains(&format!("[{RULE}]")), "xl does not name the rule: {said}");
    no_handler_runs(pair)?;
    a.ok(&remedy(a)?)?;

    // The kernel now runs the handler, which has the peer outdated.
    pair.link.cut();
    a.wait_for_drbd(RESOURCE, "cs:WFConnection .* ds:UpToDate/DUnknown")?;
    guest.create(a)?;
    handled::answered(a, RESOURCE, "fence-peer", 4)?;
    pair.link.restore();
    flushes::are_equal(pair, RESOURCE)?;
    settled::with_guest(pair, a, guest.name, RESOURCE)?;
    a.ok("xl destroy helper")?;
    settled::without_guest(pair, RESOURCE)
}

/// Shows what the rule is about: DRBD itself promotes nothing, and our program was not called.
fn no_handler_runs(pair: &Pair) -> Result<()> {
    let a = &pair.a;
    pair.link.cut();
    a.wait_for_drbd(RESOURCE, "cs:WFConnection .* ds:UpToDate/DUnknown")?;
    let called = handled::log(a)?.lines().count();
    a.fails(&format!("drbdadm primary {RESOURCE}"))?;
    a.ok("dmesg | grep -q 'fence-peer helper broken'")?;
    let log = handled::log(a)?;
    ensure!(log.lines().count() == called, "a handler was called: {log}");
    pair.link.restore();
    flushes::are_equal(pair, RESOURCE)
}

/// The command of the remedy that `check` gives.
fn remedy(node: &Node) -> Result<String> {
    let finding = check::finding(node, RESOURCE, RULE)?;
    let remedy = finding["remedy"].as_str().context("no remedy")?;
    let (_, command) = remedy.split_once("run: ").with_context(|| format!("no command: {remedy}"))?;
    Ok(command.to_owned())
}
