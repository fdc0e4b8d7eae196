//! A guest reboots through xl's own restart: remove, then add for a new domain.

use crate::guest::Guest;
use crate::pair::Pair;
use anyhow::{Result, ensure};

pub fn run(pair: &Pair) -> Result<()> {
    pair.connect("r2")?;
    pair.make_file_system("r2")?;
    let guest = Guest::new("reboot", "reboot", "r2");
    guest.create(&pair.a)?;
    let before = pair.a.ok("xl domid reboot")?;
    guest.wait_for(&pair.a, "reboots")?;
    guest.wait_for(&pair.a, "up")?;
    let after = pair.a.ok("xl domid reboot")?;
    ensure!(before != after, "the domain is still {before}: it was not restarted");
    pair.a.drbd_is("r2", "ro:Primary/Secondary ds:UpToDate/UpToDate")?;
    let said = guest.said(&pair.a)?;
    ensure!(said.contains("GUEST read record 20"), "the data is not there after the reboot: {said}");

    pair.a.ok("xl shutdown reboot")?;
    guest.wait_until_gone(&pair.a)?;
    pair.a.wait_for_drbd("r2", "ro:Secondary/Secondary")
}
