//! The configuration of one guest is copied for another, its `uuid =` with it: while the first one
//! runs, the second is refused the disk.

use crate::check;
use crate::guest::Guest;
use crate::pair::Pair;
use crate::settled;
use anyhow::{Result, ensure};

const RESOURCE: &str = "r6";
const UUID: &str = "uuid=\"5a5a1d9c-6c1e-4d6f-9a57-0f6c7d0c2b11\"\n";

pub fn run(pair: &Pair) -> Result<()> {
    let a = &pair.a;
    pair.connect(RESOURCE)?;
    let first = Guest::tiny("same-uuid", RESOURCE);
    let more = format!("{}{UUID}", first.more);
    let first = Guest { more: &more, ..first };
    let copy = Guest { name: "same-uuid-copy", ..first };
    first.create(a)?;
    let said = copy.create_is_refused(a)?;
    ensure!(said.contains("[other-guest]"), "xl does not name the rule: {said}");
    settled::with_guest(pair, a, first.name, RESOURCE)?;

    a.ok("xl destroy same-uuid")?;
    settled::without_guest(pair, RESOURCE)?;
    check::finding(a, "/etc/xen/same-uuid.cfg /etc/xen/same-uuid-copy.cfg", "same-uuid")?;
    copy.create(a)?;
    settled::with_guest(pair, a, copy.name, RESOURCE)?;
    a.ok("xl destroy same-uuid-copy")?;
    settled::without_guest(pair, RESOURCE)
}
