//! DRBD's own word about its resources: from its kernel module by generic netlink,
//! or out of files where that cannot be had.
//!
//! What differs between the generations is in their files; nothing here knows
//! an attribute. It decides nothing and repeats nothing: one call, one request.

pub mod codes;
pub mod conf;
pub mod data_gen_id;
pub mod drbdsetup;
pub mod files;
mod message;
pub mod proc;
mod state84;
pub mod v84;

use crate::facts::{Known, Resource, Role};
use crate::host::Host;
use crate::host::genl::{self, Error, Family, Genl};
use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use std::fmt;

/// The family that every generation registers.
const FAMILY: &str = "drbd";

/// Why an option of a connection is unknown on 8.x.
const NO_NETWORK: &str = "drbd has no network configuration for it";

/// What another module fills in, where it is wanted.
fn not_looked_for<T>() -> Known<T> {
    Known::Unknown("it was not looked for".into())
}
/// Why what stands with a disk is unknown where there is none.
const NO_DISK: &str = "no disk is attached";

/// What resources are read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To change something: the module is to be asked wherever it can be.
    Act,
    /// To show: what files tell is better than nothing.
    Look,
}

/// Whose messages the module speaks: told by its family's version, never by the kernel's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generation {
    /// 8.4, which is also the module in the kernel's own tree.
    V84(Family),
}

/// What the module answered to a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It is done.
    Done,
    /// It was so already.
    NothingToDo,
    /// It was refused. Read the state back: part of it may have happened.
    Refused {
        /// DRBD's number; [`codes::retry`] tells whether to ask again.
        code: i32,
        /// The number in words.
        text: String,
        /// What the module added (CFG_REPLY info_text), often nothing.
        info: Vec<String>,
    },
}

/// Why the module does not tell of its resources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Silent {
    /// There is no netlink family, and this is why.
    NoFamily(String),
    /// It permits this to root only.
    NotPermitted,
}

impl fmt::Display for Silent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Silent::NoFamily(why) => f.write_str(why),
            Silent::NotPermitted => f.write_str("drbd permits this to root only (CAP_NET_ADMIN)"),
        }
    }
}

impl std::error::Error for Silent {}

/// The resources as they are now: all, or the one named `only`. Where the module cannot
/// be asked, and `purpose` allows it, out of files.
pub fn read(host: &Host, only: Option<&str>, purpose: Purpose) -> Result<Vec<Resource>> {
    let genl = host.genl();
    let asked = detect(&genl, || host.read_optional("/proc/drbd"));
    let asked = asked.and_then(|generation| resources(&genl, generation, only));
    match asked {
        Err(error) if files_serve(host, &error, purpose)? => {
            files::resources(host, only).with_context(|| format!("{error:#}; files in its place"))
        }
        asked => asked,
    }
}

/// Whether files do in place of the module, which failed with `error`: for everything
/// where it has no netlink at all, to look also where this process cannot use it.
fn files_serve(host: &Host, error: &anyhow::Error, purpose: Purpose) -> Result<bool> {
    let no_family = matches!(error.downcast_ref(), Some(Silent::NoFamily(_)));
    let not_for_us = matches!(error.downcast_ref(), Some(Silent::NotPermitted))
        || matches!(error.downcast_ref(), Some(genl::Error::Unreachable(..)));
    if !(no_family || not_for_us && purpose == Purpose::Look) {
        return Ok(false);
    }
    let Some(proc_drbd) = host.read_optional("/proc/drbd")? else { return Ok(host.exists(files::STATUS)) };
    let is_83 = proc::version(&proc_drbd).is_some_and(proc::Version::is_83);
    Ok(is_83 || purpose == Purpose::Look || host.exists(files::STATUS))
}

/// Finds out which DRBD answers. `proc_drbd` reads `/proc/drbd`, if there is
/// one: it tells why there is no family.
pub fn detect(genl: &Genl, proc_drbd: impl FnOnce() -> Result<Option<String>>) -> Result<Generation> {
    match genl.family(FAMILY) {
        Ok(family @ Family { version: 1, .. }) => Ok(Generation::V84(family)),
        Ok(Family { version: 2, .. }) => bail!("this is DRBD 9, which is not served yet"),
        Ok(Family { version, .. }) => {
            bail!("drbd speaks version {version} of its netlink interface, known is 1")
        }
        Err(Error::NoFamily(_)) => Err(Silent::NoFamily(why_absent(proc_drbd()?.as_deref())).into()),
        Err(error) => Err(error).context("cannot find out which DRBD there is"),
    }
}

fn why_absent(proc_drbd: Option<&str>) -> String {
    let Some(text) = proc_drbd else {
        return "the drbd module is not loaded: run modprobe drbd".into();
    };
    let version = text.strip_prefix("version: ").and_then(|rest| rest.split_whitespace().next());
    match version {
        Some(version) if version.starts_with("8.3.") => {
            format!("DRBD {version} has no generic netlink: it is not served, upgrade to 8.4 or newer")
        }
        Some(version) => format!("DRBD {version} is loaded and has no generic netlink family"),
        None => {
            "/proc/drbd is there and names no version, and there is no generic netlink family drbd".into()
        }
    }
}

/// The resources as they are now: all, or the one named `only`, or none if there is no such.
pub fn resources(genl: &Genl, generation: Generation, only: Option<&str>) -> Result<Vec<Resource>> {
    match generation {
        Generation::V84(family) => v84::resources(genl, family, only),
    }
}

/// Asks once for `role` on the volume with `minor` of the resource `name`.
///
/// This can block in the kernel for ever, past any deadline, until a signal
/// comes (captures, surprise 2): call it in a child. The name guards less than
/// it seems to, see v84.rs; read the state back.
pub fn set_role(
    genl: &mut Genl,
    generation: Generation,
    minor: u32,
    name: &str,
    role: &Role,
) -> Result<Answer> {
    match generation {
        Generation::V84(family) => v84::set_role(genl, family, minor, name, role),
    }
}

/// Asks once to let two nodes have the resource Primary, or not; a connected peer adopts it.
pub fn allow_two_primaries(
    genl: &mut Genl,
    generation: Generation,
    name: &str,
    allowed: bool,
) -> Result<Answer> {
    match generation {
        Generation::V84(family) => v84::allow_two_primaries(genl, family, name, allowed),
    }
}

/// Puts words to a refusal that every generation can give.
fn explain(error: Error) -> anyhow::Error {
    match error {
        Error::Refused(Errno::EPERM | Errno::EACCES) => Silent::NotPermitted.into(),
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::why_absent;

    #[test]
    fn a_missing_family_is_explained() {
        assert_eq!(why_absent(None), "the drbd module is not loaded: run modprobe drbd");
        let old = "version: 8.3.11 (api:88/proto:86-96)\nsrcversion: 1\n";
        assert!(why_absent(Some(old)).starts_with("DRBD 8.3.11 has no generic netlink: "));
        let new = "version: 8.4.11 (api:1/proto:86-101)\n";
        assert_eq!(why_absent(Some(new)), "DRBD 8.4.11 is loaded and has no generic netlink family");
        assert!(why_absent(Some("")).contains("names no version"));
    }
}
