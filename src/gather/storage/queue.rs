//! What the request queue of a disk says (`/sys/block/DISK/queue`).

use super::sysfs::shown;
use crate::facts::storage::WriteCache;
use crate::host::Host;
use anyhow::{Context, Result, bail};

/// Whether the kernel passes a flush on to the device, or drops it.
pub fn write_cache(host: &Host, dir: &str) -> Result<WriteCache> {
    let path = format!("{dir}/queue/write_cache");
    let text = host.read_optional(&path)?;
    // It came with Linux 4.7 (93e9d8e836cb). Before, the kernel had the same view and did not show it.
    let text = text.with_context(|| format!("{path} does not exist, which Linux 4.7 and later have"))?;
    match text.as_str() {
        "write back" => Ok(WriteCache::WriteBack),
        "write through" => Ok(WriteCache::WriteThrough),
        other => bail!("{path} is {}, not \"write back\" or \"write through\"", shown(other)),
    }
}

/// One of the queue's yes-or-no files (`fua`, `rotational`).
pub fn flag(host: &Host, dir: &str, name: &str) -> Result<bool> {
    let path = format!("{dir}/queue/{name}");
    match host.read_text(&path)?.as_str() {
        "0" => Ok(false),
        "1" => Ok(true),
        other => bail!("{path} is {}, not 0 or 1", shown(other)),
    }
}
