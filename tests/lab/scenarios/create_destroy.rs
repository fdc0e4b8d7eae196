//! A guest gets the disk, writes, ends; the disk is Secondary again and the
//! peer has every record that the guest has seen synced.

use crate::drbd;
use crate::guest::{Guest, OURS};
use crate::pair::Pair;
use anyhow::{Result, ensure};

/// How many records a guest writes.
const COUNT: usize = 20;

pub fn run(pair: &Pair) -> Result<()> {
    write_here_read_there(pair, "r1", OURS)?;
    let claims = pair.a.ok("ls -A /run/block-drbd/claims 2>/dev/null || true")?;
    ensure!(claims.is_empty(), "a claim is left: {claims}");
    Ok(())
}

/// The life of one guest, behind either script.
pub fn write_here_read_there(pair: &Pair, resource: &str, script: &str) -> Result<()> {
    pair.connect(resource)?;
    pair.make_file_system(resource)?;
    let name = format!("write-{script}");
    let guest = Guest { script, ..Guest::new(&name, "write", resource) };
    guest.create(&pair.a)?;
    guest.wait_for(&pair.a, "done")?;
    guest.wait_until_gone(&pair.a)?;
    pair.a.wait_for_drbd(resource, "ro:Secondary/Secondary")?;
    let said = guest.said(&pair.a)?;
    let synced = said.lines().filter(|line| line.contains("GUEST fsynced")).count();
    ensure!(synced == COUNT, "the guest synced {synced} records of {COUNT}");

    let minor = drbd::minor(resource);
    let records = pair.b.ok(&format!(
        "drbdadm primary {resource} && mount -t ext4 -o ro /dev/drbd{minor} /mnt && cat /mnt/records \
         && umount /mnt && drbdadm secondary {resource}"
    ))?;
    let wanted: Vec<String> = (1..=COUNT).map(|number| format!("record {number}")).collect();
    let found: Vec<&str> = records.lines().collect();
    ensure!(found == wanted, "the peer has {records:?}");
    Ok(())
}
