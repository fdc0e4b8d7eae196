//! The file of a loop device: which device it lies on, and whether an fsync of it
//! flushes that device.
//!
//! A flush of a loop device is an fsync of its file (drivers/block/loop.c,
//! lo_req_flush), so the file system decides what becomes of it.

use super::lookup::Lookup;
use super::sysfs::shown;
use crate::facts::Known;
use crate::facts::storage::BackingFile;
use anyhow::{Context, Result, anyhow, bail};
use std::cell::OnceCell;

const MOUNTINFO: &str = "/proc/self/mountinfo";

/// A page: sysfs shows no more of a path.
const LONGEST_PATH: usize = 4096;

/// File systems whose fsync flushes the disk unless a mount option forbids it. ext3 had it
/// off by default for long, and says which with `barrier=` in every case (fs/ext3/super.c,
/// ext3_show_options).
const FLUSHING: [&str; 7] = ["ext3", "ext4", "xfs", "btrfs", "f2fs", "gfs2", "ocfs2"];

/// Mount options that take the flush out of fsync; the last is f2fs's.
const NOT_FLUSHING: [&str; 3] = ["nobarrier", "barrier=0", "fsync_mode=nobarrier"];

/// File systems that may lie on several devices and have the number of only one of them.
const SEVERAL_DEVICES: [&str; 2] = ["f2fs", "bcachefs"];

/// Mount options of XFS that put a part of it on another device.
const OTHER_DEVICE: [&str; 2] = ["logdev=", "rtdev="];

/// The files of the loop devices of one host.
pub struct Files<'a> {
    lookup: &'a Lookup<'a>,
    mounts: OnceCell<Result<Vec<Mount>, String>>,
}

impl<'a> Files<'a> {
    pub fn new(lookup: &'a Lookup<'a>) -> Self {
        Files { lookup, mounts: OnceCell::new() }
    }

    /// The file of the loop device whose directory is `dir`, and the device that the file lies on.
    pub fn of_loop(&self, dir: &str) -> (Option<BackingFile>, Known<Vec<String>>) {
        let name = format!("{dir}/loop/backing_file");
        let path = match self.lookup.host.read_text(&name) {
            Ok(path) if path.starts_with('/') && path.len() < LONGEST_PATH => path,
            Ok(path) => return (None, Known::Unknown(format!("{name} is {}, no path", shown(&path)))),
            Err(error) => return (None, Known::Unknown(format!("{error:#}"))),
        };
        let mount = self.mount_of(&path);
        let flushes = mount.as_ref().map_err(|error| anyhow!("{error:#}")).and_then(|mount| mount.flushes());
        let below = mount.and_then(|mount| self.device_of(mount)).map(|name| vec![name]);
        (Some(BackingFile { path, flushes: flushes.into() }), below.into())
    }

    fn mount_of(&self, path: &str) -> Result<&Mount> {
        let mounts = self.mounts.get_or_init(|| {
            let text = self.lookup.host.read_text(MOUNTINFO).map_err(|error| format!("{error:#}"))?;
            parse(&text).map_err(|error| format!("{error:#}"))
        });
        let mounts = mounts.as_ref().map_err(|why| anyhow!("{why}"))?;
        let above = mounts.iter().filter(|mount| is_inside(path, &mount.point));
        // Of two at one place, the later one covers the earlier.
        let mount = above.max_by_key(|mount| mount.point.len());
        mount.with_context(|| format!("{MOUNTINFO} has no mount with the file of the loop device"))
    }

    fn device_of(&self, mount: &Mount) -> Result<String> {
        let Mount { point, kind, number, .. } = mount;
        // Major 0 is a number that stands for no device (Documentation/admin-guide/devices.txt).
        if number.starts_with("0:") || SEVERAL_DEVICES.contains(&kind.as_str()) {
            bail!("{point} is {kind}, which {MOUNTINFO} does not show to lie on one block device");
        }
        let elsewhere = |option: &&String| OTHER_DEVICE.iter().any(|prefix| option.starts_with(prefix));
        if let Some(option) = mount.options.iter().find(elsewhere) {
            bail!("{point} has a part on another device: {option}");
        }
        self.lookup.by_number(number)
    }
}

