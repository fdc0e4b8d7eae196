//! DRBD 8.4: reading its resources and asking for a role.
//!
//! Two dumps are enough. GET_STATUS gives each volume's role, connection and
//! disk states, its own and the peer's, out of one word that the kernel changes
//! as a whole; GET_DEVICES, GET_CONNECTIONS and GET_PEER_DEVICES give the same
//! piece by piece at different moments, number connections differently, repeat
//! "unknown resource" without end for an unknown filter (drbd_nl.c:3341-3376
//! leaves args[0] and args[1] at 0), and the last puts a volume number where the
//! minor belongs (drbd_nl.c:3654). GET_RESOURCES adds write ordering and suspension.
//!
//! It must never send SET_ROLE_PARMS, whose only field is force. Known to be
//! weak: set_role checks the name against the minor only if a resource of that name
//! exists (drbd_nl.c:268-276); the caller has read the minor under this name before.

use super::codes;
use super::message::{Addresses, Fields, Message, NO_MINOR, connection_request, request};
use super::state84::{self, States, agreed, highest};
use super::{Answer, NO_DISK, explain};
use crate::facts::{
    Connection, DiskOptions, Fencing, Generations, Known, OnIoError, OnNoData, PeerVolume, Protocol,
    Resource, Role, Source, Suspended, Volume, WriteOrdering,
};
use crate::host::genl::{Error, Family, Genl};
use anyhow::{Context, Result, anyhow, bail, ensure};
use nix::errno::Errno;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

const GET_STATUS: u8 = 2;
const PRIMARY: u8 = 14;
const SECONDARY: u8 = 15;
const CHG_NET_OPTS: u8 = 29;
const GET_RESOURCES: u8 = 30;

type Name = (u16, &'static str);
const CFG_REPLY: Name = (1, "CFG_REPLY");
const INFO_TEXT: Name = (1, "info_text");
const CFG_CONTEXT: Name = (2, "CFG_CONTEXT");
const CTX_VOLUME: Name = (1, "ctx_volume");
const CTX_RESOURCE_NAME: Name = (2, "ctx_resource_name");
const CTX_MY_ADDR: Name = (3, "ctx_my_addr");
const CTX_PEER_ADDR: Name = (4, "ctx_peer_addr");
const DISK_CONF: Name = (3, "DISK_CONF");
const BACKING_DEV: Name = (1, "backing_dev");
const META_DEV: Name = (2, "meta_dev");
const ON_IO_ERROR: Name = (6, "on_io_error");
const FENCING: Name = (7, "fencing");
const DISK_BARRIER: Name = (16, "disk_barrier");
const DISK_FLUSHES: Name = (17, "disk_flushes");
const DISK_DRAIN: Name = (18, "disk_drain");
const MD_FLUSHES: Name = (19, "md_flushes");
const DISK_TIMEOUT: Name = (20, "disk_timeout");
const AL_UPDATES: Name = (23, "al_updates");
const RESOURCE_OPTS: Name = (4, "RESOURCE_OPTS");
const ON_NO_DATA: Name = (2, "on_no_data");
const NET_CONF: Name = (5, "NET_CONF");
const INTEGRITY_ALG: Name = (3, "integrity_alg");
const WIRE_PROTOCOL: Name = (6, "wire_protocol");
const TWO_PRIMARIES: Name = (24, "two_primaries");
const STATE_INFO: Name = (8, "STATE_INFO");
const CURRENT_STATE: Name = (2, "current_state");
const UUIDS: Name = (7, "uuids");
const DISK_FLAGS: Name = (8, "disk_flags");
const RESOURCE_INFO: Name = (15, "RESOURCE_INFO");
const RES_ROLE: Name = (1, "res_role");
const RES_SUSP: Name = (2, "res_susp");
const RES_SUSP_NOD: Name = (3, "res_susp_nod");
const RES_SUSP_FEN: Name = (4, "res_susp_fen");
const RESOURCE_STATISTICS: Name = (19, "RESOURCE_STATISTICS");
const RES_STAT_WRITE_ORDERING: Name = (1, "res_stat_write_ordering");

/// How often to read again when the two dumps contradict each other.
const ATTEMPTS: usize = 4;

/// One message of GET_STATUS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// ctx_resource_name
    resource: String,
    /// None for a resource without volumes.
    volume: Option<VolumeStatus>,
    /// ctx_peer_addr, see [`Connection::peer`]
    peer: String,
    /// Both addresses, where there is a network configuration.
    addresses: Option<Addresses>,
    /// NET_CONF wire_protocol
    protocol: Known<Protocol>,
    /// NET_CONF two_primaries
    two_primaries: Known<bool>,
    /// NET_CONF integrity_alg, where it is not empty
    data_integrity: Known<Option<String>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct VolumeStatus {
    /// ctx_volume
    number: u32,
    /// drbd_genlmsghdr.minor
    minor: u32,
    /// DISK_CONF, where a disk is attached
    attached: Option<Attached>,
    /// STATE_INFO current_state
    states: States,
    /// STATE_INFO uuids and disk_flags
    generations: Known<Generations>,
}

/// DISK_CONF: an attached disk.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Attached {
    /// backing_dev
    backing_device: String,
    /// meta_dev
    meta_device: String,
    /// fencing
    fencing: Fencing,
    options: DiskOptions,
}

