//! The suite of our own netlink client, run against the real DRBD.

use crate::pair::Pair;
use crate::programs;
use anyhow::Result;

pub fn run(pair: &Pair) -> Result<()> {
    pair.connect("r7")?;
    programs::run_suite(&pair.a, "drbd_conformance", "DRBD_UNDER_TEST=r7")
}
