//! The stack of block devices below DRBD, read from a directory.

#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

#[path = "support/place.rs"]
mod place;
#[path = "support/sysfs.rs"]
mod sysfs;

use block_drbd::facts::storage::{self, CacheType, Device, DeviceKind, Devices, WriteCache};
use block_drbd::facts::{DiskState, Known, Resource, Role, Source, Suspended, Volume};
use block_drbd::gather::storage::look;
use block_drbd::host::{Deadline, Host, xenstore};
use place::Place;
use std::time::{Duration, Instant};
use sysfs::Sysfs;

fn unknown<T>() -> Known<T> {
    Known::Unknown("it does not matter here".into())
}

/// Makes a tree, or a part of one.
type Build = fn(&Sysfs);

/// A volume of drbd3 with these configured paths.
fn volume(backing: Option<&str>, meta: Option<&str>) -> Volume {
    Volume {
        number: 0,
        minor: 3,
        role: Role::Secondary,
        disk: DiskState::UpToDate,
        backing_device: backing.map(str::to_owned),
        meta_device: meta.map(str::to_owned),
        options: unknown(),
        data: unknown(),
        meta: unknown(),
        quorum: unknown(),
        generations: unknown(),
    }
}

fn resource(volumes: Vec<Volume>) -> Resource {
    Resource {
        name: "r0".into(),
        source: Source::Kernel,
        role: Role::Secondary,
        suspended: Suspended { user: false, no_data: false, fencing: false, quorum: false },
        write_ordering: unknown(),
        on_no_data: unknown(),
        handlers: unknown(),
        users: unknown(),
        needs_quorum: unknown(),
        volumes,
        connections: Vec::new(),
    }
}

fn look_at(place: &Place, volumes: Vec<Volume>) -> (Devices, Vec<Volume>) {
    let deadline = Deadline::after(Duration::from_secs(60));
    let host = Host::new(place.path(), xenstore::Named::default(), deadline);
    let mut resources = [resource(volumes)];
    let devices = look(&host, &mut resources);
    let [resource] = resources;
    (devices, resource.volumes)
}

/// The devices of a tree, with the data of drbd3 on `/dev/BACKING`, as the kernel links it.
fn stack_of(build: impl FnOnce(&Sysfs)) -> Devices {
    let place = Place::new();
    build(&Sysfs::new(place.path()));
    look_at(&place, vec![volume(Some("/dev/x"), Some("/dev/x"))]).0
}

/// `vdc:through`: the name and the cache of each disk at the bottom, or why there is no bottom.
fn leaves(devices: &Devices) -> Result<Vec<String>, String> {
    let walk = storage::leaves(devices, "drbd3");
    if let Some(why) = walk.unknown {
        return Err(why);
    }
    Ok(walk
        .found
        .into_iter()
        .map(|(name, device)| match &device.write_cache {
            Known::Is(WriteCache::WriteBack) => format!("{name}:back"),
            Known::Is(WriteCache::WriteThrough) => format!("{name}:through"),
            Known::Unknown(_) => format!("{name}:unknown"),
        })
        .collect())
}

fn why<T: std::fmt::Debug>(known: &Known<T>) -> &str {
    match known {
        Known::Unknown(why) => why,
        Known::Is(value) => panic!("{value:?} is known"),
    }
}

fn below(device: &Device) -> Vec<&str> {
    device.below.value().unwrap().iter().map(String::as_str).collect()
}

