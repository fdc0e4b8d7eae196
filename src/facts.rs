//! What was found out about the machine, as plain data.
//!
//! Nothing here reads anything, and nothing here has a default: what could not
//! be read is [`Known::Unknown`] with the reason, and a word that this program
//! does not know is kept as `Other`. Rules refuse on what they need and cannot
//! know.

use crate::target::Target;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A value, or why it could not be had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Known<T> {
    /// The value as it was read.
    Is(T),
    /// Why it could not be read: one clause, lower case, naming the file or key.
    Unknown(String),
}

impl<T> Known<T> {
    /// The value, where there is one.
    pub fn value(&self) -> Option<&T> {
        match self {
            Known::Is(value) => Some(value),
            Known::Unknown(_) => None,
        }
    }
}

impl<T> From<anyhow::Result<T>> for Known<T> {
    fn from(result: anyhow::Result<T>) -> Self {
        match result {
            Ok(value) => Known::Is(value),
            Err(error) => Known::Unknown(format!("{error:#}")),
        }
    }
}

/// The role of a resource or volume on one node (`enum drbd_role`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Role {
    /// May be opened for writing.
    Primary,
    /// Receives, cannot be opened (8.4) or promotes itself on open (9).
    Secondary,
    /// Of a peer that is not connected.
    Unknown,
    /// A word of a newer DRBD.
    Other(String),
}

/// The state of a volume's disk (`enum drbd_disk_state`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum DiskState {
    /// No backing device.
    Diskless,
    /// Reading meta data.
    Attaching,
    /// Being detached (DRBD 9 only).
    Detaching,
    /// After an I/O error, on the way to Diskless.
    Failed,
    /// Attached, deciding with the peer whose data is newer.
    Negotiating,
    /// Old and new blocks mixed: a resync has not finished.
    Inconsistent,
    /// Consistent, and known to be older than the peer's.
    Outdated,
    /// Of a peer that is not connected.
    DUnknown,
    /// Consistent, and not known whether the peer's is newer.
    Consistent,
    /// The newest data.
    UpToDate,
    /// A word of a newer DRBD.
    Other(String),
}

/// The state of the network connection to a peer, in DRBD 9's words.
///
/// DRBD 8.4 mixes connection and replication in one enum; its decoder splits it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum ConnectionState {
    /// Not connected and not trying: after a split brain or `disconnect`.
    StandAlone,
    /// Being torn down on request.
    Disconnecting,
    /// About to try again.
    Unconnected,
    /// The peer did not answer in time.
    Timeout,
    /// The peer closed the connection.
    BrokenPipe,
    /// The network failed.
    NetworkFailure,
    /// The peer spoke nonsense.
    ProtocolError,
    /// The peer is closing the connection.
    TearDown,
    /// Trying to reach the peer (8.4: WFConnection, WFReportParams).
    Connecting,
    /// Connected.
    Connected,
    /// A word of a newer DRBD.
    Other(String),
}

/// What a volume replicates with one peer (`enum drbd_repl_state`; 8.4: the upper half of `drbd_conns`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum ReplicationState {
    /// Not connected.
    Off,
    /// Connected, every write goes to the peer.
    Established,
    /// Any of the resync, verify, bitmap exchange and ahead/behind states, by DRBD's name.
    Busy(&'static str),
    /// A word of a newer DRBD.
    Other(String),
}

/// How a node orders writes when it receives an epoch (`enum write_ordering_e`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum WriteOrdering {
    /// Not at all.
    None,
    /// Waits for the writes, does not flush.
    Drain,
    /// Waits and flushes the backing device.
    Flush,
    /// Barrier requests (8.3, old 8.4).
    Barrier,
}

/// The replication protocol of a connection (`wire_protocol`: A=1 B=2 C=3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Protocol {
    /// A write is done when it is on the local disk and in the send buffer.
    A,
    /// … and received into the peer's memory.
    B,
    /// … and on the peer's disk.
    C,
}

