//! Computes one thing again and again, in vector registers: whether the machine keeps them.

use anyhow::{Context, Result};
use std::hint::black_box;

/// How often the four values are computed anew in one round: long enough to be interrupted.
const STEPS: u32 = 200_000;

/// Prints how many of the rounds had another result than the first.
pub fn run(rounds: &str) -> Result<()> {
    let rounds: u32 = rounds.parse().context("the number of rounds")?;
    let right = round();
    println!("{}", (1..rounds).filter(|_| round() != right).count());
    Ok(())
}

/// Floating point lives in the vector registers, and a chaotic sequence forgets no error.
fn round() -> [u64; 4] {
    let (mut a, mut b, mut c, mut d) = black_box((0.1_f64, 0.2_f64, 0.3_f64, 0.4_f64));
    for _ in 0..STEPS {
        a = 3.99 * a * (1.0 - a);
        b = 3.98 * b * (1.0 - b);
        c = 3.97 * c * (1.0 - c);
        d = 3.96 * d * (1.0 - d);
    }
    [a, b, c, d].map(f64::to_bits)
}
