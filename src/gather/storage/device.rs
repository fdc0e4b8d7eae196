//! One device, without what is below it in turn.

use super::file::Files;
use super::sysfs;
use super::{cache_type, identity, queue};
use crate::facts::storage::{Device, DeviceKind};
use crate::facts::{Known, PhysicalDevice};
use crate::host::Host;
use anyhow::{Context, Result, ensure};

/// Reads the device of that name. What it stands on is `told` where DRBD told it.
pub fn read(host: &Host, name: &str, files: &Files, told: Option<Known<Vec<String>>>) -> Device {
    let Some(place) = sysfs::find(host, name) else {
        let device = missing(host, name);
        return Device { below: told.unwrap_or_else(|| device.below.clone()), ..device };
    };
    let dir = place.dir.as_str();
    let number = Known::from(number(host, dir));
    if let Some(disk) = place.disk {
        return Device { number, ..partition(disk) };
    }
    let kind = kind(host, name, dir);
    let cache_type = match kind {
        DeviceKind::Scsi => Known::from(cache_type::of_scsi(host, name, dir).map(Some)),
        DeviceKind::Virtio => Known::from(cache_type::of_virtio(host, dir)),
        _ => Known::Is(None),
    };
    let (file, below) = match (&kind, told) {
        (DeviceKind::Loop, _) => files.of_loop(dir),
        (_, Some(told)) => (None, told),
        _ => (None, below(host, &kind, dir).into()),
    };
    Device {
        number,
        names: identity::names(host, &kind, dir),
        write_cache: queue::write_cache(host, dir).into(),
        fua: queue::flag(host, dir, "fua").into(),
        cache_type,
        rotational: queue::flag(host, dir, "rotational").into(),
        model: identity::model(host, &kind, dir),
        below,
        file,
        kind,
        non_volatile: None,
    }
}

/// `MAJOR:MINOR`, both decimal.
pub fn number(host: &Host, dir: &str) -> Result<PhysicalDevice> {
    let path = format!("{dir}/dev");
    let text = host.read_text(&path)?;
    let numbers = text.split_once(':').and_then(|(major, minor)| {
        Some(PhysicalDevice { major: major.parse().ok()?, minor: minor.parse().ok()? })
    });
    numbers.with_context(|| format!("{path} is {}", sysfs::shown(&text)))
}

/// The driver, from the name, which is the driver's own choice. The directories of sysfs
/// tell less: a disk below bcache has a `bcache/` too, and an unused loop device no `loop/`.
fn kind(host: &Host, name: &str, dir: &str) -> DeviceKind {
    let read = |file: &str, word: fn(&str) -> Option<&str>| -> Known<String> {
        let path = format!("{dir}/{file}");
        let text = host.read_text(&path);
        let found = text.and_then(|text| {
            let word = word(&text).filter(|word| is_word(word)).map(str::to_owned);
            word.with_context(|| format!("{path} is {}", sysfs::shown(&text)))
        });
        found.into()
    };
    let is = |prefix: &str| name.starts_with(prefix);
    match () {
        () if is("dm-") => DeviceKind::DeviceMapper,
        () if is("drbd") => DeviceKind::Drbd,
        () if is("loop") => DeviceKind::Loop,
        () if is("bcache") => DeviceKind::Bcache(read("bcache/cache_mode", chosen)),
        () if is("nvme") => DeviceKind::Nvme,
        () if is("md") => DeviceKind::Md(read("md/level", |text| Some(text))),
        () if is("sd") => DeviceKind::Scsi,
        () if is("vd") => DeviceKind::Virtio,
        () if is("xvd") => DeviceKind::XenBlkfront,
        () => DeviceKind::Other(name.chars().take_while(char::is_ascii_alphabetic).collect()),
    }
}

/// The word in brackets: `writethrough [writeback] writearound none`.
fn chosen(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once('[')?;
    rest.split_once(']').map(|(word, _)| word)
}

/// Whether this is one short word, as the kernel's are.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.len() <= 32 && text.bytes().all(|letter| letter.is_ascii_graphic())
}

/// What the device stands on, from `slaves/`.
fn below(host: &Host, kind: &DeviceKind, dir: &str) -> Result<Vec<String>> {
    // A disk is where the way down ends. The head of an NVMe multipath is one too: its queue counts.
    if matches!(kind, DeviceKind::Nvme | DeviceKind::Scsi | DeviceKind::Virtio | DeviceKind::XenBlkfront) {
        return Ok(Vec::new());
    }
    let slaves = host.list_optional(&format!("{dir}/slaves"))?;
    let slaves = slaves.with_context(|| format!("{dir}/slaves does not exist"))?;
    // A device mapper table of `error`, an array that is not running, a DRBD that has no disk, or whose
    // version links none: none of them is a disk.
    let is_disk = matches!(kind, DeviceKind::Other(_));
    ensure!(is_disk || !slaves.is_empty(), "{dir}/slaves is empty");
    Ok(slaves)
}

/// A partition has no queue of its own: [`share_queue`].
fn partition(disk: String) -> Device {
    Device {
        cache_type: Known::Is(None),
        below: Known::Is(vec![disk]),
        ..unknown(DeviceKind::Partition, "its disk was not looked at")
    }
}

/// Gives a partition the queue of its disk.
pub fn share_queue(partition: &mut Device, disk: &Device) {
    partition.write_cache = disk.write_cache.clone();
    partition.fua = disk.fua.clone();
    partition.rotational = disk.rotational.clone();
}

/// A device that something stands on and sysfs does not have.
fn missing(host: &Host, name: &str) -> Device {
    let dir = format!("/sys/block/{name}");
    unknown(kind(host, name, &dir), &format!("{dir} does not exist"))
}

fn unknown(kind: DeviceKind, why: &str) -> Device {
    Device {
        kind,
        number: Known::Unknown(why.into()),
        names: Vec::new(),
        write_cache: Known::Unknown(why.into()),
        fua: Known::Unknown(why.into()),
        cache_type: Known::Unknown(why.into()),
        rotational: Known::Unknown(why.into()),
        model: None,
        below: Known::Unknown(why.into()),
        file: None,
        non_volatile: None,
    }
}