/// Reads all resources, or the one named `only`.
pub fn resources(genl: &Genl, family: Family, only: Option<&str>) -> Result<Vec<Resource>> {
    for _ in 0..ATTEMPTS {
        let found = genl.dump(family, GET_RESOURCES, &request(NO_MINOR, None)?);
        let found = found.map_err(explain).context("cannot list drbd's resources")?;
        let mut found = found.iter().map(|bytes| resource(bytes)).collect::<Result<Vec<_>>>()?;
        found.retain(|resource| only.is_none_or(|name| name == resource.name));
        if let Some(complete) = assemble(found, statuses(genl, family, only)?) {
            return Ok(complete);
        }
    }
    bail!("drbd's resources change faster than they can be read")
}

fn statuses(genl: &Genl, family: Family, only: Option<&str>) -> Result<Vec<Status>> {
    match genl.dump(family, GET_STATUS, &request(NO_MINOR, only)?) {
        Ok(answers) => answers.iter().map(|bytes| status(bytes)).collect(),
        // Its word for a name that it does not know (drbd_nl.c:4004).
        Err(Error::Refused(Errno::ENODEV)) => Ok(Vec::new()),
        Err(error) => Err(explain(error)).context("cannot read the state of drbd's volumes"),
    }
}

/// Puts the two dumps together, or None if something changed between them.
///
/// Neither dump tells when it left out the rest because the resource that it
/// had come to was removed (drbd_nl.c:3233): that also shows here.
pub fn assemble(mut found: Vec<Resource>, statuses: Vec<Status>) -> Option<Vec<Resource>> {
    let known = |status: &Status| found.iter().any(|resource| resource.name == status.resource);
    if !statuses.iter().all(known) {
        return None;
    }
    for resource in &mut found {
        let own: Vec<_> = statuses.iter().filter(|status| status.resource == resource.name).collect();
        resource.volumes = own.iter().filter_map(|status| status.volume.as_ref()).map(volume).collect();
        resource.connections = connection(&own).into_iter().collect();
        let highest = highest(resource.volumes.iter().map(|volume| &volume.role));
        if own.is_empty() || highest.is_some_and(|role| role != resource.role) {
            return None;
        }
    }
    Some(found)
}

