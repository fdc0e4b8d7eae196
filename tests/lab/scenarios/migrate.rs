//! A guest moves: the disk follows it, and afterwards one node alone may write.

use crate::moving::{self, RESOURCE};
use crate::pair::Pair;
use anyhow::Result;
use std::time::Instant;

/// How often it goes there and back.
const ROUNDS: usize = 5;

pub fn run(pair: &Pair) -> Result<()> {
    let guest = moving::guest_on_a(pair, "mover")?;
    moving::move_to(pair, &guest, &pair.a, &pair.b)?;
    pair.b.drbd_is(RESOURCE, "cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate")?;
    moving::destroy(pair, &guest, &pair.b)
}

/// `migrate-back`.
pub fn run_back(pair: &Pair) -> Result<()> {
    let guest = moving::guest_on_a(pair, "pendulum")?;
    for round in 1..=ROUNDS {
        let start = Instant::now();
        moving::move_to(pair, &guest, &pair.a, &pair.b)?;
        moving::move_to(pair, &guest, &pair.b, &pair.a)?;
        println!("lab:   round {round}: there and back in {} s", start.elapsed().as_secs());
    }
    moving::destroy(pair, &guest, &pair.a)
}
