//! Where sysfs has a device, and which names it can have.

use super::device;
use crate::facts::{Known, PhysicalDevice};
use crate::host::Host;

/// The longest kernel name that is taken for one. The kernel's own limit is 31 for a disk
/// (DISK_NAME_LEN) and a few digits more for a partition.
const LONGEST_NAME: usize = 64;

/// The directory of a device.
pub struct Place {
    /// Its path.
    pub dir: String,
    /// The disk that it is a part of, for a partition.
    pub disk: Option<String>,
}

/// Where the device of this kernel name is.
pub fn find(host: &Host, name: &str) -> Option<Place> {
    check_name(name).ok()?;
    let dir = format!("/sys/block/{name}");
    if host.exists(&dir) {
        return Some(Place { dir, disk: None });
    }
    let disk = disk_of(name)?;
    let dir = format!("/sys/block/{disk}/{name}");
    host.exists(&dir).then(|| Place { dir, disk: Some(disk.to_owned()) })
}

/// The partitions of a disk, by kernel name, with their numbers.
pub fn partitions(host: &Host, disk: &str) -> Vec<(String, Known<PhysicalDevice>)> {
    let dir = format!("/sys/block/{disk}");
    let inside = host.list(&dir).unwrap_or_default();
    let parts = inside.into_iter().filter(|name| disk_of(name) == Some(disk));
    parts.map(|part| (part.clone(), device::number(host, &format!("{dir}/{part}")).into())).collect()
}

/// The disk of a partition: `sda` of `sda1`, and `md0` of `md0p1`, as the kernel puts a `p`
/// before the number where the disk's name ends with a digit (block/partitions/core.c,
/// add_partition).
fn disk_of(partition: &str) -> Option<&str> {
    let disk = partition.trim_end_matches(|letter: char| letter.is_ascii_digit());
    if disk.len() == partition.len() {
        return None;
    }
    match disk.strip_suffix('p') {
        Some(numbered) if numbered.ends_with(|letter: char| letter.is_ascii_digit()) => Some(numbered),
        _ => Some(disk),
    }
}

/// Whether this can be a device's kernel name, so that it may be part of a path.
/// A name that is not UTF-8 comes with U+FFFD in it and is none.
pub fn check_name(name: &str) -> Result<(), String> {
    let letters = |letter: char| letter.is_ascii_graphic() && letter != '/';
    match name {
        "" | "." | ".." => Err(format!("{name:?} is no name of a device")),
        _ if name.len() > LONGEST_NAME => {
            Err(format!("a name of {} bytes is no name of a device", name.len()))
        }
        _ if !name.chars().all(letters) => Err(format!("{name:?} is no name of a device")),
        _ => Ok(()),
    }
}

/// A text of sysfs that is not what it should be, for a message: short and on one line.
pub fn shown(text: &str) -> String {
    format!("{:?}", text.chars().take(40).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_of_partitions() {
        for (partition, disk) in [
            ("sda1", Some("sda")),
            ("sdap1", Some("sdap")),
            ("nvme0n1p2", Some("nvme0n1")),
            ("md127p10", Some("md127")),
            ("cciss!c0d0p1", Some("cciss!c0d0")),
            ("sda", None),
            ("17", Some("")),
        ] {
            assert_eq!(disk_of(partition), disk, "{partition}");
        }
    }

    #[test]
    fn names() {
        for good in ["sda1", "dm-0", "cciss!c0d0", "md_d0p1", "...", &"x".repeat(64)] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "../x", "a\nb", "a b", "a\0", "gr\u{fffd}n", &"x".repeat(65)] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
    }
}
