//! The suite of our own netlink client, run against the real DRBD.

use crate::pair::Pair;
use crate::programs;
use anyhow::Result;

pub fn run(pair: &Pair) -> Result<()> {
    let program = std::fs::read(programs::test("drbd_conformance")?)?;
    pair.connect("r7")?;
    pair.a.put("/run/drbd-conformance", &program)?;
    pair.a.ok("DRBD_UNDER_TEST=r7 /run/drbd-conformance --test-threads=1")?;
    Ok(())
}
