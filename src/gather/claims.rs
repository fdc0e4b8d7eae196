//! What this program has recorded of its promotions.

use super::records::{self, Dated};
use crate::facts::Claim;
use crate::host::Host;
use crate::host::own::Unusable;

/// The directory of the records.
const DIRECTORY: &str = "/run/block-drbd/claims";

/// The record of one resource, if there is one.
pub fn read(host: &Host, resource: &str) -> Result<Option<Claim>, Unusable> {
    Ok(dated(host, resource)?.map(|dated| dated.record))
}

/// The same, with the time since which it says so.
pub fn dated(host: &Host, resource: &str) -> Result<Option<Dated<Claim>>, Unusable> {
    let path = Claim::path(resource);
    let remedy = format!(
        "see with xl list that no guest of this host uses {resource}, then run: rm {path} && block-drbd release {resource}"
    );
    records::of_resource(host, &path, &remedy, resource, |claim: &Claim| &claim.resource)
}

/// The resources that have a record, whether it can be believed or not.
pub fn resources(host: &Host) -> Result<Vec<String>, Unusable> {
    records::resources(host, DIRECTORY)
}

/// The record in which this device of this guest has a volume; that of the resource `hint` is
/// looked at first. One that cannot be believed is passed over: whoever acts on a resource reads
/// its record again, and does nothing when it cannot.
pub fn of_device(host: &Host, domid: u32, devid: u32, hint: Option<&str>) -> Result<Option<Claim>, Unusable> {
    let of = |resource: &str| read(host, resource).ok().flatten().filter(|claim| claim.has(domid, devid));
    match hint.and_then(of) {
        Some(claim) => Ok(Some(claim)),
        None => Ok(resources(host)?.iter().find_map(|resource| of(resource))),
    }
}
