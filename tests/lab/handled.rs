//! What the scenarios about DRBD's handlers share: nodes whose drbd.conf has the
//! snippet that users copy, and what the kernel and the log say of each call.

use crate::drbd;
use crate::node::{LIMIT, Node};
use crate::pair::Pair;
use anyhow::{Context, Result, ensure};
use std::fmt::Write;

const SNIPPET: &str = include_str!("../../etc/drbd.d/xen-handlers.res");

/// One call of a handler by the kernel.
pub struct Call {
    /// What for.
    pub event: String,
    /// What DRBD took for the answer.
    pub code: i32,
    /// For how long DRBD waited, drbdadm included.
    pub milliseconds: f64,
}

/// Both nodes get the handlers, before the resource is up, and these settings.
pub fn install(pair: &Pair, settings: &str) -> Result<()> {
    install_handlers(pair, &snippet()?, settings)
}

/// The same with this `handlers { }`.
pub fn install_handlers(pair: &Pair, handlers: &str, settings: &str) -> Result<()> {
    for (node, peer) in [(&pair.a, "b"), (&pair.b, "a")] {
        node.put(drbd::CONFIGURATION, drbd::configuration_with(handlers).as_bytes())?;
        node.put("/etc/xen/block-drbd.toml", (settings.to_owned() + &peers(peer)).as_bytes())?;
        node.ok("rm -rf /var/lib/block-drbd/quarantine")?;
    }
    Ok(())
}

/// The settings that say how the peer is asked, over the management network.
pub fn peers(peer: &str) -> String {
    format!(
        "[peers.{peer}]\ncommand = [\"ssh\", \"{peer}\", \"block-drbd\", \"facts\", \"--json\"]\n\
         outdate-command = [\"ssh\", \"{peer}\", \"drbdadm\", \"outdate\"]\n"
    )
}

/// The section of the snippet, with the lines for DRBD 8.4 in force.
pub fn snippet() -> Result<String> {
    let begin = SNIPPET.find("\thandlers {").context("the snippet has no handlers")?;
    let end = SNIPPET.rfind('}').context("the snippet has no end")?;
    Ok(SNIPPET[begin..end].replace("#8.4:", ""))
}

/// Every call since the node has booted, in their order, for a resource by its name or its minor.
pub fn calls(node: &Node, resource: &str) -> Result<Vec<Call>> {
    let log = node.ok("dmesg | grep 'helper command: ' || true")?;
    let minor = format!("minor-{}", drbd::minor(resource));
    let mut begun = Vec::new();
    let mut calls = Vec::new();
    for line in log.lines() {
        let (time, what) = line.split_once("helper command: ").context("no helper command")?;
        let seconds = seconds(time)?;
        let words: Vec<&str> = what.split_whitespace().collect();
        let [_, event, subject, rest @ ..] = words.as_slice() else { continue };
        if *subject != resource && *subject != minor {
            continue;
        }
        let Some(code) = rest.strip_prefix(&["exit", "code"]).and_then(<[&str]>::first) else {
            begun.push((*event, seconds));
            continue;
        };
        let at = begun.iter().position(|(name, _)| name == event).context("an end without a beginning")?;
        let (event, begin) = begun.remove(at);
        let milliseconds = (seconds - begin) * 1000.0;
        calls.push(Call { event: event.into(), code: code.parse()?, milliseconds });
    }
    Ok(calls)
}

/// Of `[  123.456789] drbd r: …`.
pub fn seconds(line: &str) -> Result<f64> {
    let stamp = line.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
    let (stamp, _) = stamp.with_context(|| format!("no time: {line}"))?;
    Ok(stamp.trim().parse()?)
}

/// Waits until the kernel has called this handler of the resource, and has its answer; counts all
/// calls since the boot.
pub fn wait_for(node: &Node, resource: &str, event: &str, count: usize) -> Result<()> {
    let minor = drbd::minor(resource);
    let ended = format!(
        "[ $(dmesg | grep -cE 'helper command: .* {event} ({resource}|minor-{minor}) exit code') -ge {count} ]"
    );
    node.wait_until(&format!("called for {event} of {resource}"), &ended, LIMIT)
}

/// The last call for this event answered so.
pub fn answered(node: &Node, resource: &str, event: &str, code: i32) -> Result<()> {
    let calls = calls(node, resource)?;
    let last = calls.iter().rev().find(|call| call.event == event);
    let last = last.with_context(|| format!("{}: DRBD has not called {event}", node.name))?;
    ensure!(
        last.code == code,
        "{}: {event} was answered {}, not {code}: {}",
        node.name,
        last.code,
        log(node)?
    );
    Ok(())
}

/// What the handlers have logged.
pub fn log(node: &Node) -> Result<String> {
    node.ok("grep 'handler=' /var/log/syslog || true")
}

/// Prints how long DRBD waited for each handler, and how much of that our process was.
pub fn tell_times(pair: &Pair, resource: &str) -> Result<()> {
    for node in [&pair.a, &pair.b] {
        let ours = log(node)?;
        let mut told = String::new();
        for call in calls(node, resource)? {
            write!(told, " {} {:.0} ms", call.event, call.milliseconds)?;
        }
        println!("lab:   DRBD waited on {}:{told}", node.name);
        let of_resource = format!(" resource={resource} ");
        let mut told = String::new();
        for line in ours.lines().filter(|line| line.contains(&of_resource)) {
            let word = |name: &str| line.split_whitespace().find_map(|word| word.strip_prefix(name));
            let (event, time) = (word("handler=").context("no handler=")?, word("total_ms="));
            write!(told, " {event} {} ms", time.context("no total_ms=")?)?;
        }
        println!("lab:   block-drbd by its own clock:{told}");
    }
    Ok(())
}
