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
    Ok(is_migrate_receive(&host.caller()?))
}

/// Whether this command line, its words ended by zeros, is xl with the command `migrate-receive`. Before its
/// command xl takes options without a value only (xl.c, main).
fn is_migrate_receive(command_line: &str) -> bool {
    let mut words = command_line.split('\0');
    let is_xl = words.next().is_some_and(|program| program.rsplit('/').next() == Some("xl"));
    is_xl && words.find(|word| !word.starts_with('-')) == Some("migrate-receive")
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

#[cfg(test)]
mod tests {
    use super::is_migrate_receive;

    #[test]
    fn only_the_command_of_xl_tells_that_it_receives() {
        for (command_line, receives) in [
            ("xl\0migrate-receive\0", true),
            ("/usr/lib/xen-4.17/bin/xl\0-vv\0-t\0migrate-receive\0-p\0", true),
            ("xl\0create\0migrate-receive\0", false),
            ("xl\0create\0x.cfg\0name=\"a\"\0migrate-receive\0", false),
            ("xl\0-v\0restore\0migrate-receive\0", false),
            ("sh\0migrate-receive\0", false),
            ("/tmp/xl/sh\0migrate-receive\0", false),
            ("notxl\0migrate-receive\0", false),
            ("migrate-receive\0", false),
            ("xl\0", false),
            ("", false),
        ] {
            assert_eq!(is_migrate_receive(command_line), receives, "{command_line:?}");
        }
    }
}
