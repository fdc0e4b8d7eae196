//! The suite that holds the tests' own xenstore daemon to the protocol, run
//! against the real xenstored.

use crate::pair::Pair;
use crate::programs;
use anyhow::Result;

pub fn run(pair: &Pair) -> Result<()> {
    let program = std::fs::read(programs::test("xenstore_conformance")?)?;
    pair.a.put("/run/xenstore-conformance", &program)?;
    pair.a.ok("XENSTORE_UNDER_TEST=/run/xenstored/socket /run/xenstore-conformance --test-threads=1")?;
    Ok(())
}
