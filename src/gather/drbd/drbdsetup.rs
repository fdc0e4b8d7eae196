//! What `drbdsetup status --json` and `drbdsetup show --json` of DRBD 9 print.
//!
//! Pure. The first tells the states, the second the options that are not the
//! default (all of them with --show-defaults). Keys that are not needed may be
//! missing or new.

use super::NO_DISK;
use crate::facts::{
    Connection, DiskOptions, DiskState, Fencing, Known, OnIoError, OnNoData, PeerVolume, Protocol, Resource,
    Role, Source, Suspended, Volume, WriteOrdering,
};
use crate::report::one_line;
use anyhow::{Context, Result, anyhow, bail};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::collections::HashMap;

/// A word or a name: printable, so that it can stand in a message.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
struct Text(String);

impl TryFrom<String> for Text {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.chars().any(char::is_control) {
            true => Err(format!("there is a control character in \"{}\"", one_line(&text))),
            false => Ok(Text(text)),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Status {
    name: Text,
    role: Text,
    /// Whether for any reason; the reasons are told by drbd-utils of 9.1 or newer.
    suspended: bool,
    suspended_user: Option<bool>,
    suspended_no_data: Option<bool>,
    suspended_fencing: Option<bool>,
    suspended_quorum: Option<bool>,
    write_ordering: Option<Text>,
    devices: Vec<Device>,
    connections: Vec<Peer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Device {
    volume: u32,
    minor: u32,
    disk_state: Text,
    quorum: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Peer {
    name: Text,
    connection_state: Text,
    peer_role: Text,
    #[serde(rename = "peer_devices")]
    peer_devices: Vec<PeerDevice>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct PeerDevice {
    volume: u32,
    replication_state: Text,
    peer_disk_state: Text,
}

/// Options by name. Flags are booleans, everything else is a string.
type Options = Map<String, Value>;

#[derive(Deserialize)]
struct Show {
    resource: Text,
    #[serde(default)]
    options: Options,
    #[serde(rename = "_this_host", default)]
    here: ShowHost,
    #[serde(default)]
    connections: Vec<ShowConnection>,
}

#[derive(Default, Deserialize)]
struct ShowHost {
    #[serde(default)]
    volumes: Vec<ShowVolume>,
}

#[derive(Deserialize)]
struct ShowVolume {
    volume_nr: u32,
    #[serde(rename = "backing-disk")]
    backing_disk: Option<Text>,
    #[serde(rename = "meta-disk")]
    meta_disk: Option<Text>,
    /// `"none"` for a volume without a disk.
    #[serde(default)]
    disk: Value,
}

#[derive(Deserialize)]
struct ShowConnection {
    #[serde(default)]
    net: Options,
}

/// What `show` tells of one resource, or why it does not.
type Shown<'a, T> = Result<&'a T, String>;

/// The resources of `status`, with the options of `show` where that can be read.
pub fn resources(status: &str, show: Result<&str, &str>) -> Result<Vec<Resource>> {
    let status: Vec<Status> = parse("drbd/status.json", status)?;
    let show = show.map_err(str::to_string);
    let show =
        show.and_then(|text| parse::<Vec<Show>>("drbd/show.json", text).map_err(|why| format!("{why:#}")));
    let by_name =
        show.as_ref().map(|all| all.iter().map(|one| (&one.resource, one)).collect::<HashMap<_, _>>());
    let of = |name: &Text| match &by_name {
        Ok(all) => all.get(name).copied().ok_or_else(|| format!("drbd/show.json has no resource {}", name.0)),
        Err(why) => Err(String::clone(why)),
    };
    status.iter().map(|one| resource(one, &of(&one.name))).collect()
}

/// The error tells line and column.
fn parse<T: DeserializeOwned>(file: &str, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| anyhow!("{file}: {}", one_line(&error.to_string())))
}

fn resource(status: &Status, show: &Shown<Show>) -> Result<Resource> {
    let role: Role = word(&status.role)?;
    let (mut disks, mut nets) = (HashMap::new(), HashMap::new());
    if let Ok(show) = show {
        disks.extend(show.here.volumes.iter().map(|volume| (volume.volume_nr, volume)));
        let named =
            |one: &'_ ShowConnection| one.net.get("_name").and_then(Value::as_str).map(str::to_string);
        nets.extend(show.connections.iter().filter_map(|one| Some((named(one)?, &one.net))));
    }
    let volumes = status.devices.iter().map(|device| {
        let shown = part(show, disks.get(&device.volume).copied(), "volume");
        volume(device, &role, &shown)
    });
    let connections = status.connections.iter().map(|peer| {
        let shown = part(show, nets.get(&peer.name.0).copied(), "connection");
        connection(peer, &shown)
    });
    Ok(Resource {
        name: status.name.0.clone(),
        source: Source::Drbdsetup,
        role: role.clone(),
        suspended: suspended(status),
        write_ordering: write_ordering(status).into(),
        on_no_data: read(show, |show| choice(&show.options, "on-no-data-accessible", OnNoData::IoError)),
        handlers: super::not_looked_for(),
        users: super::not_looked_for(),
        needs_quorum: read(show, |show| needs_quorum(&show.options, 1 + status.connections.len())),
        volumes: volumes.collect::<Result<_>>()?,
        connections: connections.collect::<Result<_>>()?,
    })
}

/// A part of a resource that is shown.
fn part<'a, T>(show: &Shown<Show>, found: Option<&'a T>, what: &str) -> Shown<'a, T> {
    show.as_ref().map_err(String::clone)?;
    found.ok_or_else(|| format!("drbd/show.json does not have this {what}"))
}

fn read<A, T>(shown: &Shown<A>, get: impl FnOnce(&A) -> Result<T>) -> Known<T> {
    match shown {
        Ok(shown) => get(shown).into(),
        Err(why) => Known::Unknown(why.clone()),
    }
}

/// A state or a policy by its name; where the facts have no such name, they keep it.
fn word<T: DeserializeOwned>(text: &Text) -> Result<T> {
    let unlisted = || format!("{:?} is not one of the words that drbdsetup prints there", text.0);
    serde_json::from_value(Value::String(text.0.clone())).with_context(unlisted)
}

/// Older drbdsetup tells only whether I/O is frozen: that counts as frozen by the user.
fn suspended(status: &Status) -> Suspended {
    let reasons = [status.suspended_no_data, status.suspended_fencing, status.suspended_quorum];
    let [no_data, fencing, quorum] = reasons.map(|reason| reason == Some(true));
    let untold = status.suspended && !(no_data || fencing || quorum);
    Suspended { user: status.suspended_user.unwrap_or(untold), no_data, fencing, quorum }
}

fn write_ordering(status: &Status) -> Result<WriteOrdering> {
    word(status.write_ordering.as_ref().context("drbd/status.json does not tell the write ordering")?)
}

fn volume(device: &Device, role: &Role, shown: &Shown<ShowVolume>) -> Result<Volume> {
    let not_looked_for = || Known::Unknown("it was not looked for".into());
    let disk: DiskState = word(&device.disk_state)?;
    let attached = disk != DiskState::Diskless;
    let shown_disk = shown.as_ref().ok().filter(|_| attached);
    let path = |text: &Option<Text>| text.as_ref().map(|text| text.0.clone());
    let backing_device = shown_disk.and_then(|volume| path(&volume.backing_disk));
    let meta = shown_disk.and_then(|volume| path(&volume.meta_disk)).filter(|meta| meta != "internal");
    Ok(Volume {
        number: device.volume,
        minor: device.minor,
        role: role.clone(),
        disk,
        meta_device: meta.or_else(|| backing_device.clone()),
        backing_device,
        options: match attached {
            true => read(shown, disk_options),
            false => Known::Unknown(NO_DISK.into()),
        },
        data: not_looked_for(),
        meta: not_looked_for(),
        quorum: quorum(device).into(),
        generations: Known::Unknown("drbdsetup status does not tell them".into()),
    })
}

/// `nodes` is how many the resource has.
fn needs_quorum(options: &Options, nodes: usize) -> Result<bool> {
    match text(options, "quorum")?.as_deref() {
        None | Some("off") => Ok(false),
        Some("majority" | "all") => Ok(true),
        Some(number) => {
            let number: usize = number.parse().context("quorum in drbd/show.json is no number")?;
            Ok(number.saturating_mul(2) > nodes)
        }
    }
}

fn quorum(device: &Device) -> Result<bool> {
    device.quorum.context("drbd/status.json does not tell whether there is quorum")
}

/// The defaults are those of DRBD 9 (drbd_limits.h).
fn disk_options(volume: &ShowVolume) -> Result<DiskOptions> {
    let none = Options::new();
    let disk = volume.disk.as_object().unwrap_or(&none);
    let on_io_error = match text(disk, "on-io-error")?.as_deref() {
        None | Some("detach") => OnIoError::Detach,
        Some("pass_on") => OnIoError::PassOn,
        Some("call-local-io-error") => OnIoError::CallLocalIoError,
        Some(other) => OnIoError::Other(other.into()),
    };
    Ok(DiskOptions {
        disk_barrier: flag(disk, "disk-barrier", false)?,
        disk_flushes: flag(disk, "disk-flushes", true)?,
        disk_drain: flag(disk, "disk-drain", true)?,
        md_flushes: flag(disk, "md-flushes", true)?,
        al_updates: flag(disk, "al-updates", true)?,
        on_io_error,
        disk_timeout: match text(disk, "disk-timeout")? {
            None => 0,
            Some(number) => number.parse().context("disk-timeout is not a number")?,
        },
    })
}

fn connection(peer: &Peer, net: &Shown<Options>) -> Result<Connection> {
    let integrity = |net: &Options| Ok(text(net, "data-integrity-alg")?.filter(|name| !name.is_empty()));
    let role: Role = word(&peer.peer_role)?;
    let peer_volumes = peer.peer_devices.iter().map(|device| peer_volume(device, &role));
    Ok(Connection {
        peer: peer.name.0.clone(),
        state: word(&peer.connection_state)?,
        peer_role: role.clone(),
        protocol: read(net, |net| choice(net, "protocol", Protocol::C)),
        two_primaries: read(net, |net| flag(net, "allow-two-primaries", false)),
        data_integrity: read(net, integrity),
        fencing: read(net, |net| choice(net, "fencing", Fencing::DontCare)),
        peer_volumes: peer_volumes.collect::<Result<_>>()?,
    })
}

fn peer_volume(device: &PeerDevice, role: &Role) -> Result<PeerVolume> {
    Ok(PeerVolume {
        number: device.volume,
        role: role.clone(),
        replication: word(&device.replication_state)?,
        disk: word(&device.peer_disk_state)?,
    })
}

/// An option of which the facts know the words.
fn choice<T: DeserializeOwned>(options: &Options, name: &str, default: T) -> Result<T> {
    match text(options, name)? {
        None => Ok(default),
        Some(value) => word(&Text(value)).with_context(|| format!("{name} in drbd/show.json")),
    }
}

/// An option that is not a flag; numbers are strings too, with and without a unit.
fn text(options: &Options, name: &str) -> Result<Option<String>> {
    match options.get(name) {
        None => Ok(None),
        Some(Value::Number(number)) => Ok(Some(number.to_string())),
        Some(Value::String(text)) => match Text::try_from(text.clone()) {
            Ok(text) => Ok(Some(text.0)),
            Err(why) => bail!("{name} in drbd/show.json: {why}"),
        },
        Some(_) => bail!("{name} in drbd/show.json is not a string"),
    }
}

fn flag(options: &Options, name: &str, default: bool) -> Result<bool> {
    match options.get(name) {
        None => Ok(default),
        Some(Value::Bool(value)) => Ok(*value),
        Some(_) => bail!("{name} in drbd/show.json is neither true nor false"),
    }
}

#[cfg(test)]
#[path = "drbdsetup_tests.rs"]
mod tests;
