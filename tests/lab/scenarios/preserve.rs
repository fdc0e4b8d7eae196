//! A guest that crashed and is kept for a look at it keeps its disk: another one
//! is refused until it is destroyed.

use crate::guest::Guest;
use crate::node::LIMIT;
use crate::pair::Pair;
use crate::settled;
use anyhow::{Result, ensure};

const RESOURCE: &str = "r6";

pub fn run(pair: &Pair) -> Result<()> {
    let a = &pair.a;
    pair.connect(RESOURCE)?;
    let tiny = Guest::tiny("crashed", RESOURCE);
    let more = format!("{}kernel=\"/lab/crash\"\non_crash=\"preserve\"\n", tiny.more);
    Guest { more: &more, ..tiny }.create(a)?;
    a.wait_until("with a crashed guest", "xl list crashed | grep -q -- '---[-s]c'", LIMIT)?;
    let second = Guest::tiny("second", RESOURCE);
    let said = second.create_is_refused(a)?;
    ensure!(said.contains("[other-guest]"), "the second is refused for another reason: {said}");
    settled::with_guest(pair, a, "crashed", RESOURCE)?;
    a.ok("xl destroy crashed")?;
    settled::without_guest(pair, RESOURCE)?;
    second.create(a)?;
    settled::with_guest(pair, a, second.name, RESOURCE)?;
    a.ok("xl destroy second")?;
    settled::without_guest(pair, RESOURCE)
}
