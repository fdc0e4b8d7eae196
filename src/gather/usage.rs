//! Who uses a DRBD device in this domain itself: mounts, swap, stacked devices.

use crate::host::Host;
use anyhow::Result;

/// The mount points of the device, from /proc/self/mountinfo.
pub fn mounts(host: &Host, major: u32, minor: u32) -> Result<Vec<String>> {
    Ok(mount_points(&host.read_text("/proc/self/mountinfo")?, major, minor))
}

/// Third field `major:minor`, fifth field the mount point (proc_pid_mountinfo(5)).
fn mount_points(mountinfo: &str, major: u32, minor: u32) -> Vec<String> {
    let device = format!("{major}:{minor}");
    let fields = mountinfo.lines().map(|line| line.split(' '));
    fields
        .filter(|fields| fields.clone().nth(2) == Some(device.as_str()))
        .filter_map(|mut fields| fields.nth(4).map(str::to_string))
        .collect()
}

/// Whether the device is swapped on, from /proc/swaps.
pub fn swap(host: &Host, minor: u32) -> Result<bool> {
    Ok(is_swap(&host.read_text("/proc/swaps")?, minor))
}

/// First field the path that swapon(2) resolved, `/dev/drbdN` for any link to it.
fn is_swap(swaps: &str, minor: u32) -> bool {
    let device = format!("/dev/drbd{minor}");
    swaps.lines().any(|line| line.split_whitespace().next() == Some(device.as_str()))
}

/// The devices stacked on the device (dm, md, bcache), from sysfs.
pub fn holders(host: &Host, minor: u32) -> Result<Vec<String>> {
    host.list(&format!("/sys/block/drbd{minor}/holders"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mountinfo() {
        let text = "25 1 147:3 / /mnt/vm rw,relatime - ext4 /dev/drbd3 rw\n\
                    26 1 147:30 / /other rw - ext4 /dev/drbd30 rw\n\
                    27 1 147:3 /sub /mnt/bind\\040me ro - ext4 /dev/drbd3 rw\nbroken\n";
        assert_eq!(mount_points(text, 147, 3), ["/mnt/vm", "/mnt/bind\\040me"]);
        assert!(mount_points(text, 147, 4).is_empty());
    }

    #[test]
    fn swaps() {
        let text = "Filename\tType\tSize\tUsed\tPriority\n/dev/drbd3 partition 1 0 -2\n";
        assert!(is_swap(text, 3));
        assert!(!is_swap(text, 30));
    }
}
