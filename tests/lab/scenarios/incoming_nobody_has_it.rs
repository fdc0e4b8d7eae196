//! `xl migrate -C` with a configuration that names a disk which no guest has: a running guest cannot come
//! from there, and is refused. So it is where another volume of the resource is in use.

use crate::guest::Guest;
use crate::handled;
use crate::moving::{self, RESOURCE};
use crate::pair::Pair;
use crate::settled;
use anyhow::{Result, ensure};

const UNUSED: &str = "r1";

pub fn run(pair: &Pair) -> Result<()> {
    let a = &pair.a;
    handled::install(pair, "")?;
    let mover = moving::guest_on_a(pair, "nobody-has")?;
    pair.connect(UNUSED)?;
    is_refused(pair, &mover, UNUSED, UNUSED)?;

    pair.connect("multi")?;
    Guest::tiny("has-volume-0", "multi/0").create(a)?;
    is_refused(pair, &mover, "multi", "multi/1")?;
    a.ok("xl destroy has-volume-0")?;
    settled::with_guest(pair, a, mover.name, RESOURCE)?;
    moving::destroy(pair, &mover, a)
}

fn is_refused(pair: &Pair, mover: &Guest, resource: &str, target: &str) -> Result<()> {
    let said = moving::with_another_disk_fails(pair, mover, target)?;
    ensure!(said.contains("[incoming]"), "{target}: xl does not name the rule: {said}");
    pair.a.ok(&format!("xl list {}", mover.name))?;
    settled::is_free(&pair.b, resource)?;
    settled::is_free(&pair.b, RESOURCE)
}
