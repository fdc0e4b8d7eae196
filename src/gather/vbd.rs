//! Backend devices in xenstore: our own, and the others that have the same volume.
//!
//! Reads only below this domain's own backend directory and what dom0 writes of
//! a guest. Never follows `frontend`: the guest owns what is there.

use crate::event::VbdPath;
use crate::facts::{Backend, Known, PhysicalDevice, Resource, User, Vbd, VolumeUser, names_are_dom0s};
use crate::host::Host;
use crate::host::xenstore::Xenstore;
use crate::target::Target;
use anyhow::{Result, anyhow, bail};

/// Where this domain's backend devices are.
pub(super) const BACKENDS: &str = "/local/domain/0/backend/vbd";

/// What `target=` said, or `None` when the backend directory is gone.
pub fn params(host: &Host, vbd: &VbdPath) -> Result<Option<Vec<u8>>> {
    Ok(host.xenstore()?.read(&vbd.node("params"))?)
}

/// Our own backend directory, or `None` when the toolstack has removed it.
pub fn backend(host: &Host, vbd: &VbdPath) -> Result<Option<Backend>> {
    let of_domain = |name: &str| format!("/local/domain/{}/{name}", vbd.domid);
    let paths = [
        vbd.node("state"),
        vbd.node("params"),
        vbd.node("physical-device"),
        of_domain("name"),
        of_domain("vm"),
        of_domain("target"),
    ];
    let [state, params, physical_device, guest, vm, target] = host
        .xenstore()?
        .read_many(&paths)?
        .try_into()
        .map_err(|_| anyhow!("xenstore answered another number of questions"))?;
    let (Some(state), Some(params)) = (lossy(state), params) else { return Ok(None) };
    Ok(Some(Backend {
        domid: vbd.domid,
        devid: vbd.devid,
        params,
        state,
        physical_device: lossy(physical_device).and_then(|text| PhysicalDevice::parse(&text)),
        guest: lossy(guest),
        vm: lossy(vm),
        target: lossy(target).and_then(|text| text.parse().ok()),
    }))
}

fn lossy(value: Option<Vec<u8>>) -> Option<String> {
    value.map(|value| String::from_utf8_lossy(&value).into_owned())
}

/// Of `devices`, every other one with a volume of `resource`.
pub fn users(
    host: &Host,
    own: Option<&VbdPath>,
    resource: &Known<Option<Resource>>,
    major: &Known<u32>,
    devices: &Known<Vec<Vbd>>,
) -> Result<Vec<User>> {
    let devices = match devices {
        Known::Is(devices) => devices,
        Known::Unknown(why) => bail!("{why}"),
    };
    let (resource, major) = match (resource, major) {
        (Known::Is(Some(resource)), Known::Is(major)) => (resource, *major),
        (Known::Is(None), _) => return Ok(Vec::new()),
        (Known::Unknown(why), _) | (_, Known::Unknown(why)) => bail!("{why}"),
    };
    let xenstore = host.xenstore()?;
    let has = |minor| resource.volumes.iter().any(|volume| volume.minor == minor);
    let mut users = Vec::new();
    for vbd in devices.iter().filter(|vbd| vbd.device.major == major && has(vbd.device.minor)) {
        let ours = own.is_some_and(|own| (own.domid, own.devid) == (vbd.domid, vbd.devid));
        if !ours {
            users.extend(user(xenstore, vbd)?);
        }
    }
    Ok(users)
}

/// Of `devices`, every one with one of these minors of DRBD.
pub fn users_of(host: &Host, minors: &[u32], major: u32, devices: &[Vbd]) -> Result<Vec<User>> {
    let wanted = |vbd: &&Vbd| vbd.device.major == major && minors.contains(&vbd.device.minor);
    let mut users = Vec::new();
    for vbd in devices.iter().filter(wanted) {
        users.extend(user(host.xenstore()?, vbd)?);
    }
    Ok(users)
}

