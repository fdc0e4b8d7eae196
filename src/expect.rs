//! `expect UUID DOMID NAME RES/VOL=GENERATION:DEVID …`: what `migrate` on the source has called here, before it starts xl.
//!
//! It only notes what the source says, so that the start of the guest need not ask while the guest
//! stands still. It allows nothing by itself: every rule is asked as always.

use crate::facts::{Expected, ExpectedVolume};
use crate::host::{Deadline, Host, lock};
use crate::target::Target;
use crate::{gather, hotplug, report};
use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long it may take: the source waits.
const PATIENCE: Duration = Duration::from_secs(10);

/// The guest that is about to move in, as its source calls it.
pub struct Guest<'a> {
    /// Its uuid.
    pub uuid: &'a str,
    /// Its number.
    pub domid: u32,
    /// Its name.
    pub name: &'a str,
}

/// Notes the guest with each of its resources; the exit code, or one with its error.
pub fn run(host: &mut Host, guest: &Guest, volumes: &[String]) -> Result<i32, (i32, anyhow::Error)> {
    host.set_deadline(Deadline::after(PATIENCE));
    let vm = vm_node(guest.uuid).map_err(|error| (2, error))?;
    let mut named: BTreeMap<String, Vec<ExpectedVolume>> = BTreeMap::new();
    for word in volumes {
        let (resource, volume) = volume(word).map_err(|error| (2, error))?;
        named.entry(resource).or_default().push(volume);
    }
    for (resource, volumes) in named {
        let (vm, name, domid) = (vm.clone(), guest.name.to_string(), guest.domid);
        note(host, &Expected { version: 1, resource, vm, guest: name, domid, volumes, at: host.now() })
            .map_err(|error| (3, error))?;
    }
    Ok(0)
}

fn vm_node(uuid: &str) -> Result<String> {
    let is_uuid = uuid.len() == 36 && uuid.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    ensure!(is_uuid, "{} is not a uuid; see xl list -v for it", report::one_line(uuid));
    Ok(format!("/vm/{uuid}"))
}

/// `RES/VOL=GENERATION:DEVID`; an older source writes no `:DEVID`.
fn volume(word: &str) -> Result<(String, ExpectedVolume)> {
    let read = || {
        let (target, generation) = word.split_once('=')?;
        let Target { resource, volume } = Target::parse(target.as_bytes()).ok()?;
        let (generation, devid) = match generation.split_once(':') {
            Some((generation, devid)) => (generation, Some(devid.parse().ok()?)),
            None => (generation, None),
        };
        let current_uuid = u64::from_str_radix(generation, 16).ok()?;
        Some((resource, ExpectedVolume { number: volume?, current_uuid, devid }))
    };
    read().with_context(|| format!("{} is not RESOURCE/VOLUME=GENERATION:DEVICE", report::one_line(word)))
}

fn note(host: &mut Host, expected: &Expected) -> Result<()> {
    let name = &expected.resource;
    let missing = || format!("DRBD has no resource {name} up; run: drbdadm up {name}");
    gather::resource(host, name)?.with_context(missing)?;
    let _lock = lock::take(host, &hotplug::lock_path(name))?;
    host.write_record(&Expected::path(name), expected)
}
