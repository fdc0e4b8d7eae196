//! The host as a whole: its name, its kernel, its hypervisor, DRBD's module.

use super::handler_entries;
use crate::facts::{Known, Node, ProgramKind};
use crate::host::Host;
use anyhow::{Context, Result, bail};

const MODULE: &str = "/sys/module/drbd";

/// Reads all of it.
pub fn node(host: &Host) -> Node {
    let text = |path: &str| Known::from(host.read_text(path));
    let helper = host.read_parameter(&format!("{MODULE}/parameters/usermode_helper"));
    Node {
        host: Known::from(host_name(host)),
        boot_id: text("/proc/sys/kernel/random/boot_id"),
        kernel: text("/proc/sys/kernel/osrelease"),
        xen: Known::from(xen_version(host)),
        drbd: Known::from(drbd_version(host)),
        disable_sendpage: Known::from(parameter(host, "disable_sendpage").and_then(|text| yes_or_no(&text))),
        usermode_helper_kind: match &helper {
            Ok(helper) => Known::from(helper_kind(host, helper)),
            Err(error) => Known::Unknown(format!("{error:#}")),
        },
        usermode_helper: Known::from(helper),
    }
}

/// Its name, which is also its name in drbd.conf.
pub fn host_name(host: &Host) -> Result<String> {
    host.read_text("/proc/sys/kernel/hostname")
}

/// A host that was not asked: a remove does not.
pub fn not_asked() -> Node {
    let unknown = || "it was not asked".to_string();
    Node {
        host: Known::Unknown(unknown()),
        boot_id: Known::Unknown(unknown()),
        kernel: Known::Unknown(unknown()),
        xen: Known::Unknown(unknown()),
        drbd: Known::Unknown(unknown()),
        disable_sendpage: Known::Unknown(unknown()),
        usermode_helper: Known::Unknown(unknown()),
        usermode_helper_kind: Known::Unknown(unknown()),
    }
}

/// The hypervisor's version, which is also that of its toolstack (xen.md 1.4).
pub fn xen_version(host: &Host) -> Result<(u32, u32)> {
    let number = |name: &str| -> Result<u32> {
        let path = format!("/sys/hypervisor/version/{name}");
        host.read_text(&path)?.parse().with_context(|| format!("{path} is not a number"))
    };
    Ok((number("major")?, number("minor")?))
}

/// `8.4.11`: from the module, or from the first line of /proc/drbd.
pub fn drbd_version(host: &Host) -> Result<String> {
    if let Some(version) = host.read_optional(&format!("{MODULE}/version"))? {
        return Ok(version);
    }
    let text = host.read_optional("/proc/drbd")?;
    let text = text.context("neither /sys/module/drbd/version nor /proc/drbd exists; run: modprobe drbd")?;
    match text.strip_prefix("version: ").and_then(|rest| rest.split_whitespace().next()) {
        Some(version) => Ok(version.to_string()),
        None => bail!("/proc/drbd does not begin with a version"),
    }
}

/// What the kernel would run: it looks for a path without a `/` in front from the root on, as its
/// threads stand there.
fn helper_kind(host: &Host, helper: &str) -> Result<ProgramKind> {
    let path = format!("/{}", helper.trim_start_matches('/'));
    Ok(handler_entries::program(host, &path)?.kind)
}

fn parameter(host: &Host, name: &str) -> Result<String> {
    host.read_text(&format!("{MODULE}/parameters/{name}"))
}

/// A kernel's bool (kernel/params.c, param_get_bool).
fn yes_or_no(text: &str) -> Result<bool> {
    match text {
        "Y" => Ok(true),
        "N" => Ok(false),
        other => bail!("{other:?} is neither Y nor N"),
    }
}
