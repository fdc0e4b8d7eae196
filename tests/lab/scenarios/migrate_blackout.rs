//! How long a guest stands still while it moves, with and without the destination's question which guest
//! the source has on the disk.
//!
//! The pause begins when the guest has suspended itself: xenstored on a says so by the watch
//! `@releaseDomain`. It ends when xl on b gives the domain its own name in place of `…--incoming`: what it
//! does next is to let it run.

use crate::handled;
use crate::moving;
use crate::node::{LIMIT, Node};
use crate::pair::Pair;
use anyhow::{Context, Result, ensure};
use std::time::Instant;

/// How often the guest moves each way.
const ROUNDS: usize = 10;

/// What the question may add: the setting's default, in seconds.
const BOUND: f64 = 2.0;

/// One line a watch that fires: the node's clock in seconds, and the path.
const MOMENTS: &str = "/run/lab-moments";

const SETTINGS: &str = "/etc/xen/block-drbd.toml";

pub fn run(pair: &Pair) -> Result<()> {
    let (a, b) = (&pair.a, &pair.b);
    let guest = moving::guest_on_a(pair, "blackout")?;
    watch(a, "@releaseDomain")?;
    watch(b, "/local/domain")?;
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        for (settings, pauses) in [(String::new(), &mut without), (handled::peers("a"), &mut with)] {
            b.put(SETTINGS, settings.as_bytes())?;
            pair.both(|node| node.ok(&format!(": >{MOMENTS}")).map(drop))?;
            moving::move_to(pair, &guest, a, b)?;
            pauses.push(pause(pair)?);
            moving::move_to(pair, &guest, b, a)?;
        }
    }
    moving::destroy(pair, &guest, a)?;
    let (plain, asked) = (median(&mut without)?, median(&mut with)?);
    println!("lab:   the guest stood still for {plain:.2} s ({without:.2?}) where b asks nothing");
    println!("lab:   and for {asked:.2} s ({with:.2?}) where b asks a: {:.2} times as long", asked / plain);
    ensure!(asked < plain + BOUND, "the question has added {:.2} s", asked - plain);
    Ok(())
}

fn watch(node: &Node, path: &str) -> Result<()> {
    node.ok(&format!(
        "rm -f {MOMENTS}
         ( xenstore-watch {path} | while read -r path; do echo $EPOCHREALTIME $path >>{MOMENTS}; done ) >/dev/null 2>&1 &
         echo $! >/run/lab-job-watch"
    ))?;
    // A watch fires once when it is set.
    node.wait_until("watching", &format!("[ -s {MOMENTS} ]"), LIMIT)
}

/// The pause of the last move from a to b, in seconds.
fn pause(pair: &Pair) -> Result<f64> {
    let start = Instant::now();
    let ahead = clock_of(&pair.b, start)? - clock_of(&pair.a, start)?;
    let suspended = moment(&pair.a, "head -n 1")?;
    let named = moment(&pair.b, "grep '/name$' | tail -n 1")?;
    Ok(named - ahead - suspended)
}

fn moment(node: &Node, choose: &str) -> Result<f64> {
    let line = node.ok(&format!("cat {MOMENTS} | {choose}"))?;
    let (time, _) = line.split_once(' ').with_context(|| format!("{}: no such moment", node.name))?;
    Ok(time.parse()?)
}

/// How far the node's clock is ahead of the time since `start`, as the quickest of some answers shows it.
fn clock_of(node: &Node, start: Instant) -> Result<f64> {
    let mut best = (f64::INFINITY, 0.0);
    for _ in 0..10 {
        let asked = start.elapsed().as_secs_f64();
        let says: f64 = node.ok("echo $EPOCHREALTIME")?.trim().parse()?;
        let answered = start.elapsed().as_secs_f64();
        if answered - asked < best.0 {
            best = (answered - asked, says - f64::midpoint(asked, answered));
        }
    }
    Ok(best.1)
}

fn median(values: &mut [f64]) -> Result<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().context("no move was measured")
}
