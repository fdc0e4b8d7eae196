//! A read-only disk: DRBD must be Primary even for that, and is released like any other.

use crate::guest::Guest;
use crate::pair::Pair;
use crate::settled;
use anyhow::Result;

const RESOURCE: &str = "r6";

pub fn run(pair: &Pair) -> Result<()> {
    let a = &pair.a;
    pair.connect(RESOURCE)?;
    let tiny = Guest::tiny("read-only", RESOURCE);
    let disk = format!("disk=[\"vdev=xvda,access=ro,script=block-drbd,target={RESOURCE}\"]\n");
    let more = format!("{}{disk}", tiny.more);
    Guest { more: &more, ..tiny }.create(a)?;
    settled::with_guest(pair, a, "read-only", RESOURCE)?;
    a.ok("[ $(xenstore-read /local/domain/0/backend/vbd/$(xl domid read-only)/51712/mode) = r ]")?;
    a.ok("xl destroy read-only")?;
    settled::without_guest(pair, RESOURCE)
}
