//! The proof: the very device that the guest is about to get is flushed, for real.

use crate::facts::{FlushProbe, PhysicalDevice};
use crate::gather;
use crate::host::bounded::{self, Ended};
use crate::host::{Host, device};
use anyhow::{Context, Result, bail};
use std::time::Duration;

/// Opens the device and flushes it; records how long that took, or why it did not work.
pub fn prove(host: &mut Host, resource: &str, device: PhysicalDevice, within: Duration) -> Result<()> {
    let result = flush(host, device, within);
    let remembered = match &result {
        Ok(took) => Ok(u64::try_from(took.as_micros()).unwrap_or(u64::MAX)),
        Err(error) => Err(format!("{error:#}")),
    };
    let probe = FlushProbe { version: 1, device, at: host.now(), result: remembered };
    // For those who ask later; a guest does not wait for a full /run.
    let _ = gather::probes::remember(host, resource, &probe);
    let remedy = "see what dmesg says of the disk below it, then start the guest again";
    result.map(|_| ()).map_err(|why| {
        anyhow::anyhow!("/dev/drbd{} does not flush: {why:#} [flush-probe]; {remedy}", device.minor)
    })
}

/// An empty flush is what a guest's flush becomes (blkback.c: REQ_PREFLUSH), and
/// fsync on a block device always sends one (block/fops.c: blkdev_fsync).
fn flush(host: &Host, expected: PhysicalDevice, within: Duration) -> Result<Duration> {
    let path = format!("/dev/drbd{}", expected.minor);
    let flush = || -> Result<Duration> {
        let file = device::open(host, &path, expected.major, expected.minor)?;
        let before = host.elapsed();
        file.sync_all().with_context(|| format!("flushing {path}"))?;
        Ok(host.elapsed() - before)
    };
    let answer = || match flush() {
        Ok(took) => format!("flushed {}", took.as_micros()).into_bytes(),
        Err(error) => format!("{error:#}").into_bytes(),
    };
    match bounded::run(host.deadline().at_most(within), answer)? {
        Ended::Answered(answer) => {
            let answer = String::from_utf8_lossy(&answer);
            match answer.strip_prefix("flushed ").and_then(|took| took.parse().ok()) {
                Some(took) => Ok(Duration::from_micros(took)),
                None => bail!("{answer}"),
            }
        }
        Ended::GivenUp { stop, .. } => bail!("a flush did not return: {stop}"),
    }
}