#[test]
fn captures() {
    for (capture, kind, wanted) in [
        ("85-dm-linear-mixed-writethrough-writeback", "dm-0", &["vdc:through", "vdd:back"][..]),
        ("85-dm-linear-on-writeback", "dm-0", &["vdb:back"]),
        ("85-dm-linear-on-writethrough", "dm-0", &["vdc:through"]),
        ("86-lvm", "dm-0", &["vdd:back"]),
        ("88-md-raid1-mixed", "md0", &["vdc:through", "vdd:back"]),
        ("88-md-raid1-writeback", "md0", &["vdb:back", "vdd:back"]),
        ("89-scsi_debug-fua", "sda", &["sda:back"]),
    ] {
        let place = Place::new();
        let file = format!("{}/tests/fixtures/sysfs-8.4/{capture}", env!("CARGO_MANIFEST_DIR"));
        Sysfs::new(place.path()).summary(&std::fs::read_to_string(file).unwrap());
        let path = "/dev/mapper/vgxen-disk0";
        let (devices, volumes) = look_at(&place, vec![volume(Some(path), Some(path))]);
        assert_eq!(leaves(&devices).unwrap(), wanted, "{capture}");
        assert_eq!(volumes[0].data, Known::Is(kind.into()), "{capture}");
        assert_eq!(volumes[0].meta, volumes[0].data, "{capture}");
        let drbd = &devices["drbd3"];
        assert_eq!(drbd.kind, DeviceKind::Drbd);
        assert_eq!(drbd.write_cache, Known::Is(WriteCache::WriteBack));
        assert_eq!(drbd.fua, Known::Is(true));
        assert!(!devices.contains_key("vda"), "{capture}: vda is not below drbd3");
        if kind == "dm-0" {
            assert_eq!(devices["dm-0"].names, ["vgxen-disk0", "vgxen/disk0"]);
        }
    }
}

#[test]
fn each_kind() {
    for (name, kind) in [
        ("vdb", DeviceKind::Virtio),
        ("xvdb", DeviceKind::XenBlkfront),
        ("nvme0n1", DeviceKind::Nvme),
        ("nbd0", DeviceKind::Other("nbd".into())),
        ("rbd1", DeviceKind::Other("rbd".into())),
        ("cciss!c0d0", DeviceKind::Other("cciss".into())),
        ("sda", DeviceKind::Scsi),
    ] {
        let devices = stack_of(|sys| {
            sys.disk("drbd3", "write back", &[name]).disk(name, "write through", &[]);
        });
        assert_eq!(devices[name].kind, kind);
        assert_eq!(leaves(&devices).unwrap(), [format!("{name}:through")]);
        assert_eq!(devices[name].cache_type == Known::Is(None), kind != DeviceKind::Scsi, "{name}");
    }
}

#[test]
fn a_missing_slaves_directory_is_a_leaf_only_of_a_disk() {
    for (name, is_leaf) in [("sda", true), ("vda", true), ("nvme0n1", true), ("xvda", true)]
        .into_iter()
        .chain([("dm-0", false), ("md0", false), ("bcache0", false), ("nbd0", false), ("drbd4", false)])
    {
        let devices = stack_of(|sys| {
            sys.disk("drbd3", "write back", &[name]);
            sys.file(&format!("sys/block/{name}/queue/write_cache"), "write back");
        });
        match is_leaf {
            true => assert_eq!(leaves(&devices).unwrap(), [format!("{name}:back")]),
            false => {
                assert_eq!(why(&devices[name].below), format!("/sys/block/{name}/slaves does not exist"))
            }
        }
        let wanted = format!("/sys/block/{name}/queue/fua does not exist");
        assert_eq!(why(&devices[name].fua), wanted);
    }
}

#[test]
fn a_device_without_a_disk_is_no_disk() {
    for name in ["dm-0", "md0", "bcache0", "drbd4"] {
        let devices = stack_of(|sys| {
            sys.disk("drbd3", "write back", &[name]).disk(name, "write through", &[]);
        });
        assert_eq!(
            leaves(&devices).unwrap_err(),
            format!("what {name} stands on is unknown: /sys/block/{name}/slaves is empty")
        );
    }
}

