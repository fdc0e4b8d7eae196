//! Who has a DRBD device open in this domain: programs, loop devices, qemu of a guest, an export.
//!
//! Only names for a message: the kernel may have it open for others. Whether anybody has it open
//! knows DRBD alone, which refuses then to make it Secondary (drbd_nl.c, drbd_set_role: open_cnt).

use super::lower_users::QDISKS;
use super::sharing::numbers;
use super::vbd;
use crate::host::{Host, device};
use anyhow::Result;

/// Where the kernel's own iSCSI target (LIO) keeps the devices that it exports.
const EXPORTS: &str = "/sys/kernel/config/target/core";

/// A DRBD device, as programs see it.
struct Device<'a> {
    host: &'a Host,
    number: (u64, u64),
    name: String,
}

/// Everybody who is known to have the device open, each in words.
pub fn look(host: &Host, major: u32, minor: u32) -> Result<Vec<String>> {
    let number = (u64::from(major), u64::from(minor));
    let device = Device { host, number, name: format!("/dev/drbd{minor}") };
    let mut openers = device.processes()?;
    openers.extend(device.loops()?);
    openers.extend(device.exports()?);
    openers.extend(device.qdisks().unwrap_or_default());
    Ok(openers)
}

impl Device<'_> {
    fn processes(&self) -> Result<Vec<String>> {
        let processes = self.host.list("/proc")?;
        let processes = processes.iter().filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
        let named = |pid: &String| {
            let name = self.host.read_text(&format!("/proc/{pid}/comm")).unwrap_or("process".into());
            format!("{name} (pid {pid})")
        };
        Ok(processes.filter(|pid| self.is_open_by(pid)).map(named).collect())
    }

    /// A process may end while it is looked at: then it has nothing open.
    fn is_open_by(&self, pid: &str) -> bool {
        let directory = format!("/proc/{pid}/fd");
        let open = self.host.list(&directory).unwrap_or_default();
        open.iter().any(|fd| {
            let link = format!("{directory}/{fd}");
            // Not every link is followed: a file of a network that is down would never answer.
            let path = self.host.read_link(&link).ok().flatten().unwrap_or_default();
            path.contains("/dev/") && device::led_to(self.host, &link) == Some(self.number)
        })
    }

    fn loops(&self) -> Result<Vec<String>> {
        let loops = self.host.list("/sys/block")?.into_iter().filter(|name| name.starts_with("loop"));
        let file = |name: &String| self.host.read_optional(&format!("/sys/block/{name}/loop/backing_file"));
        let on_it = |name: &String| file(name).ok().flatten().is_some_and(|path| self.is_at(&path));
        Ok(loops.filter(on_it).map(|name| format!("the loop device {name}")).collect())
    }

    fn exports(&self) -> Result<Vec<String>> {
        let mut exports = Vec::new();
        for adapter in self.host.list(EXPORTS)? {
            for name in self.host.list(&format!("{EXPORTS}/{adapter}")).unwrap_or_default() {
                let path = self.host.read_optional(&format!("{EXPORTS}/{adapter}/{name}/udev_path"));
                if path.ok().flatten().is_some_and(|path| self.is_at(&path)) {
                    exports.push(format!("the iSCSI export {name}"));
                }
            }
        }
        Ok(exports)
    }

    /// `params` is `FORMAT:PATH` there (libxl_device.c, libxl__device_disk_string_of_format).
    fn qdisks(&self) -> Result<Vec<String>> {
        let xenstore = self.host.xenstore()?;
        let mut disks = Vec::new();
        for domid in numbers(xenstore.directory(QDISKS)?) {
            for devid in numbers(xenstore.directory(&format!("{QDISKS}/{domid}"))?) {
                let params = vbd::text(xenstore, &format!("{QDISKS}/{domid}/{devid}/params"))?;
                let path = params.as_deref().and_then(|params| params.split_once(':')).map(|(_, path)| path);
                if path.is_some_and(|path| self.is_at(path)) {
                    disks.push(format!("qemu, as a disk of domain {domid}"));
                }
            }
        }
        Ok(disks)
    }

    /// Whether the device stands at `path`.
    fn is_at(&self, path: &str) -> bool {
        let followed = self.host.follow(path).unwrap_or_default();
        path == self.name
            || followed == self.name
            || device::number(self.host, &followed) == Some(self.number)
    }
}