fn volume(status: &VolumeStatus) -> Volume {
    let attached = status.attached.as_ref();
    let not_looked_for = || Known::Unknown("it was not looked for".into());
    Volume {
        number: status.number,
        minor: status.minor,
        role: status.states.role.clone(),
        disk: status.states.disk.clone(),
        backing_device: attached.map(|disk| disk.backing_device.clone()),
        meta_device: attached.map(|disk| disk.meta_device.clone()),
        options: match attached {
            Some(disk) => Known::Is(disk.options.clone()),
            None => Known::Unknown(NO_DISK.into()),
        },
        data: not_looked_for(),
        meta: not_looked_for(),
        // It knows no quorum, so that nothing lacks it.
        quorum: Known::Is(true),
        generations: status.generations.clone(),
    }
}

/// The one connection that a resource has, as its volumes tell it; None without
/// volumes. They share one socket, but agree with the peer one by one: the one
/// that is furthest from it counts.
fn connection(own: &[&Status]) -> Option<Connection> {
    let volumes: Vec<_> = own.iter().filter_map(|status| status.volume.as_ref()).collect();
    let lowest = volumes.iter().map(|volume| volume.states.conn).min()?;
    let first = own.first()?;
    Some(Connection {
        peer: first.peer.clone(),
        state: state84::connection(lowest),
        peer_role: highest(volumes.iter().map(|volume| &volume.states.peer_role))?,
        protocol: first.protocol.clone(),
        two_primaries: first.two_primaries.clone(),
        data_integrity: first.data_integrity.clone(),
        fencing: agreed(
            volumes.iter().filter_map(|volume| volume.attached.as_ref()).map(|disk| &disk.fencing),
        ),
        peer_volumes: volumes.iter().map(|volume| peer_volume(volume)).collect(),
    })
}

fn peer_volume(volume: &VolumeStatus) -> PeerVolume {
    PeerVolume {
        number: volume.number,
        role: volume.states.peer_role.clone(),
        replication: state84::replication(volume.states.conn),
        disk: volume.states.peer_disk.clone(),
    }
}

/// Decodes one message of GET_RESOURCES; volumes and connections are in the other dump.
pub fn resource(bytes: &[u8]) -> Result<Resource> {
    let message = successful(bytes)?;
    let info = needed(&message, RESOURCE_INFO)?;
    let suspended = Suspended {
        user: info.flag(RES_SUSP)?,
        no_data: info.flag(RES_SUSP_NOD)?,
        fencing: info.flag(RES_SUSP_FEN)?,
        quorum: false,
    };
    Ok(Resource {
        name: needed(&message, CFG_CONTEXT)?.text(CTX_RESOURCE_NAME)?,
        source: Source::Kernel,
        role: state84::role(info.number(RES_ROLE)?),
        suspended,
        write_ordering: write_ordering(&message).into(),
        on_no_data: on_no_data(&message).into(),
        handlers: super::not_looked_for(),
        users: super::not_looked_for(),
        needs_quorum: Known::Is(false),
        volumes: Vec::new(),
        connections: Vec::new(),
    })
}

fn write_ordering(message: &Message) -> Result<WriteOrdering> {
    match needed(message, RESOURCE_STATISTICS)?.number(RES_STAT_WRITE_ORDERING)? {
        0 => Ok(WriteOrdering::None),
        1 => Ok(WriteOrdering::Drain),
        2 => Ok(WriteOrdering::Flush),
        3 => Ok(WriteOrdering::Barrier),
        other => Err(anyhow!("drbd tells write ordering {other}, known are 0 to 3")),
    }
}

fn on_no_data(message: &Message) -> Result<OnNoData> {
    Ok(match needed(message, RESOURCE_OPTS)?.number(ON_NO_DATA)? {
        0 => OnNoData::IoError,
        1 => OnNoData::SuspendIo,
        other => OnNoData::Other(other.to_string()),
    })
}

/// Decodes one message of GET_STATUS.
pub fn status(bytes: &[u8]) -> Result<Status> {
    let message = successful(bytes)?;
    let context = needed(&message, CFG_CONTEXT)?;
    let net = message.nest(NET_CONF)?;
    let net = net.as_ref().context("drbd has no network configuration for it");
    let net = net.map_err(|why| why.to_string());
    Ok(Status {
        resource: context.text(CTX_RESOURCE_NAME)?,
        volume: volume_status(&message, &context)?,
        peer: context.bytes(CTX_PEER_ADDR).map_or("peer".into(), address),
        addresses: addresses(&context),
        protocol: in_force(&net, protocol),
        two_primaries: in_force(&net, |net| net.flag(TWO_PRIMARIES)),
        data_integrity: in_force(&net, integrity),
    })
}