#[test]
fn partition_on_md_on_lvm() {
    let devices = stack_of(|sys| {
        sys.disk("drbd3", "write back", &["dm-0"]).disk("dm-0", "write back", &["md0"]);
        sys.file("sys/block/dm-0/dm/name", "a--b-c");
        sys.disk("md0", "write back", &["sda1", "nvme0n1p2"]);
        sys.file("sys/block/md0/md/level", "raid1").file("sys/block/md0/md/uuid", "1-2-3");
        sys.disk("sda", "write through", &[]).file("sys/block/sda/sda1/partition", "1");
        sys.file("sys/block/sda/device/vendor", "ATA     ").file("sys/block/sda/device/model", "X 1  ");
        sys.file("sys/block/sda/device/wwid", "naa.5000c500a1");
        sys.file("sys/block/sda/device/scsi_disk/2:0:0:0/cache_type", "write back");
        sys.disk("nvme0n1", "write back", &[]).file("sys/block/nvme0n1/nvme0n1p2/partition", "2");
        sys.file("sys/block/nvme0n1/wwid", "eui.01").file("sys/block/nvme0n1/device/serial", "S1  ");
        sys.file("sys/block/nvme0n1/device/model", "Fast 9");
    });
    assert_eq!(leaves(&devices).unwrap(), ["nvme0n1:back", "sda:through"]);
    assert_eq!(devices["dm-0"].names, ["a--b-c", "a-b/c"]);
    assert_eq!(devices["md0"].kind, DeviceKind::Md(Known::Is("raid1".into())));
    assert_eq!(devices["md0"].names, ["1-2-3"]);
    assert_eq!(devices["sda1"].kind, DeviceKind::Partition);
    assert_eq!(below(&devices["nvme0n1p2"]), ["nvme0n1"]);
    assert_eq!(devices["sda1"].write_cache, Known::Is(WriteCache::WriteThrough));
    assert_eq!(devices["sda1"].cache_type, Known::Is(None));
    assert_eq!(devices["sda"].cache_type, Known::Is(Some(CacheType::WriteBack)));
    assert_eq!(devices["sda"].names, ["naa.5000c500a1", "wwn-0x5000c500a1"]);
    assert_eq!(devices["sda"].model.as_deref(), Some("ATA X 1"));
    assert_eq!(devices["nvme0n1"].names, ["eui.01", "S1"]);
    assert_eq!(devices["nvme0n1"].model.as_deref(), Some("Fast 9"));
    assert_eq!(devices.len(), 7);
}

#[test]
fn bcache() {
    for (text, mode) in [
        ("writethrough [writeback] writearound none", Some("writeback")),
        ("[writethrough] writeback", Some("writethrough")),
        ("writeback", None),
    ] {
        let devices = stack_of(|sys| {
            sys.disk("drbd3", "write back", &["bcache0"]).disk("bcache0", "write back", &["sda", "sdb"]);
            sys.disk("sda", "write back", &[]).disk("sdb", "write back", &[]);
            sys.file("sys/block/sda/bcache/state", "dirty").file("sys/block/bcache0/bcache/cache_mode", text);
        });
        let DeviceKind::Bcache(found) = &devices["bcache0"].kind else { panic!("{devices:?}") };
        match mode {
            Some(mode) => assert_eq!(found, &Known::Is(mode.into())),
            None => assert_eq!(why(found), "/sys/block/bcache0/bcache/cache_mode is \"writeback\""),
        }
        assert_eq!(devices["sda"].kind, DeviceKind::Scsi);
        assert_eq!(leaves(&devices).unwrap(), ["sda:back", "sdb:back"]);
    }
}

