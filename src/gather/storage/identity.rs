//! The names by which an administrator knows a device: those that stay when
//! disks are found in another order, without `/dev/`.

use crate::facts::storage::DeviceKind;
use crate::host::Host;

/// No name and no model is longer: a wwid is at most a page of vital product data.
const LONGEST: usize = 255;

/// The stable names of a device.
///
/// A SCSI disk's serial number is only in the binary `vpd_pg80`; its wwid names it as well. A
/// virtio disk has none here: reading its `serial` is a request to the disk (drivers/block/virtio_blk.c,
/// serial_show), for which a hung disk would let us wait for ever. The other files are the kernel's memory.
pub fn names(host: &Host, kind: &DeviceKind, dir: &str) -> Vec<String> {
    let files: &[&str] = match kind {
        DeviceKind::DeviceMapper => &["dm/name"],
        // Since Linux 5.10; mdadm writes the same bytes with colons (Documentation/admin-guide/md.rst).
        DeviceKind::Md(_) => &["md/uuid"],
        DeviceKind::Nvme => &["wwid", "device/serial"],
        DeviceKind::Scsi => &["device/wwid"],
        _ => &[],
    };
    let mut names: Vec<String> =
        files.iter().filter_map(|file| text(host, &format!("{dir}/{file}"))).collect();
    let spelled_otherwise = names.first().and_then(|name| match kind {
        DeviceKind::DeviceMapper => logical_volume(name),
        DeviceKind::Scsi => world_wide_name(name),
        _ => None,
    });
    names.extend(spelled_otherwise);
    names
}

/// Vendor and model of a disk. An NVMe disk has no vendor in words, a virtual disk neither.
pub fn model(host: &Host, kind: &DeviceKind, dir: &str) -> Option<String> {
    let files: &[&str] = match kind {
        DeviceKind::Scsi => &["device/vendor", "device/model"],
        DeviceKind::Nvme => &["device/model"],
        _ => &[],
    };
    let words: Vec<String> = files.iter().filter_map(|file| text(host, &format!("{dir}/{file}"))).collect();
    (!words.is_empty()).then(|| words.join(" "))
}

/// The text of a file without the spaces that fill it up, where there is one.
fn text(host: &Host, path: &str) -> Option<String> {
    let text = host.read_optional(path).ok()??;
    let text = text.trim();
    let good = !text.is_empty() && text.len() <= LONGEST && !text.contains(char::is_control);
    good.then(|| text.to_owned())
}

/// `vg/lv` of the device mapper name `vg-lv`, in which LVM doubles the hyphens of each.
/// Another's name with one hyphen looks the same, and nobody writes it with a slash.
fn logical_volume(name: &str) -> Option<String> {
    let marked = name.replace("--", "\0");
    let (group, volume) = marked.split_once('-')?;
    let whole = !group.is_empty() && !volume.is_empty() && !volume.contains('-');
    whole.then(|| format!("{group}/{volume}").replace('\0', "-"))
}

/// The device mapper name of `/dev/VG/LV`.
pub fn mapper_name(group: &str, volume: &str) -> String {
    format!("{}-{}", group.replace('-', "--"), volume.replace('-', "--"))
}

/// `wwn-0x5000c500…` of the wwid `naa.5000c500…`: what udev calls it in /dev/disk/by-id.
fn world_wide_name(wwid: &str) -> Option<String> {
    wwid.strip_prefix("naa.").map(|digits| format!("wwn-0x{digits}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logical_volumes() {
        for (group, volume, name) in [
            ("universe", "drbdvm-disk", "universe-drbdvm--disk"),
            ("a-b", "c", "a--b-c"),
            ("a-", "b", "a---b"),
            ("vg", "lv", "vg-lv"),
        ] {
            assert_eq!(mapper_name(group, volume), name);
            assert_eq!(logical_volume(name), Some(format!("{group}/{volume}")), "{name}");
        }
        for other in ["crypt", "vg-lv-real", "a--b", "-lv", "vg-", ""] {
            assert_eq!(logical_volume(other), None, "{other}");
        }
    }
}
