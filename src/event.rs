//! What happened: the word on the command line and the environment, checked.
//!
//! The only reader of the environment. Whatever leaves this module may be put
//! into a path or a message.

#![allow(clippy::disallowed_methods)]

pub mod drbd;

use crate::host::xenstore;
use anyhow::{Result, anyhow, bail};
use drbd::{DrbdEvent, EventName, Variables};
use serde::Serialize;
use std::env;

/// A disk of a guest comes or goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// blkback is about to open it.
    Add,
    /// blkback has let go of it, or is about to.
    Remove,
}

/// Who runs the hotplug script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// libxl, which reads the exit code.
    Libxl,
    /// udev through Xen's `block` (Xen 4.0 and 4.1), whose error trap overwrites
    /// our `hotplug-error` when we exit with anything but 0.
    Udev,
}

/// One virtual block device, by its place in the backend's xenstore directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VbdPath {
    /// The node as it was given: relative, or below `/local/domain/0`.
    pub path: String,
    /// The guest.
    pub domid: u32,
    /// The device within the guest, such as 51712 for xvda.
    pub devid: u32,
}

/// A call of the hotplug script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hotplug {
    /// What happens.
    pub action: Action,
    /// To which device.
    pub vbd: VbdPath,
    /// On whose call.
    pub caller: Caller,
}

impl Hotplug {
    /// The call that this process was started for.
    pub fn from_environment(action: Action) -> Result<Hotplug> {
        let path = env::var_os("XENBUS_PATH").ok_or_else(|| {
            anyhow!("XENBUS_PATH is not set; Xen calls {action} with it, to try a resource by hand run: block-drbd check RESOURCE")
        })?;
        let path = path.into_string().map_err(|path| anyhow!("XENBUS_PATH is not text: {path:?}"))?;
        Ok(Hotplug { action, vbd: VbdPath::parse(&path)?, caller: caller() })
    }
}

impl DrbdEvent {
    /// The call of a handler that this process was started for.
    pub fn from_environment(name: EventName) -> Result<DrbdEvent> {
        DrbdEvent::read(name, drbd_variables()?)
    }
}

/// What DRBD and drbdadm have set, and nothing else.
pub fn drbd_variables() -> Result<Variables> {
    let is_drbds = |name: &str| {
        let plain =
            name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
        plain && (name.starts_with("DRBD_") || name == "UP_TO_DATE_NODES")
    };
    let all = env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    let text = |(name, value): (String, std::ffi::OsString)| match value.into_string() {
        Ok(value) => Ok((name, value)),
        Err(value) => Err(anyhow!("{name} is not text: {value:?}")),
    };
    all.filter(|(name, _)| is_drbds(name)).map(text).collect()
}

/// libxl names the script in the environment; a udev event names its subsystem and does not (xen.md 1.1).
fn caller() -> Caller {
    let udev = env::var_os("SUBSYSTEM").is_some_and(|value| value == "xen-backend");
    if udev && env::var_os("script").is_none() { Caller::Udev } else { Caller::Libxl }
}

/// Where the environment says that xenstore is (libxenstore reads the same two).
pub fn xenstore_named() -> xenstore::Named {
    xenstore::Named {
        path: env::var_os("XENSTORED_PATH").map(Into::into),
        rundir: env::var_os("XENSTORED_RUNDIR").map(Into::into),
    }
}

impl VbdPath {
    /// Reads `backend/vbd/D/V`, relative or below `/local/domain/0`.
    pub fn parse(path: &str) -> Result<VbdPath> {
        let relative = match path.strip_prefix("/local/domain/") {
            None => path,
            Some(rest) => match rest.split_once('/') {
                Some(("0", relative)) => relative,
                Some((domain, _)) if number(domain).is_some() => bail!(
                    "XENBUS_PATH {path:?} belongs to domain {domain}: driver domains are not supported, remove backend= from the disk line"
                ),
                _ => bail!("XENBUS_PATH {path:?} is not backend/vbd/DOMAIN/DEVICE"),
            },
        };
        let parts: Vec<&str> = relative.split('/').collect();
        let (domid, devid) = match parts[..] {
            ["backend", "vbd", domid, devid] => (number(domid), number(devid)),
            _ => (None, None),
        };
        match (domid, devid) {
            (Some(domid), Some(devid)) if domid <= 32_767 => Ok(VbdPath { path: path.into(), domid, devid }),
            _ => bail!("XENBUS_PATH {path:?} is not backend/vbd/DOMAIN/DEVICE"),
        }
    }

    /// The node `name` below the backend directory.
    pub fn node(&self, name: &str) -> String {
        format!("{}/{name}", self.path)
    }
}

fn number(text: &str) -> Option<u32> {
    let plain = !text.is_empty() && text.len() <= 10 && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| plain)
}

impl std::fmt::Display for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Action::Add => "add",
            Action::Remove => "remove",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backend_paths() {
        for path in ["backend/vbd/1/51712", "/local/domain/0/backend/vbd/1/51712"] {
            let vbd = VbdPath::parse(path).unwrap();
            assert_eq!((vbd.domid, vbd.devid), (1, 51712), "{path}");
        }
        for path in [
            "",
            "backend/vbd/1",
            "backend/vbd/1/51712/",
            "backend/vbd/1/51712/state",
            "backend/vbd/-1/51712",
            "backend/vbd/+1/51712",
            "backend/vbd/1/99999999999",
            "backend/vbd/99999/51712",
            "backend/vif/1/0",
            "../backend/vbd/1/51712",
            "/local/domain/x/backend/vbd/1/51712",
            "/backend/vbd/1/51712",
        ] {
            let error = VbdPath::parse(path).unwrap_err().to_string();
            assert!(error.contains("is not backend/vbd/DOMAIN/DEVICE"), "{path}: {error}");
        }
        let other = VbdPath::parse("/local/domain/7/backend/vbd/1/51712").unwrap_err().to_string();
        assert!(other.contains("driver domains are not supported"), "{other}");
    }
}