#[test]
fn scsi_cache_type() {
    let cases: [(Build, Result<CacheType, &str>); 6] = [
        (
            |sys| {
                sys.link("sys/block/sda/device", "../../../0:0:1:0");
                sys.file("sys/class/scsi_disk/0:0:0:0/cache_type", "write back");
                sys.file("sys/class/scsi_disk/0:0:1:0/cache_type", "none");
            },
            Ok(CacheType::None),
        ),
        (
            |sys| {
                sys.file("sys/block/sda/device/scsi_disk/0:0:0:0/cache_type", "write through");
            },
            Ok(CacheType::WriteThrough),
        ),
        (
            |sys| {
                sys.file("sys/class/scsi_disk/0:0:0:0/device/block/sdb/size", "1");
                sys.file("sys/class/scsi_disk/0:0:0:0/cache_type", "write back");
                sys.file("sys/class/scsi_disk/0:0:1:0/device/block/sda/size", "1");
                sys.file("sys/class/scsi_disk/0:0:1:0/cache_type", "write sideways");
            },
            Ok(CacheType::Other("write sideways".into())),
        ),
        (
            |sys| {
                sys.file("sys/class/scsi_disk/0:0:0:0/cache_type", "write back");
            },
            Err(
                "neither /sys/block/sda/device nor /sys/class/scsi_disk/*/device/block tells which scsi_disk is sda",
            ),
        ),
        (
            |sys| {
                sys.link("sys/block/sda/device", "../../../0:0:0:0");
            },
            Err("neither /sys/class/scsi_disk/0:0:0:0/cache_type nor \
                 /sys/block/sda/device/scsi_disk/0:0:0:0/cache_type exists"),
        ),
        (
            |sys| {
                sys.link("sys/block/sda/device", "../../../0:0:0:0");
                sys.file("sys/class/scsi_disk/0:0:0:0/cache_type", "");
            },
            Err("/sys/class/scsi_disk/0:0:0:0/cache_type is \"\": no type of cache"),
        ),
    ];
    for (build, wanted) in cases {
        let devices = stack_of(|sys| {
            sys.disk("drbd3", "write back", &["sda"]).disk("sda", "write through", &[]);
            build(sys);
        });
        let wanted = match wanted {
            Ok(word) => Known::Is(Some(word)),
            Err(why) => Known::Unknown(why.into()),
        };
        assert_eq!(devices["sda"].cache_type, wanted);
    }
}

#[test]
fn loop_device() {
    let ext4 = "25 1 8:1 / / rw - ext4 /dev/sda1 rw\n30 25 8:17 / /srv rw - ext4 /dev/sdb1 rw";
    for (mountinfo, flushes, disk) in [
        (format!("{ext4},data=ordered"), Some(true), Ok("sdb1")),
        (format!("{ext4},nobarrier"), Some(false), Ok("sdb1")),
        (format!("{ext4},barrier=0"), Some(false), Ok("sdb1")),
        (format!("{ext4}\n31 25 0:40 / /srv rw - btrfs /dev/sdb1 rw"), Some(true), Err("/srv is btrfs")),
        ("25 1 0:40 / / rw - tmpfs tmpfs rw".into(), None, Err("/ is tmpfs")),
        ("25 1 8:33 / / rw - xfs /dev/sdc1 rw".into(), Some(true), Err("neither /sys/dev/block/8:33")),
        ("25 1 8:17 / / rw - xfs /dev/sdb1 rw,logdev=/dev/sdc1".into(), Some(true), Err("logdev=/dev/sdc1")),
        ("25 1 8:17 / / rw - f2fs /dev/sdb1 rw".into(), Some(true), Err("/ is f2fs")),
        ("25 1 8:17 / /home rw - ext4 /dev/sdb1 rw".into(), None, Err("no mount with the file")),
        ("nonsense".into(), None, Err("/proc/self/mountinfo:1: no mount")),
    ] {
        for with_link in [true, false] {
            let devices = stack_of(|sys| {
                sys.disk("drbd3", "write back", &["loop0"]).disk("loop0", "write back", &[]);
                sys.file("sys/block/loop0/loop/backing_file", "/srv/vm.img");
                sys.disk("sdb", "write back", &[]).file("sys/block/sdb/dev", "8:16");
                sys.file("sys/block/sdb/sdb1/dev", "8:17").file("proc/self/mountinfo", &mountinfo);
                if with_link {
                    sys.link("sys/dev/block/8:17", "../../devices/pci/block/sdb/sdb1");
                }
            });
            let device = &devices["loop0"];
            let file = device.file.as_ref().unwrap();
            assert_eq!(file.path, "/srv/vm.img");
            assert_eq!(file.flushes.value().copied(), flushes, "{mountinfo}");
            match disk {
                Ok(disk) => {
                    assert_eq!(below(device), [disk]);
                    assert_eq!(leaves(&devices).unwrap(), ["sdb:back"]);
                }
                Err(wanted) => assert!(why(&device.below).contains(wanted), "{mountinfo}: {device:?}"),
            }
        }
    }
}