fn addresses(context: &Fields) -> Option<Addresses> {
    let (mine, peer) = (context.bytes(CTX_MY_ADDR)?, context.bytes(CTX_PEER_ADDR)?);
    Some(Addresses { mine: mine.into(), peer: peer.into() })
}

/// What the network configuration says of something, where there is one.
fn in_force<T>(net: &Result<&Fields, String>, read: impl FnOnce(&Fields) -> Result<T>) -> Known<T> {
    match net {
        Ok(net) => read(net).into(),
        Err(why) => Known::Unknown(why.clone()),
    }
}

fn integrity(net: &Fields) -> Result<Option<String>> {
    Ok(Some(net.text(INTEGRITY_ALG)?).filter(|name| !name.is_empty()))
}

fn volume_status(message: &Message, context: &Fields) -> Result<Option<VolumeStatus>> {
    // One message with neither minor nor state stands for a resource without volumes (drbd_nl.c:3910).
    if message.minor == NO_MINOR {
        return Ok(None);
    }
    let disk = message.nest(DISK_CONF)?;
    let info = needed(message, STATE_INFO)?;
    Ok(Some(VolumeStatus {
        number: context.number(CTX_VOLUME)?,
        minor: message.minor,
        attached: disk.as_ref().map(attached).transpose()?,
        states: state84::states(info.number(CURRENT_STATE)?),
        generations: match disk {
            Some(_) => generations(&info).into(),
            None => Known::Unknown(NO_DISK.into()),
        },
    }))
}

/// uuids is `md.uuid` as it is: UI_CURRENT, UI_BITMAP and two of the history, u64 each (drbd_nl.c, nla_put_status_info).
fn generations(info: &Fields) -> Result<Generations> {
    let uuids = info.bytes(UUIDS).context("STATE_INFO without uuids")?;
    let (current, rest) = uuids.split_first_chunk().context("STATE_INFO.uuids without UI_CURRENT")?;
    let bitmap = rest.first_chunk().context("STATE_INFO.uuids without UI_BITMAP")?;
    Ok(Generations {
        current_uuid: u64::from_ne_bytes(*current),
        bitmap_uuid: u64::from_ne_bytes(*bitmap),
        disk_flags: info.number(DISK_FLAGS)?,
    })
}

fn attached(disk: &Fields) -> Result<Attached> {
    // A module without the option always keeps the log.
    let al_updates = disk.bytes(AL_UPDATES).is_none() || disk.flag(AL_UPDATES)?;
    let options = DiskOptions {
        disk_barrier: disk.flag(DISK_BARRIER)?,
        disk_flushes: disk.flag(DISK_FLUSHES)?,
        disk_drain: disk.flag(DISK_DRAIN)?,
        md_flushes: disk.flag(MD_FLUSHES)?,
        al_updates,
        on_io_error: match disk.number(ON_IO_ERROR)? {
            0 => OnIoError::PassOn,
            1 => OnIoError::CallLocalIoError,
            2 => OnIoError::Detach,
            other => OnIoError::Other(other.to_string()),
        },
        disk_timeout: disk.number(DISK_TIMEOUT)?,
    };
    let fencing = match disk.number(FENCING)? {
        0 => Fencing::DontCare,
        1 => Fencing::ResourceOnly,
        2 => Fencing::ResourceAndStonith,
        other => Fencing::Other(other.to_string()),
    };
    let (backing_device, meta_device) = (disk.text(BACKING_DEV)?, disk.text(META_DEV)?);
    Ok(Attached { backing_device, meta_device, fencing, options })
}

