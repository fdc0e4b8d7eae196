//! A disk is attached to a running guest and detached; one that is refused leaves nothing behind.

use crate::guest::Guest;
use crate::node::LIMIT;
use crate::pair::Pair;
use crate::settled;
use anyhow::{Result, ensure};

const FIRST: &str = "r1";
const SECOND: &str = "r6";
const ATTACH: &str = "xl block-attach hotplug vdev=xvdb,access=rw,script=block-drbd,target=r6";

pub fn run(pair: &Pair) -> Result<()> {
    let (a, b) = (&pair.a, &pair.b);
    pair.connect(FIRST)?;
    pair.connect(SECOND)?;
    let guest = Guest::new("hotplug", "stay", FIRST);
    guest.create(a)?;
    guest.wait_for(a, "up")?;

    b.ok("drbdadm primary r6")?;
    let said = a.fails(ATTACH)?;
    ensure!(said.contains("[peer-primary]"), "it is refused for another reason: {said}");
    b.ok("drbdadm secondary r6")?;
    a.drbd_is(SECOND, "ro:Secondary/Secondary")?;
    a.ok("! [ -e /run/block-drbd/claims/r6.json ]")?;
    // libxl keeps what it failed to attach until it is detached.
    a.ok("xl block-detach -f hotplug xvdb")?;

    a.ok(ATTACH)?;
    settled::with_guest(pair, a, "hotplug", SECOND)?;
    a.wait_until(
        "with a connected second disk",
        "[ $(xenstore-read /local/domain/0/backend/vbd/$(xl domid hotplug)/51728/state) = 4 ]",
        LIMIT,
    )?;
    a.ok("xl block-detach hotplug xvdb")?;
    a.wait_for_drbd(SECOND, "ro:Secondary/Secondary")?;
    a.wait_until("without a claim", "! [ -e /run/block-drbd/claims/r6.json ]", LIMIT)?;
    settled::with_guest(pair, a, "hotplug", FIRST)?;
    a.ok("xl destroy hotplug")?;
    settled::without_guest(pair, FIRST)
}
