//! What this program has recorded of its promotions.

use crate::facts::Claim;
use crate::host::Host;
use crate::target::Target;
use anyhow::{Context, Result, ensure};

/// The directory of the records.
const DIRECTORY: &str = "/run/block-drbd/claims";

/// The record of one resource, if there is one.
pub fn read(host: &Host, resource: &str) -> Result<Option<Claim>> {
    let path = Claim::path(resource);
    let Some(text) = host.read_optional(&path)? else { return Ok(None) };
    let claim: Claim = serde_json::from_str(&text)
        .with_context(|| format!("{path} cannot be understood; if no guest uses {resource}, remove it"))?;
    ensure!(claim.version == 1, "{path} is of version {}, this program knows version 1", claim.version);
    ensure!(claim.resource == resource, "{path} is a record of {:?}", claim.resource);
    Ok(Some(claim))
}

/// Every record that can be read, and what is wrong with the others.
pub fn all(host: &Host) -> Result<Vec<Result<Claim>>> {
    let names = host.list(DIRECTORY)?;
    let resources = names.iter().filter_map(|name| name.strip_suffix(".json"));
    Ok(resources
        .filter(|name| Target::parse(name.as_bytes()).is_ok())
        .filter_map(|name| read(host, name).transpose())
        .collect())
}

/// The record in which this device of this guest has a volume; that of the
/// resource `hint` is looked at first.
pub fn of_device(host: &Host, domid: u32, devid: u32, hint: Option<&str>) -> Result<Option<Claim>> {
    let uses = |claim: &Claim| claim.users.iter().any(|user| (user.domid, user.devid) == (domid, devid));
    let hinted = hint.and_then(|resource| read(host, resource).ok().flatten()).filter(uses);
    match hinted {
        Some(claim) => Ok(Some(claim)),
        None => Ok(all(host)?.into_iter().flatten().find(uses)),
    }
}