fn protocol(net: &Fields) -> Result<Protocol> {
    match net.number(WIRE_PROTOCOL)? {
        1 => Ok(Protocol::A),
        2 => Ok(Protocol::B),
        3 => Ok(Protocol::C),
        other => Err(anyhow!("drbd tells protocol {other}, known are 1 to 3")),
    }
}

/// A socket address as drbd.conf writes it; the bytes in hex where it is neither IPv4 nor IPv6.
fn address(bytes: &[u8]) -> String {
    let family = bytes.first_chunk().map(|bytes| u16::from_ne_bytes(*bytes));
    let port = bytes.get(2..4).and_then(|port| port.try_into().ok()).map(u16::from_be_bytes);
    let four: Option<[u8; 4]> = bytes.get(4..8).and_then(|ip| ip.try_into().ok());
    let six: Option<[u8; 16]> = bytes.get(8..24).and_then(|ip| ip.try_into().ok());
    match (family.map(i32::from), port, four, six) {
        (Some(libc::AF_INET), Some(port), Some(ip), _) => {
            SocketAddr::from((Ipv4Addr::from(ip), port)).to_string()
        }
        (Some(libc::AF_INET6), Some(port), _, Some(ip)) => {
            SocketAddr::from((Ipv6Addr::from(ip), port)).to_string()
        }
        _ => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

fn successful(bytes: &[u8]) -> Result<Message<'_>> {
    let message = Message::parse(bytes)?;
    ensure!(message.code == codes::NO_ERROR, "drbd answers {}", codes::describe(message.code));
    Ok(message)
}

fn needed<'a>(message: &Message<'a>, name: Name) -> Result<Fields<'a>> {
    message.nest(name)?.with_context(|| format!("drbd's message has no {}", name.1))
}

/// Asks once for `role`.
pub fn set_role(genl: &mut Genl, family: Family, minor: u32, name: &str, role: &Role) -> Result<Answer> {
    let command = match role {
        Role::Primary => PRIMARY,
        Role::Secondary => SECONDARY,
        other => bail!("{other} is not a role to ask for"),
    };
    let doing = || format!("cannot make minor {minor} of {name} {role}");
    let answer = genl.request(family, command, &request(minor, Some(name))?);
    interpret(&answer.map_err(explain).with_context(doing)?, minor).with_context(doing)
}

/// Asks once to let two nodes have the resource Primary, or not. Only what is sent changes
/// (drbd_nl.c, drbd_adm_net_opts).
pub fn allow_two_primaries(genl: &mut Genl, family: Family, name: &str, allowed: bool) -> Result<Answer> {
    let doing = || format!("cannot set allow-two-primaries of {name}");
    let addresses = statuses(genl, family, Some(name))?.into_iter().find_map(|status| status.addresses);
    let addresses = addresses.context(super::NO_NETWORK).with_context(doing)?;
    let body = connection_request(&addresses, (NET_CONF.0, TWO_PRIMARIES.0), allowed.into())?;
    let answer = genl.request(family, CHG_NET_OPTS, &body);
    interpret(&answer.map_err(explain).with_context(doing)?, NO_MINOR).with_context(doing)
}

/// Decodes the answer to a change of `minor`, or of what has none.
pub fn interpret(bytes: &[u8], minor: u32) -> Result<Answer> {
    let message = Message::parse(bytes)?;
    ensure!(message.minor == minor, "drbd answers about minor {}", message.minor);
    match message.code {
        codes::NOTHING_TO_DO => Ok(Answer::NothingToDo),
        // 1, 3, 4: the kinds of success of a state change; drbdsetup takes 101 for one too.
        1 | 3 | 4 | codes::NO_ERROR => Ok(Answer::Done),
        code => {
            let texts = message.all(CFG_REPLY).map(|reply| reply?.text(INFO_TEXT));
            let info = texts.collect::<Result<_>>()?;
            Ok(Answer::Refused { code, text: codes::describe(code), info })
        }
    }
}

#[cfg(test)]
#[path = "v84_tests.rs"]
mod tests;
