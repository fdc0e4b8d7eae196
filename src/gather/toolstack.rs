//! What Xen's toolstack of this host will do with a disk line: which script is
//! installed, and whether it is called.

use super::domu;
use crate::facts::Known;
use crate::guest::DrbdVolume;
use crate::guest::{GuestConfig, GuestFacts, SCRIPT, Script, SharedWith};
use crate::host::Host;
use crate::host::lock::Protocol;
use anyhow::{Context, Result, bail};
use std::sync::Arc;

/// Where Xen looks for scripts that are named without a path.
const SCRIPTS: &str = "/etc/xen/scripts";

/// Everything about a configuration that the rules look at.
pub fn guest(
    host: &Host,
    config: GuestConfig,
    volumes: Known<Arc<[DrbdVolume]>>,
    others: Vec<SharedWith>,
    same_uuid: Vec<String>,
) -> GuestFacts {
    GuestFacts {
        config,
        xen: Known::from(super::node::xen_version(host)),
        script: Known::from(script(host)),
        run_hotplug_scripts: Known::from(run_hotplug_scripts(host)),
        volumes,
        others,
        same_uuid,
    }
}

/// Whether what called this process is `xl migrate-receive`: libxl starts the script from the
/// process that receives the guest (libxl_exec.c, libxl__exec after fork).
pub fn receives_migration(host: &Host) -> Result<bool> {
    let caller = host.caller()?;
    Ok(caller.split('\0').any(|argument| argument == "migrate-receive"))
}

/// The paths of the configurations that Xen starts by itself or that an administrator keeps with it.
pub fn configurations(host: &Host) -> Result<Vec<String>> {
    let mut paths = Vec::new();
    for directory in ["/etc/xen", "/etc/xen/auto"] {
        let names = host.list(directory)?;
        // auto/ holds links to configurations, and nothing else (xendomains).
        let wanted = |name: &&String| directory.ends_with("auto") || name.ends_with(".cfg");
        paths.extend(names.iter().filter(wanted).map(|name| format!("{directory}/{name}")));
    }
    Ok(paths)
}

/// How Xen's scripts take their lock: from Xen 4.2 on with a file (locking.sh). Where the version
/// is not known, as they most often do.
pub fn lock_protocol(host: &Host) -> Protocol {
    match super::node::xen_version(host) {
        Ok(version) if version < (4, 2) => Protocol::Directory,
        _ => Protocol::File,
    }
}

fn script(host: &Host) -> Result<Script> {
    let path = format!("{SCRIPTS}/{SCRIPT}");
    match host.program(&path)? {
        Some(program) if program.first_bytes.starts_with(b"#!") => Ok(Script::Shell),
        Some(program) if !program.executable => Ok(Script::NotExecutable),
        Some(_) => Ok(Script::Program),
        None if host.is_whole(SCRIPTS) => Ok(Script::Missing),
        None => bail!("{SCRIPTS} is not in the directory that stands for the machine"),
    }
}

fn run_hotplug_scripts(host: &Host) -> Result<Option<bool>> {
    match host.read_optional(domu::XL_CONF)? {
        Some(text) => domu::run_hotplug_scripts(&text).context(domu::XL_CONF),
        None if host.is_whole("/etc/xen") => Ok(None),
        None => bail!("/etc/xen is not in the directory that stands for the machine"),
    }
}
