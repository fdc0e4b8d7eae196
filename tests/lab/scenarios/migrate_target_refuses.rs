//! The target refuses the disk: the guest goes on where it was, and nobody else may write.

use crate::drbd;
use crate::moving::{self, RESOURCE};
use crate::pair::Pair;
use crate::settled;
use anyhow::{Result, ensure};

pub fn run(pair: &Pair) -> Result<()> {
    let (a, b) = (&pair.a, &pair.b);
    let guest = moving::guest_on_a(pair, "unwelcome")?;
    let cache = format!("/sys/block/{}/queue/write_cache", drbd::disk(RESOURCE));
    b.ok(&format!("echo 'write through' >{cache}"))?;
    moving::begin(pair, &guest)?;
    let said = moving::fails(pair);
    b.ok(&format!("echo 'write back' >{cache}"))?;
    let said = said?;
    ensure!(said.contains("[cache-view]"), "it is refused for another reason: {said}");
    settled::with_guest(pair, a, guest.name, RESOURCE)?;
    moving::destroy(pair, &guest, a)
}
