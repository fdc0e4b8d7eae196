//! From a path under `/dev`, or a device number, to the kernel's name.

use super::identity::mapper_name;
use super::sysfs;
use crate::host::{Host, device};
use anyhow::{Context, Result, anyhow, bail};
use std::cell::OnceCell;
use std::collections::BTreeMap;

/// The tables are made when they are first asked for, and at most once.
pub struct Lookup<'a> {
    pub host: &'a Host,
    mapper: OnceCell<BTreeMap<String, String>>,
    numbers: OnceCell<BTreeMap<String, String>>,
}

impl<'a> Lookup<'a> {
    pub fn new(host: &'a Host) -> Self {
        Lookup { host, mapper: OnceCell::new(), numbers: OnceCell::new() }
    }

    /// The device that a configured path names: by the links and nodes of the root's own
    /// /dev, else by the name alone, as a copied directory may have no /dev.
    pub fn by_path(&self, path: &str) -> Result<String> {
        if !path.starts_with("/dev/") || path.len() > 4096 || path.contains(char::is_control) {
            bail!("{} is no path of a device", sysfs::shown(path));
        }
        let followed = self.host.follow(path)?;
        let by_node = device::number(self.host, &followed).and_then(|(major, minor)| {
            let number = format!("{major}:{minor}");
            self.by_number(&number).ok()
        });
        by_node.or_else(|| self.by_name(&followed)).with_context(|| {
            let led = if followed == path { String::new() } else { format!(", which leads to {followed},") };
            format!("no device of /sys/block is {path}{led}")
        })
    }

    /// The device with the number `major:minor`.
    pub fn by_number(&self, number: &str) -> Result<String> {
        let link = format!("/sys/dev/block/{number}");
        let target = self.host.read_link(&link)?;
        let linked = target.and_then(|target| target.rsplit('/').next().map(str::to_owned));
        let found = linked.or_else(|| self.numbers().get(number).cloned());
        let name =
            found.with_context(|| format!("neither {link} nor a dev file of /sys/block has {number}"))?;
        sysfs::check_name(&name).map_err(|why| anyhow!("{link}: {why}"))?;
        Ok(name)
    }

    /// `/dev/sda1`, `/dev/cciss/c0d0` (sysfs writes `!` for the slash), `/dev/mapper/X`, `/dev/VG/LV`.
    fn by_name(&self, path: &str) -> Option<String> {
        let name = path.strip_prefix("/dev/")?;
        let kernel = name.replace('/', "!");
        if sysfs::find(self.host, &kernel).is_some() {
            return Some(kernel);
        }
        let mapped = match name.split_once('/')? {
            ("mapper", mapped) => mapped.to_owned(),
            (group, volume) if !volume.contains('/') => mapper_name(group, volume),
            _ => return None,
        };
        self.mapper().get(&mapped).cloned()
    }

    /// Kernel names by device mapper name. A name that cannot be read names nothing.
    fn mapper(&self) -> &BTreeMap<String, String> {
        self.mapper.get_or_init(|| {
            let name = |device: String| {
                let path = format!("/sys/block/{device}/dm/name");
                Some((self.host.read_optional(&path).ok()??, device))
            };
            self.disks().filter(|disk| disk.starts_with("dm-")).filter_map(name).collect()
        })
    }

    /// Kernel names by number, from the `dev` files of disks and partitions: where a copied
    /// directory has no /sys/dev/block.
    fn numbers(&self) -> &BTreeMap<String, String> {
        self.numbers.get_or_init(|| {
            let mut numbers = BTreeMap::new();
            for disk in self.disks() {
                let dir = format!("/sys/block/{disk}");
                let inside = self.host.list(&dir).unwrap_or_default();
                let parts = inside.into_iter().filter(|part| part.starts_with(&disk));
                let parts = parts.map(|part| (format!("{dir}/{part}/dev"), part));
                for (path, name) in parts.chain([(format!("{dir}/dev"), disk.clone())]) {
                    let number = self.host.read_optional(&path).ok().flatten();
                    numbers.extend(number.map(|number| (number, name)));
                }
            }
            numbers
        })
    }

    fn disks(&self) -> impl Iterator<Item = String> {
        let all = self.host.list("/sys/block").unwrap_or_default();
        all.into_iter().filter(|name| sysfs::check_name(name).is_ok())
    }
}