#[test]
fn a_loop_device_without_its_files() {
    let devices = stack_of(|sys| {
        sys.disk("drbd3", "write back", &["loop0", "loop1"]);
        sys.disk("loop0", "write back", &[]).disk("loop1", "write back", &[]);
        sys.file("sys/block/loop1/loop/backing_file", "/srv/vm.img");
    });
    assert_eq!(devices["loop0"].file, None);
    let path = "/sys/block/loop0/loop/backing_file";
    assert_eq!(why(&devices["loop0"].below), format!("{path} does not exist"));
    assert_eq!(why(&devices["loop1"].below), "/proc/self/mountinfo does not exist");
    let file = devices["loop1"].file.as_ref().unwrap();
    assert_eq!(why(&file.flushes), "/proc/self/mountinfo does not exist");
}

#[test]
fn an_old_kernel_without_write_cache() {
    let devices = stack_of(|sys| {
        sys.file("sys/block/drbd3/slaves/sda", "").file("sys/block/sda/queue/rotational", "1");
        sys.link("sys/block/sda/device", "../../../0:0:0:0");
        sys.file("sys/class/scsi_disk/0:0:0:0/cache_type", "write back");
    });
    let sda = &devices["sda"];
    let missing = "/sys/block/sda/queue/write_cache does not exist, which Linux 4.7 and later have";
    assert_eq!(why(&sda.write_cache), missing);
    assert_eq!(sda.rotational, Known::Is(true));
    assert_eq!(sda.cache(), storage::Cache::Volatile);
    assert_eq!(leaves(&devices).unwrap(), ["sda:unknown"]);
}

#[test]
fn words_that_no_kernel_says() {
    let devices = stack_of(|sys| {
        sys.disk("drbd3", "write back", &["vda"]).disk("vda", "write\nsideways", &[]);
        sys.file("sys/block/vda/queue/fua", "2").file("sys/block/vda/queue/rotational", &"1".repeat(99));
    });
    let vda = &devices["vda"];
    let path = "/sys/block/vda/queue";
    let wanted =
        format!("{path}/write_cache is \"write\\nsideways\", not \"write back\" or \"write through\"");
    assert_eq!(why(&vda.write_cache), wanted);
    assert_eq!(why(&vda.fua), format!("{path}/fua is \"2\", not 0 or 1"));
    assert_eq!(why(&vda.rotational), format!("{path}/rotational is \"{}\", not 0 or 1", "1".repeat(40)));
}

