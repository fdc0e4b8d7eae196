//! Everything that `block-drbd status` looks at. Where something cannot be had, the rest is.

use super::drbd::Purpose;
use super::{Around, claims, lone, node, probes, quarantine, usage, vbd, windows};
use crate::facts::{
    Claim, HostStatus, Incoming, Known, Record, Resource, ResourceStatus, Role, User, Volume, VolumeStatus,
};
use crate::host::Host;
use crate::host::own::Unusable;
use anyhow::{Context, Result};
use std::collections::BTreeSet;

/// Where this program's records are.
const RECORDS: &str = "/run/block-drbd";

/// Looks at this host. The error is that DRBD cannot be asked, without which there is nothing to show.
pub fn look(host: &Host) -> Result<HostStatus> {
    let resources = super::resources(host, None, Purpose::Look);
    let mut resources = resources.context("asking DRBD for its resources")?;
    super::name_peers(host, &mut resources);
    let around = Around::look(host);
    let recorded = [claims::resources(host), windows::resources(host), quarantine::resources(host)];
    let not_up = |name: &&String| !resources.iter().any(|resource| resource.name == **name);
    let gone: BTreeSet<String> = recorded.iter().flatten().flatten().filter(not_up).cloned().collect();
    let up = resources.into_iter().map(|resource| (resource.name.clone(), Some(resource)));
    let all = up.chain(gone.into_iter().map(|name| (name, None)));
    Ok(HostStatus {
        host: Known::from(node::host_name(host)),
        at: host.now(),
        xen: Known::from(node::xen_version(host)),
        resources: all.map(|(name, resource)| of_resource(host, &around, name, resource)).collect(),
        listed: recorded.map(|recorded| record(recorded.map(|_| Some(())))),
    })
}

fn of_resource(host: &Host, around: &Around, name: String, resource: Option<Resource>) -> ResourceStatus {
    let known = Known::Is(resource.clone());
    let users = Known::from(vbd::users(host, None, &known, &around.major, &around.vbds));
    let dated = claims::dated(host, &name);
    let claimed = dated.as_ref().ok().and_then(Option::as_ref).map(|dated| dated.written);
    let claim: Record<Claim> = match host.is_whole(RECORDS) {
        true => record(dated.map(|dated| dated.map(|dated| dated.record))),
        false => Record::Unknown(format!("{RECORDS} is not in the directory that stands for the machine")),
    };
    let volumes = resource.iter().flat_map(|resource| &resource.volumes);
    let volumes = volumes.map(|volume| of_volume(host, around, &name, volume)).collect();
    let incoming = users.value().into_iter().flatten().filter_map(|user| incoming(host, user)).collect();
    let window = record(windows::read(host, &name));
    let lone = record(lone::read(host, &name));
    let quarantine = record(quarantine::read(host, &name));
    ResourceStatus { name, resource, users, incoming, claim, claimed, window, lone, quarantine, volumes }
}

fn of_volume(host: &Host, around: &Around, resource: &str, volume: &Volume) -> VolumeStatus {
    let dom0 = match (&volume.role, &around.major) {
        (Role::Secondary, _) => Known::Is(Vec::new()),
        (_, Known::Is(major)) => Known::from(dom0(host, *major, volume.minor)),
        (_, Known::Unknown(why)) => Known::Unknown(why.clone()),
    };
    VolumeStatus { dom0, flush: record(probes::last(host, resource, volume.minor)) }
}

/// Who has a volume in this domain itself, in words.
fn dom0(host: &Host, major: u32, minor: u32) -> Result<Vec<String>> {
    let mounts = usage::mounts(host, major, minor)?.into_iter().map(|at| format!("mounted on {at}"));
    let swap = usage::swap(host, minor)?.then(|| "swap".to_string());
    let holders = usage::holders(host, minor)?.into_iter().map(|holder| format!("held by {holder}"));
    Ok(mounts.chain(swap).chain(holders).collect())
}

fn incoming(host: &Host, user: &User) -> Option<Incoming> {
    let is_incoming = user.live && user.is_incoming();
    is_incoming.then(|| Incoming { domid: user.domid, since: Known::from(arrived(host, user.domid)) })
}

/// When the memory of a guest had arrived: `SECONDS.HUNDREDTHS` since 1970, by this host's clock.
fn arrived(host: &Host, domid: u32) -> Result<u64> {
    let read = |path: &str| -> Result<String> {
        vbd::text(host.xenstore()?, path)?.with_context(|| format!("xenstore has no {path}"))
    };
    let vm = read(&format!("/local/domain/{domid}/vm"))?;
    anyhow::ensure!(vm.starts_with("/vm/"), "the vm node of domain {domid} is {vm:?}");
    let time = read(&format!("{vm}/start_time"))?;
    let seconds = time.split('.').next().unwrap_or(&time);
    seconds.parse().with_context(|| format!("{vm}/start_time is {time:?}"))
}

fn record<T>(read: Result<Option<T>, Unusable>) -> Record<T> {
    match read {
        Ok(record) => Record::Is(record),
        Err(Unusable { why, remedy, is_bad: true }) => {
            Record::Bad { why, remedy: remedy.unwrap_or_else(|| "remove it".into()) }
        }
        Err(unread) => Record::Unknown(unread.why),
    }
}
