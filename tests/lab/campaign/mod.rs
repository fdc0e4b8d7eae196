//! Random rounds of create, destroy and migrate, each with a random fault in the
//! middle, from a seed that repeats them: `--campaign SEED ROUNDS`.
//!
//! The tiny guest does not write; where one runs, the campaign writes numbered,
//! flushed records through the same device, as that guest might. After each round
//! an administrator heals what was broken and destroys what is left, and then it
//! is counted: two writers at a time, records that were acknowledged and are
//! gone, Primaries with neither guest nor record. The moment of a fault within a
//! round is real time, so that a seed repeats the rounds and not the microsecond.

mod chance;
mod round;

use crate::pair::Pair;
use crate::paths;
use anyhow::{Context, Result, ensure};
use chance::Chance;
use round::Round;
use std::time::Instant;

/// The resource of the whole campaign.
const RESOURCE: &str = "r7";

/// What was found wrong.
#[derive(Default)]
struct Tally {
    /// Rounds in which two guests ran, two nodes were Primary outside a window, or the data had split.
    double_writers: u64,
    /// Acknowledged records that were not there later.
    lost_records: u64,
    /// Nodes that were Primary with neither a guest nor a record.
    orphans: u64,
    /// Windows that nothing had closed.
    open_windows: u64,
    /// Rounds after which the nodes did not come together again.
    stuck: u64,
}

impl Tally {
    fn add(&mut self, other: &Tally) {
        self.double_writers += other.double_writers;
        self.lost_records += other.lost_records;
        self.orphans += other.orphans;
        self.open_windows += other.open_windows;
        self.stuck += other.stuck;
    }

    fn is_clean(&self) -> bool {
        self.text() == Tally::default().text()
    }

    fn text(&self) -> String {
        format!(
            "double writers {}, lost flushed records {}, orphan Primaries without a record {}, \
             windows left open {}, rounds that got stuck {}",
            self.double_writers, self.lost_records, self.orphans, self.open_windows, self.stuck
        )
    }
}

/// Runs the rounds and prints a line for each.
pub fn run(pair: &Pair) -> Result<()> {
    let words: Vec<String> = std::env::args().skip_while(|word| word != "--campaign").skip(1).collect();
    let [seed, rounds] = words.as_slice() else {
        anyhow::bail!("--campaign SEED ROUNDS");
    };
    let (seed, rounds): (u64, u64) = (seed.parse().context("SEED")?, rounds.parse().context("ROUNDS")?);
    let start = Instant::now();
    let mut chance = Chance(seed);
    let mut tally = Tally::default();
    let mut records = 0;
    pair.connect(RESOURCE)?;
    for number in 1..=rounds {
        let begin = Instant::now();
        let round = Round::draw(&mut chance);
        let mut found = Tally::default();
        let told = round.run(pair, &mut records, &mut found);
        let told = told.unwrap_or_else(|error| {
            found.stuck += 1;
            format!("STUCK: {}", format!("{error:#}").replace('\n', " | "))
        });
        let seconds = begin.elapsed().as_secs();
        println!("campaign: {number}: {}: {told} ({seconds} s)", round.text());
        if !found.is_clean() {
            let logs = paths::lab("campaign").join(format!("{seed}-{number}"));
            println!("campaign: {number}: WRONG: {}; its logs are in {}", found.text(), logs.display());
            pair.collect(&logs)?;
            start_afresh(pair, &mut records)?;
        }
        tally.add(&found);
    }
    println!(
        "campaign: seed {seed}, {rounds} rounds in {} min, {records} records since the last fresh start: {}",
        start.elapsed().as_secs() / 60,
        tally.text()
    );
    ensure!(tally.is_clean(), "seed {seed}: {}", tally.text());
    Ok(())
}

/// New metadata on booted machines: what was found in one round must not be found again in the next.
fn start_afresh(pair: &Pair, records: &mut u64) -> Result<()> {
    for node in [&pair.a, &pair.b] {
        if node.is_on() {
            node.resume()?;
            node.power_cut()?;
        }
    }
    pair.clean_up(&[RESOURCE])?;
    *records = 0;
    pair.connect(RESOURCE)
}