/// Every way to find what the volume lies on: slaves, configured paths, data and meta data.
#[test]
fn lower_devices() {
    let lvm = Some("/dev/a-b/c");
    let mapper = Some("/dev/mapper/vg-meta");
    let by_id = Some("/dev/disk/by-id/x");
    let not_there = Some("/dev/nothing");
    for (slaves, backing, meta, data_wanted, meta_wanted) in [
        // The kernel's links come first, whatever is configured.
        (&["sda1"][..], not_there, not_there, Ok("sda1"), Ok("sda1")),
        (&["sda1"], None, None, Ok("sda1"), Ok("sda1")),
        (&["dm-0"], lvm, mapper, Ok("dm-0"), Err("/dev/mapper/vg-meta is dm-1, and drbd3 stands on dm-0")),
        (&["dm-0", "dm-1"], lvm, mapper, Ok("dm-0"), Ok("dm-1")),
        (&["dm-0", "dm-1"], mapper, lvm, Ok("dm-1"), Ok("dm-0")),
        (&["dm-0", "sda1"], lvm, not_there, Ok("dm-0"), Ok("sda1")),
        (&["dm-0", "sda1"], not_there, lvm, Ok("sda1"), Ok("dm-0")),
        (
            &["dm-0", "sda1"],
            not_there,
            None,
            Err("no device of /sys/block is /dev/nothing"),
            Err("no meta data device of drbd3"),
        ),
        (&["dm-0", "sda1"], lvm, lvm, Ok("dm-0"), Ok("dm-0")),
        // Without them, the path.
        (&[], lvm, lvm, Ok("dm-0"), Ok("dm-0")),
        (&[], lvm, by_id, Ok("dm-0"), Ok("sda1")),
        (&[], Some("/dev/sda1"), Some("/dev/absolute"), Ok("sda1"), Ok("sda")),
        (&[], Some("/dev/cciss/c0d0p1"), mapper, Ok("cciss!c0d0p1"), Ok("dm-1")),
        (&[], Some("/dev/dangling"), mapper, Err("/dev/dangling, which leads to /dev/gone,"), Ok("dm-1")),
        (&[], Some("/dev/itself"), mapper, Err("/dev/itself leads through more than 40 links"), Ok("dm-1")),
        (&[], Some("/dev/outside"), mapper, Err("which leads to /etc/passwd,"), Ok("dm-1")),
        (&[], Some("/etc/sda"), mapper, Err("\"/etc/sda\" is no path of a device"), Ok("dm-1")),
        (&[], Some("/dev/../sys/x"), mapper, Err("which leads to /sys/x,"), Ok("dm-1")),
        (&[], Some("/dev/a\nb"), mapper, Err("\"/dev/a\\nb\" is no path of a device"), Ok("dm-1")),
        (&[], None, mapper, Err("no backing device of drbd3 is configured"), Ok("dm-1")),
    ] {
        let place = Place::new();
        let sys = Sysfs::new(place.path());
        sys.disk("drbd3", "write back", slaves).disk("sda", "write back", &[]);
        sys.file("sys/block/sda/sda1/partition", "1");
        sys.disk("cciss!c0d0", "write back", &[]).file("sys/block/cciss!c0d0/cciss!c0d0p1/partition", "1");
        for (name, mapped) in [("dm-0", "a--b-c"), ("dm-1", "vg-meta")] {
            sys.disk(name, "write back", &["sda"]).file(&format!("sys/block/{name}/dm/name"), mapped);
        }
        sys.link("dev/disk/by-id/x", "../../sda1")
            .link("dev/absolute", "/dev/sda")
            .link("dev/dangling", "gone");
        sys.link("dev/itself", "itself").link("dev/outside", "../../../../etc/passwd");
        let (devices, volumes) = look_at(&place, vec![volume(backing, meta)]);
        for (found, wanted) in [(&volumes[0].data, data_wanted), (&volumes[0].meta, meta_wanted)] {
            match wanted {
                Ok(name) => assert_eq!(found, &Known::Is(name.into()), "{slaves:?} {backing:?} {meta:?}"),
                Err(reason) => assert!(why(found).contains(reason), "{found:?}, not {reason}"),
            }
            if let Known::Is(name) = found {
                assert!(devices.contains_key(name), "{name} was not looked at");
            }
        }
    }
}

#[test]
fn a_diskless_volume_stands_on_nothing() {
    let place = Place::new();
    Sysfs::new(place.path()).disk("drbd3", "write back", &[]).disk("sda", "write back", &[]);
    let diskless = Volume { disk: DiskState::Diskless, ..volume(Some("/dev/sda"), Some("/dev/sda")) };
    let (devices, volumes) = look_at(&place, vec![diskless]);
    assert_eq!(why(&volumes[0].data), "drbd3 is diskless");
    assert_eq!(why(&volumes[0].meta), "drbd3 is diskless");
    assert_eq!(below(&devices["drbd3"]), [] as [&str; 0]);
    assert_eq!(devices.len(), 1);
}

#[test]
fn a_drbd_on_a_drbd() {
    let place = Place::new();
    let sys = Sysfs::new(place.path());
    sys.disk("drbd3", "write back", &["drbd10"]).disk("drbd10", "write back", &[]).disk(
        "sda",
        "write back",
        &[],
    );
    let upper = volume(Some("/dev/drbd10"), Some("/dev/drbd10"));
    let lower = Volume { minor: 10, number: 1, ..volume(Some("/dev/sda"), Some("/dev/sda")) };
    let (devices, volumes) = look_at(&place, vec![upper, lower]);
    assert_eq!(volumes[1].data, Known::Is("sda".into()));
    assert_eq!(leaves(&devices).unwrap(), ["sda:back"]);
}

#[test]
fn what_sysfs_does_not_have() {
    let devices = stack_of(|sys| {
        sys.disk("drbd3", "write back", &["sda1"]);
    });
    let sda1 = &devices["sda1"];
    for reason in [why(&sda1.below), why(&sda1.write_cache), why(&sda1.cache_type)] {
        assert_eq!(reason, "/sys/block/sda1 does not exist");
    }
    assert!(leaves(&devices).is_err());
    // Not even DRBD's own device, in an empty directory.
    let devices = stack_of(|_| ());
    assert_eq!(why(&devices["drbd3"].write_cache), "/sys/block/drbd3 does not exist");
    assert_eq!(why(&devices["drbd3"].below), "no device of /sys/block is /dev/x");
}

