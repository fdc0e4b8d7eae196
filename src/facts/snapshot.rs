//! What the LVM snapshots are called that are taken before a resync.

/// A logical volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogicalVolume {
    /// Its volume group.
    pub group: String,
    /// Its name.
    pub name: String,
}

/// The longest name of a resource that stands in the name of a snapshot. device-mapper takes 127 bytes for
/// the volume group, the name with each `-` doubled, and `-cow` (libdevmapper.h, DM_NAME_LEN).
const LONGEST: usize = 40;

/// Endings that lvm2 keeps for its own volumes and refuses anywhere in a name (lvm(8), VALID NAMES).
const RESERVED: [&str; 18] = [
    "_cdata", "_cmeta", "_corig", "_cvol", "_iorig", "_imeta", "_mimage", "_mlog", "_pmspare", "_rimage",
    "_rmeta", "_tdata", "_tmeta", "_tpool", "_vdata", "_vorigin", "_wcorig", "_vpool",
];

/// The name of the snapshot of a minor, which is the same at each call. Only this program gives such names.
pub fn name(resource: &str, minor: u32) -> String {
    let plain = resource.len() <= LONGEST && !RESERVED.iter().any(|word| resource.contains(word));
    match plain {
        true => format!("block-drbd-{resource}-{minor}"),
        false => format!("block-drbd-{:016x}-{minor}", hash(resource)),
    }
}

/// Whether a logical volume of this name is a snapshot of the resource.
pub fn is_of(resource: &str, volume: &str) -> bool {
    let minor = volume.rsplit('-').next().and_then(|minor| minor.parse().ok());
    minor.is_some_and(|minor| name(resource, minor) == volume)
}

/// FNV-1a: the names have to differ, and not to resist anybody.
fn hash(text: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_that_lvm_takes_and_is_known_again() {
        let (longest, longer) = ("r".repeat(40), "r".repeat(41));
        for (resource, plain) in
            [("r0", true), ("vm-1", true), (&longest, true), (&longer, false), ("vm_rmeta", false)]
        {
            let name = name(resource, 3);
            assert_eq!(name == format!("block-drbd-{resource}-3"), plain, "{name}");
            assert!(name.len() <= 64 && !RESERVED.iter().any(|word| name.contains(word)), "{name}");
            assert!(is_of(resource, &name) && !is_of("other", &name) && !is_of(resource, &name[1..]));
        }
        assert_eq!(name(&longer, 3), name(&longer, 3));
        assert_ne!(name(&longer, 3), name(&"s".repeat(41), 3));
        assert!(
            !is_of("vm", "block-drbd-vm-1-3") && !is_of("vm-1", "block-drbd-vm-1") && !is_of("r0", "root")
        );
    }
}
