//! What must hold on both nodes once nothing is going on any more, whatever has happened before.
//!
//! Each condition is awaited on its own, so that a failure names it. It looks at
//! the kernel and at the records, and asks the binary under test nothing.

use crate::drbd;
use crate::moving;
use crate::node::{LIMIT, Node};
use crate::pair::Pair;
use anyhow::{Context, Result};

/// What a failure is understood from.
const STATE: &str = "cat /proc/drbd | grep -A1 '^ *[0-9]*: cs'; xl list
     find /run/block-drbd/claims /run/block-drbd/windows -type f 2>/dev/null | xargs -r tail -n +1
     ps | grep -E 'block-drbd|xl |save-helper' | grep -v grep; tail -n 12 /var/log/syslog";

/// No guest anywhere, and nothing left of one.
pub fn without_guest(pair: &Pair, resource: &str) -> Result<()> {
    pair.both(|node| is_free(node, resource))
}

/// Exactly one guest, here; only here is the resource Primary.
pub fn with_guest(pair: &Pair, here: &Node, guest: &str, resource: &str) -> Result<()> {
    pair.both(|node| match node.name == here.name {
        true => is_used(node, guest, resource),
        false => is_free(node, resource),
    })
}

/// This node has no guest, and nothing left of one.
pub fn is_free(node: &Node, resource: &str) -> Result<()> {
    let claim = format!("! [ -e /run/block-drbd/claims/{resource}.json ]");
    await_all(
        node,
        resource,
        &[
            ("without a domain", "[ $(xl list | wc -l) = 2 ]"),
            ("Secondary", &format!("! {}", is_primary(resource))),
            ("without a claim", &claim),
        ],
    )
}

fn is_used(node: &Node, guest: &str, resource: &str) -> Result<()> {
    let only = format!("[ $(xl list | wc -l) = 3 ] && xl list | grep -q '^{guest} '");
    let claim = format!("[ -e /run/block-drbd/claims/{resource}.json ]");
    await_all(
        node,
        resource,
        &[
            ("with that one domain", &only),
            ("Primary", &is_primary(resource)),
            ("with the guest's claim", &claim),
        ],
    )
}

fn await_all(node: &Node, resource: &str, conditions: &[(&str, &str)]) -> Result<()> {
    let two = format!(
        "drbdsetup show {resource} >/run/lab-show && ! grep -q 'allow-two-primaries.*yes' /run/lab-show"
    );
    let window = format!("! {}", moving::window_of(resource));
    let always = [("allowing one Primary only", two.as_str()), ("without a window", window.as_str())];
    for (what, command) in conditions.iter().chain(&always) {
        let state = || node.run(STATE).map_or_else(|error| format!("{error:#}"), |output| output.text());
        let what = format!("{what} ({resource})");
        node.wait_until(&what, command, LIMIT).with_context(state)?;
    }
    Ok(())
}

/// A shell command that succeeds where a volume of the resource is Primary.
pub fn is_primary(resource: &str) -> String {
    let minors: Vec<String> = drbd::minors(resource).map(|minor| minor.to_string()).collect();
    format!("grep -qE '^ *({}): .* ro:Primary/' /proc/drbd", minors.join("|"))
}
