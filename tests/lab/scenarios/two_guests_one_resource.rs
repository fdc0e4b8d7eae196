//! Two guests want one volume each of the same resource. DRBD 8.4 promotes, demotes and moves a resource as
//! a whole, so that neither could move or end by itself: the second is refused.

use crate::guest::Guest;
use crate::pair::Pair;
use crate::settled;
use anyhow::{Result, ensure};

const RESOURCE: &str = "multi";
const RULE: &str = "[resource-shared]";

pub fn run(pair: &Pair) -> Result<()> {
    let a = &pair.a;
    pair.connect(RESOURCE)?;
    let first = Guest::tiny("volume-0", "multi/0");
    let second = Guest::tiny("volume-1", "multi/1");
    first.create(a)?;
    let said = second.create_is_refused(a)?;
    ensure!(said.contains(RULE), "xl does not name the rule: {said}");
    settled::with_guest(pair, a, first.name, RESOURCE)?;
    let check = a.run("block-drbd check /etc/xen/volume-0.cfg /etc/xen/volume-1.cfg")?;
    ensure!(check.code == 1 && check.text().contains(RULE), "check does not name the rule: {}", check.text());

    a.ok("xl destroy volume-0")?;
    settled::without_guest(pair, RESOURCE)?;
    second.create(a)?;
    settled::with_guest(pair, a, second.name, RESOURCE)?;
    a.ok("xl destroy volume-1")?;
    settled::without_guest(pair, RESOURCE)
}
