//! The resources of the lab and what DRBD is told about them.

/// A resource: its name, and the minor and disk of each of its volumes.
pub struct Resource {
    /// Its name.
    pub name: &'static str,
    /// One `(minor, disk)` a volume.
    pub volumes: &'static [(u32, &'static str)],
}

/// One virtio disk a volume, the same on both nodes.
pub const RESOURCES: &[Resource] = &[
    Resource { name: "r0", volumes: &[(10, "vda")] },
    Resource { name: "r1", volumes: &[(11, "vdb")] },
    Resource { name: "r2", volumes: &[(12, "vdc")] },
    Resource { name: "r3", volumes: &[(13, "vdd")] },
    Resource { name: "r4", volumes: &[(14, "vde")] },
    Resource { name: "r5", volumes: &[(15, "vdf")] },
    Resource { name: "r6", volumes: &[(16, "vdg")] },
    Resource { name: "r7", volumes: &[(17, "vdh")] },
    Resource { name: "multi", volumes: &[(20, "vdi"), (21, "vdj")] },
];

/// Every disk of a node is this large.
pub const DISK_SIZE: u64 = 48 << 20;

/// How many disks a node has.
pub fn disks() -> usize {
    RESOURCES.iter().map(|resource| resource.volumes.len()).sum()
}

/// The first minor of a resource.
pub fn minor(resource: &str) -> u32 {
    find(resource).volumes[0].0
}

/// How many volumes a resource has.
pub fn volumes(resource: &str) -> usize {
    find(resource).volumes.len()
}

fn find(resource: &str) -> &'static Resource {
    let found = RESOURCES.iter().find(|known| known.name == resource);
    found.unwrap_or_else(|| panic!("the lab has no resource {resource}"))
}

/// `/etc/drbd.conf` of both nodes.
pub fn configuration() -> String {
    // A node that the other one starves of CPU must not lose the connection.
    let mut text = String::from(
        "global { usage-count no; }\n\
         common { net { protocol C; ping-timeout 30; connect-int 3; timeout 60; } }\n",
    );
    for (number, resource) in RESOURCES.iter().enumerate() {
        let port = 7800 + number;
        text += &format!("resource {} {{\n", resource.name);
        for (volume, (minor, disk)) in resource.volumes.iter().enumerate() {
            text += &format!(
                "  volume {volume} {{ device /dev/drbd{minor}; disk /dev/{disk}; meta-disk internal; }}\n"
            );
        }
        text +=
            &format!("  on a {{ address 10.0.0.1:{port}; }}\n  on b {{ address 10.0.0.2:{port}; }}\n}}\n");
    }
    text
}
