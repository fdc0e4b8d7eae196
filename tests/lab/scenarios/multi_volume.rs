//! One resource, two volumes, two disks of one guest: they are added at the same
//! time, and the resource is demoted with the last of them.

use crate::guest::Guest;
use crate::pair::Pair;
use crate::settled;
use anyhow::Result;

const RESOURCE: &str = "multi";

pub fn run(pair: &Pair) -> Result<()> {
    let a = &pair.a;
    pair.connect(RESOURCE)?;
    let tiny = Guest::tiny("volumes", RESOURCE);
    let disk =
        |vdev, volume| format!("\"vdev={vdev},access=rw,script=block-drbd,target={RESOURCE}/{volume}\"");
    let more = format!("{}disk=[{},{}]\n", tiny.more, disk("xvda", 0), disk("xvdb", 1));
    Guest { more: &more, ..tiny }.create(a)?;
    settled::with_guest(pair, a, "volumes", RESOURCE)?;
    both_are(pair, "ro:Primary/Secondary ds:UpToDate/UpToDate")?;

    // Nothing in the guest would let go of the disk if it were asked.
    a.ok("xl block-detach -f volumes xvdb")?;
    settled::with_guest(pair, a, "volumes", RESOURCE)?;
    a.ok("grep -q '^ *20: .* ro:Primary/' /proc/drbd")?;
    a.ok("xl destroy volumes")?;
    settled::without_guest(pair, RESOURCE)?;
    both_are(pair, "ro:Secondary/Secondary ds:UpToDate/UpToDate")
}

fn both_are(pair: &Pair, state: &str) -> Result<()> {
    pair.a.ok(&format!("[ $(grep -cE '^ *(20|21): .*{state}' /proc/drbd) = 2 ]"))?;
    Ok(())
}