/// Whether `path` is the directory `point` or inside it.
fn is_inside(path: &str, point: &str) -> bool {
    path.strip_prefix(point.trim_end_matches('/'))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A line of mountinfo.
#[derive(Debug, PartialEq, Eq)]
struct Mount {
    /// `major:minor`
    number: String,
    /// The mount point.
    point: String,
    /// The type of file system.
    kind: String,
    /// The options of the mount and those of the file system.
    options: Vec<String>,
}

impl Mount {
    /// Whether an fsync flushes the disk.
    fn flushes(&self) -> Result<bool> {
        if self.options.iter().any(|option| NOT_FLUSHING.contains(&option.as_str())) {
            return Ok(false);
        }
        if !FLUSHING.contains(&self.kind.as_str()) {
            bail!(
                "{} is {}, of which it is not known whether an fsync flushes the disk",
                self.point,
                self.kind
            );
        }
        Ok(true)
    }
}

/// The mounts of mountinfo (proc_pid_mountinfo(5)): `36 35 98:0 /root /point rw,noatime
/// master:1 - ext4 /dev/source rw,errors=continue`, with any number of fields before the `-`.
fn parse(text: &str) -> Result<Vec<Mount>> {
    let lines = text.lines().enumerate();
    lines
        .map(|(line, text)| mount(text).with_context(|| format!("{MOUNTINFO}:{}: no mount", line + 1)))
        .collect()
}

fn mount(line: &str) -> Option<Mount> {
    let (left, right) = line.split_once(" - ")?;
    let mut left = left.split(' ').skip(2);
    let (number, _root, point, options) = (left.next()?, left.next()?, left.next()?, left.next()?);
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|digit| digit.is_ascii_digit());
    number.split_once(':').filter(|(major, minor)| is_number(major) && is_number(minor))?;
    let mut right = right.split(' ');
    let (kind, _source, of_kind) = (right.next()?, right.next()?, right.next().unwrap_or(""));
    Some(Mount {
        number: number.to_owned(),
        point: unescape(point),
        kind: kind.to_owned(),
        options: options.split(',').chain(of_kind.split(',')).map(str::to_owned).collect(),
    })
}

/// `\040` is a space: the kernel writes space, tab, line end and backslash in three octal digits.
fn unescape(text: &str) -> String {
    let mut parts = text.split('\\');
    let mut plain = parts.next().unwrap_or("").to_owned();
    for part in parts {
        let code = part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match code.filter(u8::is_ascii) {
            Some(code) => plain.extend([char::from(code).to_string().as_str(), &part[3..]]),
            None => plain.extend(["\\", part]),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(kind: &str, options: &str, of_kind: &str) -> Mount {
        let text = format!("36 35 8:1 / /srv {options} shared:1 master:2 - {kind} /dev/sda1 {of_kind}");
        parse(&text).unwrap().remove(0)
    }

    #[test]
    fn lines() {
        let text = "25 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
                    26 25 0:30 /sub /my\\040disks\\134x rw,noatime shared:3 - btrfs /dev/sda2 rw,space_cache";
        let mounts = parse(text).unwrap();
        assert_eq!(mounts[1].point, "/my disks\\x");
        assert_eq!(mounts[1].number, "0:30");
        assert_eq!(mounts[1].options, ["rw", "noatime", "rw", "space_cache"]);
        for bad in [
            "25 1 8:1 / /",
            "a\nb",
            "25 1 8:1 / / rw ext4 /dev/sda1 rw",
            "25 1 - ext4 x y",
            "25 1 8:../1 / / rw - ext4 x y",
        ] {
            let error = parse(bad).unwrap_err();
            assert_eq!(error.to_string(), "/proc/self/mountinfo:1: no mount", "{bad}");
        }
    }

    #[test]
    fn flushing() {
        for (kind, options, of_kind, wanted) in [
            ("ext4", "rw", "rw,data=ordered", Some(true)),
            ("ext4", "rw", "rw,nobarrier", Some(false)),
            ("ext4", "rw", "rw,barrier=0,data=ordered", Some(false)),
            ("ext4", "rw", "rw,barrier=1", Some(true)),
            ("xfs", "rw,nobarrier", "rw", Some(false)),
            ("xfs", "rw", "rw", Some(true)),
            ("f2fs", "rw", "rw,fsync_mode=nobarrier", Some(false)),
            ("ext3", "rw", "rw,barrier=0", Some(false)),
            ("tmpfs", "rw", "rw", None),
            ("nfs4", "rw", "rw,vers=4.2", None),
            ("newfs", "rw", "rw", None),
        ] {
            assert_eq!(one(kind, options, of_kind).flushes().ok(), wanted, "{kind} {options} {of_kind}");
        }
    }

    #[test]
    fn inside() {
        for (path, point, wanted) in [
            ("/srv/vm.img", "/", true),
            ("/srv/vm.img", "/srv", true),
            ("/srv", "/srv", true),
            ("/srv2/vm.img", "/srv", false),
            ("vm.img", "/srv", false),
            ("vm.img", "/", false),
        ] {
            assert_eq!(is_inside(path, point), wanted, "{path} {point}");
        }
    }

    #[test]
    fn escapes() {
        for (text, wanted) in [
            ("a\\040b", "a b"),
            ("\\134", "\\"),
            ("\\04", "\\04"),
            ("\\999", "\\999"),
            ("x\\", "x\\"),
            ("\\ä", "\\ä"),
        ] {
            assert_eq!(unescape(text), wanted);
        }
    }
}
