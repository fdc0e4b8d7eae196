//! The resources of the lab and what DRBD is told about them.

/// A resource: its name, and the minor and disk of each of its volumes.
pub struct Resource {
    /// Its name.
    pub name: &'static str,
    /// One `(minor, disk)` a volume.
    pub volumes: &'static [(u32, &'static str)],
    /// Where its metadata is: `internal` or a device.
    meta_disk: &'static str,
}

const fn internal(name: &'static str, volumes: &'static [(u32, &'static str)]) -> Resource {
    Resource { name, volumes, meta_disk: "internal" }
}

/// One virtio disk a volume, the same on both nodes.
pub const RESOURCES: &[Resource] = &[
    internal("r0", &[(10, "vda")]),
    internal("r1", &[(11, "vdb")]),
    internal("r2", &[(12, "vdc")]),
    internal("r3", &[(13, "vdd")]),
    internal("r4", &[(14, "vde")]),
    internal("r5", &[(15, "vdf")]),
    internal("r6", &[(16, "vdg")]),
    internal("r7", &[(17, "vdh")]),
    internal("multi", &[(20, "vdi"), (21, "vdj")]),
    // Over disks with a volatile cache.
    internal("f0", &[(30, "vdk")]),
    Resource { name: "f1", volumes: &[(31, "vdl")], meta_disk: "/dev/vdm" },
    // Over a logical volume on [`LVM_DISK`].
    internal("lv", &[(32, "lab/lv")]),
    // Many small ones, which share a disk.
    internal("s00", &[(40, "mapper/s00")]),
    internal("s01", &[(41, "mapper/s01")]),
    internal("s02", &[(42, "mapper/s02")]),
    internal("s03", &[(43, "mapper/s03")]),
    internal("s04", &[(44, "mapper/s04")]),
    internal("s05", &[(45, "mapper/s05")]),
    internal("s06", &[(46, "mapper/s06")]),
    internal("s07", &[(47, "mapper/s07")]),
    internal("s08", &[(48, "mapper/s08")]),
    internal("s09", &[(49, "mapper/s09")]),
    internal("s10", &[(50, "mapper/s10")]),
    internal("s11", &[(51, "mapper/s11")]),
    internal("s12", &[(52, "mapper/s12")]),
    internal("s13", &[(53, "mapper/s13")]),
    internal("s14", &[(54, "mapper/s14")]),
    internal("s15", &[(55, "mapper/s15")]),
    internal("s16", &[(56, "mapper/s16")]),
    internal("s17", &[(57, "mapper/s17")]),
    internal("s18", &[(58, "mapper/s18")]),
    internal("s19", &[(59, "mapper/s19")]),
];

/// The port of the first resource; each has its own.
const FIRST_PORT: usize = 7800;

/// The small resources: `s00` and so on, over device mapper targets of that name on [`SHARED_DISK`].
pub fn small() -> impl Iterator<Item = &'static Resource> {
    RESOURCES.iter().filter(|resource| resource.volumes[0].1.starts_with("mapper/"))
}

/// The disk that they share, and how many sectors each has.
pub const SHARED_DISK: &str = "vdn";
pub const SMALL_SECTORS: usize = 4096;

/// The physical volume of LVM's volume group.
pub const LVM_DISK: &str = "vdo";

/// The disks that are files, in front of the drives: how many, and the size of each.
pub const FILE_DISKS: usize = 10;
pub const DISK_SIZE: u64 = 48 << 20;

/// The sizes of the files behind the drives: [`SHARED_DISK`] and [`LVM_DISK`].
pub const LAST_FILE_DISKS: [u64; 2] = [48 << 20, 96 << 20];

/// The disks behind the first files that lose at a power cut what was not flushed, and their sizes.
pub const DRIVES: &[(&str, usize)] = &[("vdk", 32 << 20), ("vdl", 16 << 20), ("vdm", 4 << 20)];

/// The disks of a resource that are such drives.
pub fn drives(resource: &str) -> impl Iterator<Item = &'static str> {
    let found = find(resource);
    let disks = found.volumes.iter().map(|(_, disk)| *disk);
    let meta = found.meta_disk.strip_prefix("/dev/");
    disks.chain(meta).filter(|disk| DRIVES.iter().any(|(name, _)| name == disk))
}

/// The disk below the first volume of a resource.
pub fn disk(resource: &str) -> &'static str {
    find(resource).volumes[0].1
}

/// The port at which both nodes listen for the resource.
pub fn port(resource: &str) -> usize {
    FIRST_PORT + RESOURCES.iter().position(|known| known.name == resource).unwrap_or_default()
}

/// The first minor of a resource.
pub fn minor(resource: &str) -> u32 {
    find(resource).volumes[0].0
}

/// All minors of a resource.
pub fn minors(resource: &str) -> impl Iterator<Item = u32> {
    find(resource).volumes.iter().map(|(minor, _)| *minor)
}

/// How many volumes a resource has.
pub fn volumes(resource: &str) -> usize {
    find(resource).volumes.len()
}

fn find(resource: &str) -> &'static Resource {
    let found = RESOURCES.iter().find(|known| known.name == resource);
    found.unwrap_or_else(|| panic!("the lab has no resource {resource}"))
}

/// Where drbdadm looks for [`configuration`].
pub const CONFIGURATION: &str = "/etc/drbd.conf";

/// What both nodes have there. Its one handler is there for scenarios that set fencing.
pub fn configuration() -> String {
    configuration_with("handlers { fence-peer /lab/fence-peer; }")
}

/// The same with this section of handlers.
pub fn configuration_with(handlers: &str) -> String {
    // A node that the other one starves of CPU must not lose the connection.
    // A resync does not wait for a guest that never stops writing (c-min-rate 0), and does not
    // begin at the default 250 KiB/s, at which it stays on a starved node.
    let mut text = format!(
        "global {{ usage-count no; }}\n\
         common {{ net {{ protocol C; ping-int 5; ping-timeout 30; connect-int 3; timeout 60; }}\n\
         \x20        disk {{ c-min-rate 0; c-plan-ahead 0; resync-rate 100M; }} {handlers} }}\n",
    );
    for (number, resource) in RESOURCES.iter().enumerate() {
        let port = FIRST_PORT + number;
        text += &format!("resource {} {{\n", resource.name);
        for (volume, (minor, disk)) in resource.volumes.iter().enumerate() {
            text += &format!(
                "  volume {volume} {{ device /dev/drbd{minor}; disk /dev/{disk}; meta-disk {}; }}\n",
                resource.meta_disk
            );
        }
        text +=
            &format!("  on a {{ address 10.0.0.1:{port}; }}\n  on b {{ address 10.0.0.2:{port}; }}\n}}\n");
    }
    text
}
