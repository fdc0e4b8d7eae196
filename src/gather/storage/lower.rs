//! What a DRBD device stands on: the data, and the meta data where they are elsewhere.

use super::lookup::Lookup;
use super::sysfs;
use crate::facts::{DiskState, Known, Volume};
use anyhow::{Context, Result, bail};

/// Fills in `data` and `meta`, and returns what the DRBD device stands on.
///
/// The kernel's own word comes first: it links both devices in `slaves/` (8.4:
/// drbd_nl.c, open_backing_dev). Which of two is which, or what an old module that links
/// none has, tells the configured path.
pub fn find(lookup: &Lookup, volume: &mut Volume) -> Known<Vec<String>> {
    let device = format!("drbd{}", volume.minor);
    if volume.disk == DiskState::Diskless {
        volume.data = Known::Unknown(format!("{device} is diskless"));
        volume.meta = volume.data.clone();
        return Known::Is(Vec::new());
    }
    // Where it cannot be listed it says nothing, and the configured path is asked.
    let slaves = lookup.host.list(&format!("/sys/block/{device}/slaves")).unwrap_or_default();
    if let Some(why) = slaves.iter().find_map(|name| sysfs::check_name(name).err()) {
        volume.data = Known::Unknown(format!("/sys/block/{device}/slaves: {why}"));
        volume.meta = volume.data.clone();
        return Known::Unknown(format!("/sys/block/{device}/slaves: {why}"));
    }
    let (data, meta) = tell_apart(lookup, volume, &device, &slaves);
    volume.data = data;
    volume.meta = meta;
    if !slaves.is_empty() {
        return Known::Is(slaves);
    }
    match (&volume.data, &volume.meta) {
        (Known::Is(data), Known::Is(meta)) if data == meta => Known::Is(vec![data.clone()]),
        (Known::Is(data), Known::Is(meta)) => Known::Is(vec![data.clone(), meta.clone()]),
        (Known::Unknown(why), _) | (_, Known::Unknown(why)) => Known::Unknown(why.clone()),
    }
}

/// The devices with the data and the meta data.
fn tell_apart(
    lookup: &Lookup,
    volume: &Volume,
    device: &str,
    slaves: &[String],
) -> (Known<String>, Known<String>) {
    let internal = volume.backing_device == volume.meta_device;
    let configured = |path: &Option<String>, what: &str| -> Result<String> {
        let path = path.as_ref().with_context(|| format!("no {what} of {device} is configured"))?;
        let name = lookup.by_path(path)?;
        if !slaves.is_empty() && !slaves.contains(&name) {
            bail!("{path} is {name}, and {device} stands on {}", slaves.join(", "));
        }
        Ok(name)
    };
    let backing = || configured(&volume.backing_device, "backing device");
    let meta = || configured(&volume.meta_device, "meta data device");
    match slaves {
        [only] if internal => (Known::Is(only.clone()), Known::Is(only.clone())),
        [only] => (Known::Is(only.clone()), meta().into()),
        [one, other] if !internal => match (backing(), meta()) {
            (Ok(data), Err(_)) => {
                let meta = if data == *one { other } else { one };
                (Known::Is(data), Known::Is(meta.clone()))
            }
            (Err(_), Ok(meta)) => {
                let data = if meta == *one { other } else { one };
                (Known::Is(data.clone()), Known::Is(meta))
            }
            (data, meta) => (data.into(), meta.into()),
        },
        _ if internal => {
            let data = Known::from(backing());
            (data.clone(), data)
        }
        _ => (backing().into(), meta().into()),
    }
}