/// Why a resource's I/O is frozen (RESOURCE_INFO res_susp*).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Suspended {
    /// By `drbdadm suspend-io` (res_susp).
    pub user: bool,
    /// No access to data, and on-no-data-accessible is suspend-io (res_susp_nod).
    pub no_data: bool,
    /// Waiting for fence-peer to answer (res_susp_fen).
    pub fencing: bool,
    /// No quorum; DRBD 9 only, false on 8.4, which has no quorum (res_susp_quorum).
    pub quorum: bool,
}

impl Suspended {
    /// Whether I/O is frozen for any reason.
    pub fn any(&self) -> bool {
        self.user || self.no_data || self.fencing || self.quorum
    }
}

/// A DRBD resource on this host, as its kernel module tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Resource {
    /// Its name (ctx_resource_name).
    pub name: String,
    /// The highest role of its volumes (res_role).
    pub role: Role,
    /// Whether and why I/O is frozen.
    pub suspended: Suspended,
    /// How this node orders writes when it receives (res_stat_write_ordering).
    pub write_ordering: Known<WriteOrdering>,
    /// Its volumes by number.
    pub volumes: Vec<Volume>,
    /// Its connections. 8.4 has exactly one per resource that has volumes; it is StandAlone where
    /// no network is configured, and 8.4 throws the configuration away on the way to StandAlone
    /// (drbd_state.c:2048-2070), so that the two cannot be told apart there.
    pub connections: Vec<Connection>,
}

/// One volume of a resource: one block device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Volume {
    /// Its number within the resource (ctx_volume).
    pub number: u32,
    /// N of `/dev/drbdN` (drbd_genlmsghdr.minor).
    pub minor: u32,
    /// Its own role. On 8.4 each volume has one: a refused change can leave
    /// the volumes of one resource in different roles (captures, surprise 11).
    pub role: Role,
    /// The state of the local disk (dev_disk_state).
    pub disk: DiskState,
    /// The path of the backing device as configured, where a disk is attached (DISK_CONF backing_dev).
    pub backing_device: Option<String>,
}

/// The connection to one peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Connection {
    /// The peer's name where DRBD knows one (9), else its address (`10.0.0.2:7792`), else
    /// `peer`: 8.4 forgets the address of a StandAlone connection.
    pub peer: String,
    /// The state of the connection.
    pub state: ConnectionState,
    /// The peer's role (conn_role).
    pub peer_role: Role,
    /// The protocol (NET_CONF wire_protocol).
    pub protocol: Known<Protocol>,
    /// Whether two Primaries are allowed now (NET_CONF two_primaries).
    pub two_primaries: Known<bool>,
    /// What is known of the peer's volumes, by number.
    pub peer_volumes: Vec<PeerVolume>,
}

/// A volume as one peer has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PeerVolume {
    /// The volume number.
    pub number: u32,
    /// What is being replicated (peer_repl_state).
    pub replication: ReplicationState,
    /// The state of the peer's disk (peer_disk_state).
    pub disk: DiskState,
}

/// Writes the name of the variant, or the word that was kept.
macro_rules! display_by_name {
    ($($type:ty),*) => {$(
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    Self::Other(word) => f.write_str(word),
                    known => write!(f, "{known:?}"),
                }
            }
        }
    )*};
}
display_by_name!(Role, DiskState, ConnectionState);

/// Everything that was found out for one event.
#[derive(Debug, Clone, Serialize)]
pub struct Facts {
    /// Our own backend directory; `None` when it does not exist.
    pub backend: Known<Option<Backend>>,
    /// What the disk line names, or what is wrong with that.
    pub target: Result<Target, String>,
    /// The named resource; `None` when the kernel knows none of that name.
    pub resource: Known<Option<Resource>>,
    /// The major number of DRBD's devices (/proc/devices).
    pub major: Known<u32>,
    /// Every backend device of this host that has been given a block device.
    pub vbds: Known<Vec<Vbd>>,
    /// Every other backend device of this host that has one of the resource's volumes.
    pub users: Known<Vec<User>>,
    /// Where the named volume is mounted in this domain. This and the next two
    /// are asked for an add only: whoever uses the device, a remove does not give it away.
    pub mounts: Known<Vec<String>>,
    /// Whether the named volume is swapped on in this domain.
    pub swap: Known<bool>,
    /// The devices that are stacked on the named volume (/sys/block/drbdN/holders).
    pub holders: Known<Vec<String>>,
    /// What this program has recorded of the resource; `None` when nothing.
    pub claim: Known<Option<Claim>>,
}

