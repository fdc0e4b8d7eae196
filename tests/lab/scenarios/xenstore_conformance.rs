//! The suite that holds the tests' own xenstore daemon to the protocol, run
//! against the real xenstored.

use crate::pair::Pair;
use crate::programs;
use anyhow::Result;

pub fn run(pair: &Pair) -> Result<()> {
    programs::run_suite(&pair.a, "xenstore_conformance", "XENSTORE_UNDER_TEST=/run/xenstored/socket")
}
