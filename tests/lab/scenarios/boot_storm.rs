//! Twenty guests start at once on one host, each on a resource of its own, and go at once.

use crate::drbd::{self, SHARED_DISK, SMALL_SECTORS};
use crate::guest::Guest;
use crate::node::Node;
use crate::pair::Pair;
use crate::settled;
use anyhow::{Context, Result, ensure};
use std::fmt::Write;
use std::time::Duration;

/// One core emulates what a host does on many.
const STORM: Duration = Duration::from_secs(600);

pub fn run(pair: &Pair) -> Result<()> {
    let names: Vec<&str> = drbd::small().map(|resource| resource.name).collect();
    connect(pair, &names)?;
    let a = &pair.a;
    let mut starts = String::from("rm -f /run/lab-storm-*\n");
    for name in &names {
        let guest = format!("storm-{name}");
        let create = Guest::tiny(&guest, name).command(a)?;
        starts += &in_background(&create, name);
    }
    all_at_once(a, &starts, names.len(), "started")?;
    for name in &names {
        a.drbd_is(name, "ro:Primary/Secondary")?;
    }
    let ends = names.iter().map(|name| in_background(&format!("xl destroy storm-{name}"), name));
    all_at_once(a, &ends.collect::<String>(), names.len(), "ended")?;
    names.iter().try_for_each(|name| settled::without_guest(pair, name))
}

/// Those of the small resources, clean; each has its part of the shared disk by its number.
pub fn connect(pair: &Pair, names: &[&str]) -> Result<()> {
    let mut disks = String::from("/sbin/modprobe dm-mod\n");
    for (number, name) in names.iter().enumerate() {
        let start = number * SMALL_SECTORS;
        writeln!(
            disks,
            "[ -e /dev/mapper/{name} ] || DM_DISABLE_UDEV=1 /sbin/dmsetup create {name} --table '0 {SMALL_SECTORS} linear /dev/{SHARED_DISK} {start}'"
        )?;
    }

    let all = names.join(" ");
    pair.both(|node| {
        node.ok(&disks)?;
        node.ok(&format!("drbdadm -- --force create-md {all} && drbdadm up {all}"))?;
        names.iter().try_for_each(|name| node.wait_for_drbd(name, "cs:Connected "))
    })?;
    let volumes = names.join("/0 ") + "/0";
    pair.a.ok(&format!("drbdadm new-current-uuid --clear-bitmap {volumes}"))?;
    pair.both(|node| names.iter().try_for_each(|name| node.wait_for_drbd(name, "ds:UpToDate/UpToDate ")))
}

/// The command, with what it said and how long it took in files of its own.
fn in_background(command: &str, name: &str) -> String {
    format!(
        "( begin=$(date +%s%N); {command} >/run/lab-said-{name} 2>&1; code=$?
           echo $code $(( ($(date +%s%N) - begin) / 1000000 )) >/run/lab-tmp-{name}
           mv /run/lab-tmp-{name} /run/lab-storm-{name} ) >/dev/null 2>&1 &\n"
    )
}

/// Prints the times, in seconds.
fn all_at_once(node: &Node, commands: &str, count: usize, what: &str) -> Result<()> {
    node.ok(&format!("rm -f /run/lab-storm-*\n{commands}"))?;
    node.wait_until("done with the storm", &format!("[ $(ls /run/lab-storm-* | wc -l) = {count} ]"), STORM)?;
    let failed =
        node.ok("for f in /run/lab-storm-*; do grep -q '^0 ' $f || cat /run/lab-said-${f##*-}; done")?;
    ensure!(failed.is_empty(), "of {count} guests not all {what}: {failed}");
    let mut times = Vec::new();
    for line in node.ok("cat /run/lab-storm-*")?.lines() {
        let (_, milliseconds) = line.split_once(' ').context("a time")?;
        times.push(milliseconds.parse::<u64>()?);
    }
    times.sort_unstable();
    let seconds = |at: usize| format!("{}.{} s", times[at] / 1000, times[at] % 1000 / 100);
    println!(
        "lab:   {count} guests {what} at once: the first after {}, half after {}, all after {}",
        seconds(0),
        seconds(count / 2),
        seconds(count - 1)
    );
    Ok(())
}
