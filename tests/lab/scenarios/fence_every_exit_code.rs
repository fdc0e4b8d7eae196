//! What DRBD makes of each answer about a lost peer. A guest is created while the
//! link is cut: with a fact that makes it safe it starts, without one it does not, and
//! what hangs or dies is no fact.

use crate::flushes;
use crate::guest::Guest;
use crate::handled;
use crate::pair::Pair;
use crate::settled;
use anyhow::{Context, Result, ensure};

const RESOURCE: &str = "r3";
const NAME: &str = "fence-code";
const PROGRAM: &str = "#!/bin/sh\n. /run/lab-fence-does\n";

/// Why 5 is believed, where it is.
const BELIEVE: &str = ", believe-down = \"the lab says so\"";

/// What the program does, whether 5 is believed; what DRBD is answered, and how a has it then.
const CASES: &[(&str, &str, i32, &str)] = &[
    ("exit 3", "", 3, "ro:Primary/Unknown ds:UpToDate/Inconsistent"),
    ("exit 4", "", 4, "ro:Primary/Unknown ds:UpToDate/Outdated"),
    ("exit 5", BELIEVE, 5, "ro:Primary/Unknown ds:UpToDate/Outdated"),
    ("exit 5", "", 1, "ro:Secondary/Unknown ds:UpToDate/DUnknown"),
    ("exit 6", "", 6, "ro:Secondary/Unknown ds:Outdated/DUnknown"),
    ("exit 7", "", 7, "ro:Primary/Unknown ds:UpToDate/Outdated"),
    ("exit 0", "", 1, "ro:Secondary/Unknown ds:UpToDate/DUnknown"),
    ("exit 1", "", 1, "ro:Secondary/Unknown ds:UpToDate/DUnknown"),
    ("exit 20", "", 1, "ro:Secondary/Unknown ds:UpToDate/DUnknown"),
    ("kill -KILL $$", "", 1, "ro:Secondary/Unknown ds:UpToDate/DUnknown"),
    ("exec sleep 3600", "", 1, "ro:Secondary/Unknown ds:UpToDate/DUnknown"),
];

pub fn run(pair: &Pair) -> Result<()> {
    let a = &pair.a;
    handled::install(pair, "")?;
    pair.connect(RESOURCE)?;
    pair.both(|node| flushes::disk_options(node, RESOURCE, "--fencing=resource-and-stonith"))?;
    a.put("/run/lab-fence", PROGRAM.as_bytes())?;
    for (count, (does, believe, code, state)) in (1..).zip(CASES) {
        let settings = format!(
            "[fencing]\nbudget-seconds = 4\n\
             methods = [{{ method = \"program\", command = [\"/run/lab-fence\"]{believe} }}]\n"
        );
        a.put("/etc/xen/block-drbd.toml", settings.as_bytes())?;
        a.put("/run/lab-fence-does", does.as_bytes())?;
        one(pair, count, *code, state).with_context(|| format!("the program: {does}{believe}"))?;
    }
    handled::tell_times(pair, RESOURCE)
}

fn one(pair: &Pair, count: usize, code: i32, state: &str) -> Result<()> {
    let a = &pair.a;
    pair.link.cut();
    pair.both(|node| node.wait_for_drbd(RESOURCE, "cs:WFConnection .* ds:UpToDate/DUnknown"))?;
    let command = Guest::tiny(NAME, RESOURCE).command(a)?;
    let created = a.run(&command)?;
    handled::wait_for(a, RESOURCE, "fence-peer", count)?;
    handled::answered(a, RESOURCE, "fence-peer", code)?;
    let said = created.text() + &created.stderr;
    a.drbd_is(RESOURCE, state).context(said.clone())?;
    match state.contains("Primary") {
        true => {
            ensure!(created.code == 0, "the guest did not start: {said}");
            a.ok(&format!("xl destroy {NAME}"))?;
        }
        false => {
            ensure!(created.code != 0, "the guest has started: {said}");
            ensure!(said.contains("fence"), "xl does not say that fencing has failed: {said}");
            a.has_no_guest()?;
        }
    }
    a.wait_for_drbd(RESOURCE, "ro:Secondary/")?;
    pair.link.restore();
    flushes::are_equal(pair, RESOURCE)?;
    settled::without_guest(pair, RESOURCE)
}