impl Facts {
    /// The one volume that is meant, where that is certain.
    pub fn volume(&self) -> Option<&Volume> {
        let resource = self.resource.value()?.as_ref()?;
        match (self.target.as_ref().ok()?.volume, &resource.volumes[..]) {
            (Some(number), volumes) => volumes.iter().find(|volume| volume.number == number),
            (None, [only]) => Some(only),
            (None, _) => None,
        }
    }
}

/// Our own backend directory in xenstore, as the toolstack wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Backend {
    /// `params`: what `target=` said, verbatim.
    pub params: Vec<u8>,
    /// `state` (XenbusState): 2 is InitWait, in which the toolstack expects us.
    pub state: String,
    /// `physical-device`, once it is written: major and minor.
    pub physical_device: Option<PhysicalDevice>,
    /// The guest's name, for messages (`/local/domain/D/name`).
    pub guest: Option<String>,
    /// The guest's `vm` node, which is the same for both halves of a localhost migration.
    pub vm: Option<String>,
}

/// Major and minor as `physical-device` spells them: `%x:%x`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PhysicalDevice {
    /// The driver.
    pub major: u32,
    /// The device.
    pub minor: u32,
}

impl PhysicalDevice {
    /// Reads `93:3`.
    pub fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once(':')?;
        let number = |text: &str| u32::from_str_radix(text, 16).ok();
        Some(PhysicalDevice { major: number(major)?, minor: number(minor)? })
    }
}

/// Lower case and unpadded: Xen's scripts compare the text (`stat -c %t:%T`, block-common.sh).
impl fmt::Display for PhysicalDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}:{:x}", self.major, self.minor)
    }
}

/// A backend device that has been given a block device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Vbd {
    /// The guest.
    pub domid: u32,
    /// The device within the guest.
    pub devid: u32,
    /// The inode number of its entry in sysfs, which no other device ever has;
    /// `None` where the kernel does not list it.
    pub inode: Option<u64>,
    /// What it was given.
    pub device: PhysicalDevice,
}

/// Another backend device that has a volume of the resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct User {
    /// The guest.
    pub domid: u32,
    /// The device within the guest.
    pub devid: u32,
    /// The volume's minor.
    pub minor: u32,
    /// The guest's name, where it has one.
    pub guest: Option<String>,
    /// Whether blkback may have it open: the guest exists and the device is not closed.
    pub live: bool,
    /// Whether the toolstack is taking it away (`online` is 0).
    pub leaving: bool,
    /// Whether it belongs to the same guest as our own device: a localhost
    /// migration, or a stub domain and its guest.
    pub same_guest: bool,
}

/// What this program records of a resource, in `/run/block-drbd/claims/RES.json`,
/// before it promotes.
///
/// A record with nobody in `users` is a pending release: it was promoted, is no
/// longer needed and could not be demoted yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// The version of this format: 1.
    pub version: u32,
    /// The resource.
    pub resource: String,
    /// The minors that this program promoted and has not demoted.
    pub promoted: Vec<u32>,
    /// Who has, or is about to get, a volume.
    pub users: Vec<Claimant>,
}

/// A device in a [`Claim`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claimant {
    /// The guest.
    pub domid: u32,
    /// The device within the guest.
    pub devid: u32,
    /// The volume's minor.
    pub minor: u32,
}

impl Claim {
    /// Where the record of `resource` stands. The name has been checked by [`Target::parse`].
    pub fn path(resource: &str) -> String {
        format!("/run/block-drbd/claims/{resource}.json")
    }

    /// An empty record.
    pub fn new(resource: &str) -> Self {
        Claim { version: 1, resource: resource.into(), promoted: Vec::new(), users: Vec::new() }
    }

    /// Whether nothing is recorded, so that the file may go.
    pub fn is_empty(&self) -> bool {
        self.promoted.is_empty() && self.users.is_empty()
    }
}