/// What each disk of a guest names, where it names a resource.
pub fn targets(host: &Host, domid: u32) -> Result<Vec<Target>> {
    let directory = format!("{BACKENDS}/{domid}");
    let xenstore = host.xenstore()?;
    let devices = super::sharing::numbers(xenstore.directory(&directory)?);
    let paths: Vec<String> = devices.iter().map(|devid| format!("{directory}/{devid}/params")).collect();
    let params = xenstore.read_many(&paths)?;
    Ok(params.into_iter().flatten().filter_map(|params| Target::parse(&params).ok()).collect())
}

/// Notes at each resource which guests of this host have its volumes.
pub fn tell_users(host: &Host, resources: &mut [Resource]) {
    let look = || -> Result<(u32, Vec<Vbd>)> { Ok((super::major(host)?, super::sharing::vbds(host)?)) };
    let found = Known::from(look());
    for resource in resources {
        resource.users = match &found {
            Known::Is((major, devices)) => Known::from(told_users(host, resource, *major, devices)),
            Known::Unknown(why) => Known::Unknown(why.clone()),
        };
    }
}

fn told_users(host: &Host, resource: &Resource, major: u32, devices: &[Vbd]) -> Result<Vec<VolumeUser>> {
    let minors: Vec<u32> = resource.volumes.iter().map(|volume| volume.minor).collect();
    let users: Vec<User> = users_of(host, &minors, major, devices)?;
    // A stub domain serves its guest, and is no guest of its own.
    let named = names_are_dom0s(&Known::from(super::node::xen_version(host)));
    let guests: Vec<u32> = users.iter().map(|user| user.domid).collect();
    let is_stub = |user: &User| named && user.target.is_some_and(|guest| guests.contains(&guest));
    let live = users.into_iter().filter(|user| user.live && !is_stub(user));
    let told = |user: User| {
        let volume = resource.volumes.iter().find(|volume| volume.minor == user.minor)?.number;
        let User { domid, devid, guest, vm, .. } = user;
        Some(VolumeUser { volume, domid, devid: Some(devid), guest, vm })
    };
    Ok(live.filter_map(told).collect())
}

fn user(xenstore: &Xenstore, vbd: &Vbd) -> Result<Option<User>> {
    let (domid, devid, minor) = (vbd.domid, vbd.devid, vbd.device.minor);
    let backend = format!("{BACKENDS}/{domid}/{devid}");
    // What the kernel still lists may be open, although the toolstack has removed its directory.
    let gone = vbd.inode.map(|_| Presence { live: true, leaving: true });
    let Some(Presence { live, leaving }) = presence(xenstore, &backend)?.or(gone) else { return Ok(None) };
    let of_domain = |name: &str| text(xenstore, &format!("/local/domain/{domid}/{name}"));
    let (guest, vm, target) = (of_domain("name")?, of_domain("vm")?, of_domain("target")?);
    let target = target.and_then(|text| text.parse().ok());
    Ok(Some(User { domid, devid, minor, guest, vm, target, live, leaving }))
}

/// How long a backend device will still be there.
#[derive(Clone, Copy)]
pub(super) struct Presence {
    /// Whether its backend may have the block device open.
    pub live: bool,
    /// Whether the toolstack is taking it away.
    pub leaving: bool,
}

/// What the directory of a backend device says of it; `None` where there is none.
pub(super) fn presence(xenstore: &Xenstore, backend: &str) -> Result<Option<Presence>> {
    let Some(state) = text(xenstore, &format!("{backend}/state"))? else { return Ok(None) };
    let leaving = text(xenstore, &format!("{backend}/online"))?.as_deref() == Some("0");
    // States 5 and 6 are Closing and Closed; a closed device that is still
    // online is kept open by blkback (xen-blkback/xenbus.c, XenbusStateClosed).
    let closed = leaving && state == "6";
    Ok(Some(Presence { live: !closed, leaving }))
}

pub(super) fn text(xenstore: &Xenstore, path: &str) -> Result<Option<String>> {
    Ok(lossy(xenstore.read(path)?))
}