#[test]
fn stacks_that_no_kernel_builds() {
    let cases: [(Build, &str, &str); 5] = [
        (
            |sys| {
                sys.disk("dm-0", "write back", &["dm-0"]);
            },
            "dm-0",
            "dm-0 stands on itself: dm-0",
        ),
        (
            |sys| {
                sys.disk("dm-0", "write back", &["dm-1"]).disk("dm-1", "write back", &["dm-0"]);
            },
            "dm-1",
            "dm-0 on dm-1 stands on itself: dm-0",
        ),
        (
            |sys| {
                sys.disk("dm-0", "write back", &["drbd3"]);
            },
            "dm-0",
            "drbd3 on dm-0 stands on itself: drbd3",
        ),
        (
            |sys| {
                sys.disk("dm-0", "write back", &["a\nb"]);
            },
            "dm-0",
            "\"a\\nb\" is no name of a device",
        ),
        (
            |sys| {
                sys.disk("dm-0", "write back", &["x".repeat(200).as_str()]);
            },
            "dm-0",
            "a name of 200 bytes is no name of a device",
        ),
    ];
    for (build, device, wanted) in cases {
        let devices = stack_of(|sys| {
            build(sys.disk("drbd3", "write back", &["dm-0"]));
        });
        assert_eq!(why(&devices[device].below), wanted);
        assert!(leaves(&devices).is_err());
    }
}

#[test]
fn names_that_are_no_names() {
    use std::os::unix::ffi::OsStrExt;
    for (bytes, wanted) in [(&b"a\nb"[..], "\"a\\nb\""), (b"gr\xfcn", "\"gr\u{fffd}n\"")] {
        let place = Place::new();
        Sysfs::new(place.path()).disk("drbd3", "write back", &[]);
        let name = std::ffi::OsStr::from_bytes(bytes);
        std::fs::write(place.path().join("sys/block/drbd3/slaves").join(name), "").unwrap();
        let (devices, volumes) = look_at(&place, vec![volume(None, None)]);
        let reason = format!("/sys/block/drbd3/slaves: {wanted} is no name of a device");
        assert_eq!(why(&volumes[0].data), reason);
        assert_eq!(why(&devices["drbd3"].below), reason);
    }
}

#[test]
fn too_high_and_too_many() {
    let started = Instant::now();
    let devices = stack_of(|sys| {
        sys.disk("drbd3", "write back", &["dm-0"]);
        for height in 0..100 {
            sys.disk(&format!("dm-{height}"), "write back", &[&format!("dm-{}", height + 1)]);
        }
    });
    assert_eq!(devices.len(), 64);
    assert_eq!(why(&devices["dm-62"].below), "64 and more are stacked above dm-63");
    let devices = stack_of(|sys| {
        let all: Vec<String> = (0..1100).map(|number| format!("vd{number}")).collect();
        sys.disk("drbd3", "write back", &all.iter().map(String::as_str).collect::<Vec<_>>());
    });
    assert_eq!(devices.len(), 1000);
    assert_eq!(why(&devices["drbd3"].below), "more than 1000 devices are below drbd3");
    // Every device on every later one: 2^60 ways down, each device read once.
    let devices = stack_of(|sys| {
        sys.disk("drbd3", "write back", &["dm-0"]);
        for number in 0..60 {
            let all: Vec<String> = (number + 1..=60).map(|number| format!("dm-{number}")).collect();
            let name = format!("dm-{number}");
            sys.disk(&name, "write back", &all.iter().map(String::as_str).collect::<Vec<_>>());
        }
        sys.disk("dm-60", "write back", &["vda"]).disk("vda", "write back", &[]);
    });
    assert_eq!(devices.len(), 63);
    assert_eq!(leaves(&devices).unwrap(), ["vda:back"]);
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}
