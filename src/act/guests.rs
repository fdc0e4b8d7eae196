//! Stops guests with Xen's own toolstack.

use crate::facts::Act;
use crate::host::{Host, program};
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a pause may take: a hypercall, and what xl does before it.
const PAUSE: Duration = Duration::from_secs(3);
/// How long a guest that nobody waits for may take to be gone.
const GONE: Duration = Duration::from_secs(120);

/// Deals with each guest, also when it did not work with another.
pub fn act(host: &Host, xl: &str, act: Act, domids: &[u32]) -> Result<()> {
    ensure!(
        host.program(xl)?.is_some_and(|program| program.executable),
        "there is no program {xl} to {act} domain {} with; write where it is: xl = \"/path/xl\" in /etc/xen/block-drbd.toml",
        list(domids)
    );
    let failed: Vec<String> = domids
        .iter()
        .filter_map(|domid| one(host, xl, act, *domid).err().map(|error| format!("{error:#}")))
        .collect();
    match failed.is_empty() {
        true => Ok(()),
        false => bail!("{}", failed.join("; ")),
    }
}

fn one(host: &Host, xl: &str, act: Act, domid: u32) -> Result<()> {
    let words = |words: &[&str]| -> Result<Vec<String>> {
        let command: Vec<String> =
            [&[xl], words, &[&domid.to_string()]].concat().iter().map(ToString::to_string).collect();
        program::of_root(host, &command)
    };
    let pause = || {
        let deadline = host.deadline().at_most(PAUSE);
        let paused = words(&["pause"]).and_then(|command| program::run(&command, deadline, 1 << 16));
        paused.map(|_| ()).with_context(|| format!("{xl} pause {domid}"))
    };
    let leave = |what: &str, command: &[&str]| {
        let what = format!("{what} of domain {domid}");
        program::leave(host, &what, &words(command)?, &BTreeMap::new(), GONE)
    };
    match act {
        Act::Record => Ok(()),
        Act::Pause => pause(),
        // Its shutdown and its end close the device and demote it, which waits for DRBD (drbd_state.c,
        // after_state_ch), and DRBD waits for this handler.
        Act::Shutdown => leave("shutdown", &["shutdown", "-F"]),
        Act::Destroy => {
            // What cannot be paused is ended all the same.
            let paused = pause();
            leave("end", &["destroy"]).and(paused)
        }
    }
}

fn list(domids: &[u32]) -> String {
    domids.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}
