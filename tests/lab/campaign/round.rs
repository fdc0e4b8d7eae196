//! One round: what is done, what goes wrong in the middle, and what is left of it.

use super::chance::Chance;
use super::{RESOURCE, Tally};
use crate::guest::Guest;
use crate::node::{LIMIT, Node};
use crate::pair::Pair;
use crate::settled::is_primary;
use crate::{flushes, moving, record};
use anyhow::{Context, Result, ensure};
use std::time::Duration;

/// How many records the guest's host writes at a time.
const SOME: u64 = 5;

const NAME: &str = "campaign";

/// What is done on the first host; a guest runs there before all but the first.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Operation {
    Create,
    Destroy,
    Migrate,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    KillScript,
    KillXl,
    CutLink,
    CutBothNetworks,
    PowerCut,
    Pause,
}

/// What the dice gave.
pub struct Round {
    /// Whether a is the first host, or b.
    on_a: bool,
    operation: Operation,
    fault: Fault,
    /// Whether the fault strikes the first host or the other.
    strikes_first: bool,
    /// Whether DRBD fences.
    fencing: bool,
    /// How long after the beginning the fault strikes.
    delay: Duration,
    /// How long it lasts, where it ends by itself.
    lasts: Duration,
}

impl Round {
    pub fn draw(chance: &mut Chance) -> Round {
        let operation = chance.one_of(&[Operation::Create, Operation::Destroy, Operation::Migrate]);
        // As long as these take on the emulated machine.
        let longest = match operation {
            Operation::Create => 3000,
            Operation::Destroy => 1500,
            Operation::Migrate => 8000,
        };
        Round {
            on_a: chance.coin(),
            operation,
            fault: chance.one_of(&[
                Fault::KillScript,
                Fault::KillXl,
                Fault::CutLink,
                Fault::CutBothNetworks,
                Fault::PowerCut,
                Fault::Pause,
            ]),
            strikes_first: chance.coin(),
            fencing: chance.coin(),
            delay: Duration::from_millis(chance.below(longest)),
            lasts: Duration::from_millis(500 + chance.below(12_000)),
        }
    }

    /// As one clause.
    pub fn text(&self) -> String {
        let (first, other) = if self.on_a { ("a", "b") } else { ("b", "a") };
        let struck = if self.strikes_first { first } else { other };
        let fencing = if self.fencing { ", fencing" } else { "" };
        format!(
            "{:?} on {first}{fencing}; {:?} ({struck}) after {} ms",
            self.operation,
            self.fault,
            self.delay.as_millis()
        )
    }

    /// Does it, and says what came of it. An error is a round that got stuck.
    pub fn run(&self, pair: &Pair, records: &mut u64, found: &mut Tally) -> Result<String> {
        let (first, other) = if self.on_a { (&pair.a, &pair.b) } else { (&pair.b, &pair.a) };
        self.prepare(pair, first, records).context("before the fault")?;
        self.begin(first, other)?;
        // The disturbance itself, not a wait for a state.
        std::thread::sleep(self.delay);
        self.strike(pair, if self.strikes_first { first } else { other })?;
        let told = self.outcome(pair, first, records, found)?;
        heal(pair).context("healing")?;
        administer(pair, found).context("cleaning up")?;
        found.lost_records += lost(if self.strikes_first { other } else { first }, *records)?;
        Ok(told)
    }

    fn prepare(&self, pair: &Pair, first: &Node, records: &mut u64) -> Result<()> {
        let fencing = if self.fencing { "--fencing=resource-only" } else { "--fencing=dont-care" };
        pair.both(|node| flushes::disk_options(node, RESOURCE, fencing))?;
        if self.operation == Operation::Create {
            return Ok(());
        }
        let guest = Guest::tiny(NAME, RESOURCE);
        guest.create(first)?;
        guest.is_suspendable(first)?;
        write(first, records)
    }

    fn begin(&self, first: &Node, other: &Node) -> Result<()> {
        let command = match self.operation {
            Operation::Create => Guest::tiny(NAME, RESOURCE).command(first)?,
            Operation::Destroy => format!("xl destroy {NAME}"),
            Operation::Migrate => format!("xl migrate {NAME} {}", other.name),
        };
        first.ok(&format!(
            "rm -f /run/lab-code; ( {command}; echo $? >/run/lab-code ) >/run/lab-said 2>&1 &"
        ))?;
        Ok(())
    }

