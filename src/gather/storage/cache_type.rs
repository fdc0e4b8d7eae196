//! What a SCSI or virtio disk says of its own cache (`cache_type`).
//!
//! It is the drive's mode page, which the driver read when it found the disk, and so
//! tells what `queue/write_cache` hides when that was set by hand. It does not tell
//! everything: writing `temporary write through` to it changes the kernel's view alone
//! and leaves the drive's cache on, and it then reads `write through` (drivers/scsi/sd.c,
//! cache_type_store, cache_override). That cannot be seen from here.

use super::sysfs::{check_name, shown};
use crate::facts::storage::CacheType;
use crate::host::Host;
use anyhow::{Context, Result, bail};

const CLASS: &str = "/sys/class/scsi_disk";

/// The cache of the SCSI disk `name`, whose directory is `dir`.
pub fn of_scsi(host: &Host, name: &str, dir: &str) -> Result<CacheType> {
    let address = address(host, name, dir)?;
    let paths =
        [format!("{CLASS}/{address}/cache_type"), format!("{dir}/device/scsi_disk/{address}/cache_type")];
    for path in &paths {
        if let Some(word) = host.read_optional(path)? {
            return parse(&word).with_context(|| format!("{path} is {}", shown(&word)));
        }
    }
    bail!("neither {} nor {} exists", paths[0], paths[1])
}

/// The cache of a virtio disk as QEMU tells it (drivers/block/virtio_blk.c, cache_type_show reads
/// the configuration and not the queue); `None` where the kernel does not show it.
pub fn of_virtio(host: &Host, dir: &str) -> Result<Option<CacheType>> {
    let path = format!("{dir}/cache_type");
    let word = host.read_optional(&path)?;
    word.map(|word| parse(&word).with_context(|| format!("{path} is {}", shown(&word)))).transpose()
}

/// The words are sd_cache_types of drivers/scsi/sd.c.
fn parse(word: &str) -> Result<CacheType> {
    match word {
        "write through" => Ok(CacheType::WriteThrough),
        "none" => Ok(CacheType::None),
        "write back" | "write back, no read (daft)" => Ok(CacheType::WriteBack),
        other if other.len() <= 64 && !other.is_empty() => Ok(CacheType::Other(other.to_owned())),
        _ => bail!("no type of cache"),
    }
}

/// The disk's address `H:C:T:L`, which names it in /sys/class/scsi_disk.
fn address(host: &Host, name: &str, dir: &str) -> Result<String> {
    if let Some(target) = host.read_link(&format!("{dir}/device"))?
        && let Some(last) = target.rsplit('/').next()
        && is_address(last)
    {
        return Ok(last.to_owned());
    }
    // A copy of /sys need not have the link.
    let inside = host.list(&format!("{dir}/device/scsi_disk"))?;
    if let [only] = &inside[..]
        && is_address(only)
    {
        return Ok(only.clone());
    }
    let has_disk = |address: &String| host.exists(&format!("{CLASS}/{address}/device/block/{name}"));
    let all = host.list(CLASS)?;
    let found = all.into_iter().filter(|address| is_address(address)).find(has_disk);
    found.with_context(|| {
        format!("neither {dir}/device nor {CLASS}/*/device/block tells which scsi_disk is {name}")
    })
}

fn is_address(text: &str) -> bool {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|digit| digit.is_ascii_digit());
    check_name(text).is_ok() && text.split(':').count() == 4 && text.split(':').all(is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        for (word, wanted) in [
            ("write through", Some(CacheType::WriteThrough)),
            ("none", Some(CacheType::None)),
            ("write back", Some(CacheType::WriteBack)),
            ("write back, no read (daft)", Some(CacheType::WriteBack)),
            ("write sideways", Some(CacheType::Other("write sideways".into()))),
            ("", None),
            (&"x".repeat(65), None),
        ] {
            assert_eq!(parse(word).ok(), wanted, "{word}");
        }
    }

    #[test]
    fn addresses() {
        for (text, wanted) in [
            ("0:0:0:0", true),
            ("10:2:0:1", true),
            ("1:2:3", false),
            ("virtio2", false),
            ("0:0:0:", false),
            ("../:0:0:0", false),
        ] {
            assert_eq!(is_address(text), wanted, "{text}");
        }
    }
}
