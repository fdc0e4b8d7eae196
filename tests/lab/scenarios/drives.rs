//! The lab's own tools: a drive keeps at a power cut what was flushed and
//! nothing else, it fails a flush when told to, and a cut link carries nothing.

use crate::drive::Fault;
use crate::pair::Pair;
use anyhow::{Result, ensure};

/// Writes past the page cache, with or without a flush behind it.
const WRITE: &str = "tr '\\0' x </dev/zero | dd of=/dev/vdk bs=4096 count=1 iflag=fullblock oflag=direct";

pub fn run(pair: &Pair) -> Result<()> {
    let drive = pair.a.drive("vdk");
    let is_written = |image: Vec<u8>| image[..4096].iter().all(|&byte| byte == b'x');
    drive.erase();
    let view = pair.a.ok("cat /sys/block/vdk/queue/write_cache")?;
    ensure!(view.trim() == "write back", "the node sees a drive that is {view}");

    pair.a.ok(WRITE)?;
    ensure!(is_written(drive.current()), "the write did not reach the drive");
    ensure!(!is_written(drive.durable()), "the write is durable without a flush");
    drive.begin(Fault::FailNextFlush);
    pair.a.fails("sync /dev/vdk")?;
    ensure!(!is_written(drive.durable()), "the write is durable after a flush that failed");
    pair.a.ok("sync /dev/vdk")?;
    ensure!(is_written(drive.durable()), "the write is not durable after a flush");

    // The flush of record 1 is before the fault, that of record 2 meets it.
    drive.begin_at(2, Fault::FailNextFlush);
    let said = pair.a.fails("/lab/agent write /dev/vdk 1 3")?;
    ensure!(said.contains("fsync of record 2"), "the drive failed another flush: {said}");

    pair.link.cut();
    pair.a.fails("ping -c 1 -W 3 10.0.0.2")?;
    pair.link.restore();
    pair.a.ok("ping -c 1 -W 30 10.0.0.2")?;
    Ok(())
}