    fn strike(&self, pair: &Pair, struck: &Node) -> Result<()> {
        match self.fault {
            // A script that does not run at this moment is waited for, for as long as the fault lasts.
            Fault::KillScript => {
                let tries = self.lasts.as_millis() / 100;
                struck.run(&format!(
                    "for try in $(seq {tries}); do kill -KILL $(pidof block-drbd) && break; usleep 50000; done"
                ))?;
            }
            Fault::KillXl => {
                struck.run("kill -KILL $(pidof xl libxl-save-helper)")?;
            }
            Fault::CutLink => pair.link.cut(),
            Fault::CutBothNetworks => {
                pair.link.cut();
                pair.management.cut();
            }
            Fault::PowerCut => struck.power_cut()?,
            Fault::Pause => {
                struck.pause()?;
                std::thread::sleep(self.lasts);
                struck.resume()?;
            }
        }
        Ok(())
    }

    /// Waits for the end of what was begun; then whoever runs a guest writes. What is broken is broken still.
    fn outcome(&self, pair: &Pair, first: &Node, records: &mut u64, found: &mut Tally) -> Result<String> {
        if first.is_on() {
            let ended = first.wait_until("done", "[ -s /run/lab-code ]", LIMIT);
            if ended.is_err() {
                // As an administrator would, who has waited long enough.
                first.run("kill -KILL $(pidof xl libxl-save-helper)")?;
            }
        }
        let nodes = || [&pair.a, &pair.b].into_iter().filter(|node| node.is_on());
        let mut running = Vec::new();
        let mut primaries = 0;
        for node in nodes() {
            let primary = node.run(&is_primary(RESOURCE))?.code == 0;
            let window = node.run(&moving::window_of(RESOURCE))?.code == 0;
            primaries += u64::from(primary && !window);
            if primary && node.run(&runs())?.code == 0 {
                running.push(node);
            }
        }
        found.double_writers += u64::from(primaries > 1 || running.len() > 1);
        for node in &running {
            write(node, records)?;
        }
        let running: Vec<&str> = running.iter().map(|node| node.name).collect();
        Ok(match running.as_slice() {
            [] => "no guest runs".to_owned(),
            names => format!("a guest runs on {}", names.join(" and ")),
        })
    }
}

/// Neither paused, nor suspended, nor still coming.
fn runs() -> String {
    format!("xl list | grep -qE '^{NAME} .* [r-][b-]---- '")
}

fn write(node: &Node, records: &mut u64) -> Result<()> {
    ensure!(*records + SOME <= record::ROOM, "the disk has no room for more records: fewer ROUNDS");
    flushes::write(node, RESOURCE, *records + 1..=*records + SOME)?;
    *records += SOME;
    Ok(())
}

/// Everything is whole again; DRBD may have to resync.
fn heal(pair: &Pair) -> Result<()> {
    pair.link.restore();
    pair.management.restore();
    for node in [&pair.a, &pair.b] {
        if node.is_on() {
            continue;
        }
        node.power_on()?;
        node.wait_for_boot()?;
        node.ok(&format!("drbdadm up {RESOURCE}"))?;
    }
    Ok(())
}

/// Destroys every guest, lets the records be worked off, and counts what is left; DRBD ends equal.
fn administer(pair: &Pair, found: &mut Tally) -> Result<()> {
    for node in [&pair.a, &pair.b] {
        // xl may be destroying one itself.
        node.ok("for id in $(xl list | awk 'NR > 1 && $2 != 0 { print $2 }'); do
                 xl destroy $id || ! xl list $id || exit 1
             done")?;
        node.wait_for_no_vbds(LIMIT)?;
    }
    pair.both(|node| node.run("block-drbd release --all --wait 20").map(drop))?;
    let together = moving::reconnect(pair, RESOURCE);
    for node in [&pair.a, &pair.b] {
        let primary = node.run(&is_primary(RESOURCE))?.code == 0;
        let claimed = node.run(&format!("[ -e /run/block-drbd/claims/{RESOURCE}.json ]"))?.code == 0;
        found.orphans += u64::from(primary && !claimed);
        let open = format!(
            "ls /run/block-drbd/windows/* || drbdsetup show {RESOURCE} | grep 'allow-two-primaries.*yes'"
        );
        found.open_windows += u64::from(node.run(&open)?.code == 0);
    }
    found.double_writers += u64::from(!together?);
    pair.both(|node| node.wait_for_drbd(RESOURCE, "ro:Secondary/Secondary"))
}

/// How many acknowledged records are not there when this node is promoted.
fn lost(node: &Node, records: u64) -> Result<u64> {
    node.ok(&format!("drbdadm primary {RESOURCE}"))?;
    let there = flushes::find(node, RESOURCE)?;
    node.ok(&format!("drbdadm secondary {RESOURCE}"))?;
    Ok(flushes::missing(1..=records, &there).len() as u64)
}
