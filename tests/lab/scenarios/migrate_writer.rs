//! A guest moves while it writes numbered records, each with its flush, and reads
//! back what it has written: it misses none, and in the end both disks hold
//! exactly those that were acknowledged.

use crate::guest::Guest;
use crate::node::{LIMIT, Node};
use crate::pair::Pair;
use crate::record;
use crate::settled;
use anyhow::{Context, Result, ensure};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

const RESOURCE: &str = "f0";

/// dom0 maps the guest's pages one by one, in emulation of an emulated MMU.
const PATIENCE: Duration = Duration::from_secs(1500);

/// How many records are acknowledged on either host at least.
const SOME: u64 = 20;

pub fn run(pair: &Pair) -> Result<()> {
    let (a, b) = (&pair.a, &pair.b);
    pair.connect_erased(RESOURCE)?;
    let plain = Guest::new("writer", "checked", RESOURCE);
    let more = format!("{}type=\"pvh\"\ntsc_mode=\"native\"\nmemory=128\n", plain.more);
    let guest = Guest { more: &more, ..plain };
    guest.create(a)?;
    guest.wait_for(a, &format!("fsynced {SOME}"))?;
    let start = Instant::now();
    a.ok("rm -f /run/lab-migrate-code
         ( xl migrate writer b; echo $? >/run/lab-migrate-code ) >/run/lab-migrate 2>&1 &")?;
    a.wait_until("done with the migration", "[ -s /run/lab-migrate-code ]", PATIENCE)?;
    let said = a.ok("cat /run/lab-migrate")?;
    ensure!(a.ok("cat /run/lab-migrate-code")?.trim() == "0", "the guest did not move: {said}");
    println!("lab:   moved in {} s", start.elapsed().as_secs());
    settled::with_guest(pair, b, guest.name, RESOURCE)?;

    let before = *acknowledged(a)?.last().context("nothing acknowledged on a")?;
    let line = format!("grep -qE 'GUEST (fsynced {}|FAILED)' /var/log/xen/guest-writer*", before + SOME);
    b.wait_until("with a guest that writes on", &line, LIMIT)?;
    b.ok("xl shutdown writer")?;
    guest.wait_until_gone(b)?;
    settled::without_guest(pair, RESOURCE)?;
    all_agree(pair)
}

fn all_agree(pair: &Pair) -> Result<()> {
    let (on_a, on_b) = (acknowledged(&pair.a)?, acknowledged(&pair.b)?);
    let told: BTreeSet<u64> = on_a.union(&on_b).copied().collect();
    let last = *told.last().context("nothing acknowledged")?;
    ensure!(told == (1..=last).collect(), "the guest has left out records: {told:?}");
    for node in [&pair.a, &pair.b] {
        let mut found = record::found(&node.drive("vdk").current());
        // Written and flushed, and the machine ended before the guest had said so.
        found.remove(&(last + 1));
        let differs: Vec<u64> = found.symmetric_difference(&told).copied().collect();
        ensure!(differs.is_empty(), "{}: the disk and the guest differ in {differs:?}", node.name);
    }
    println!(
        "lab:   {last} records acknowledged, {} on a and {} on b; both disks have them",
        on_a.len(),
        on_b.len()
    );
    Ok(())
}

/// What the guest has said on this node's console, which must not be a failure.
fn acknowledged(node: &Node) -> Result<BTreeSet<u64>> {
    let said = node.ok("cat /var/log/xen/guest-writer*")?;
    ensure!(!said.contains("GUEST FAILED"), "{}: {said}", node.name);
    let number = |line: &str| line.trim().strip_prefix("GUEST fsynced ")?.parse().ok();
    Ok(said.lines().filter_map(number).collect())
}
