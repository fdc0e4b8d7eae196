//! DRBD's resources as this host's kernel module, or a file in its place, tells them.

use super::{Generations, HandlerEntry, Known, VolumeUser};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The role of a resource or volume on one node (`enum drbd_role`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// May be opened for writing.
    Primary,
    /// Receives, cannot be opened (8.4) or promotes itself on open (9).
    Secondary,
    /// Of a peer that is not connected.
    Unknown,
    /// A word of a newer DRBD.
    #[serde(untagged)]
    Other(String),
}

/// The state of a volume's disk (`enum drbd_disk_state`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    #[serde(untagged)]
    Other(String),
}

/// The state of the network connection to a peer, in DRBD 9's words.
///
/// DRBD 8.4 mixes connection and replication in one enum; its decoder splits it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    #[serde(untagged)]
    Other(String),
}

/// What a volume replicates with one peer (`enum drbd_repl_state`; 8.4: the upper half of `drbd_conns`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReplicationState {
    /// Not connected.
    Off,
    /// Connected, every write goes to the peer.
    Established,
    /// About to be the source of a full resync.
    StartingSyncS,
    /// About to be the target of a full resync.
    StartingSyncT,
    /// Waiting to send the bitmap.
    WFBitMapS,
    /// Waiting to receive the bitmap.
    WFBitMapT,
    /// Waiting for the source's new generation.
    WFSyncUUID,
    /// Sends the peer what it lacks.
    SyncSource,
    /// Receives what it lacks.
    SyncTarget,
    /// Compares, this node asks.
    VerifyS,
    /// Compares, the peer asks.
    VerifyT,
    /// SyncSource, paused.
    PausedSyncS,
    /// SyncTarget, paused.
    PausedSyncT,
    /// Does not replicate because the link is congested.
    Ahead,
    /// Is not replicated to because the link is congested.
    Behind,
    /// A word of a newer DRBD.
    #[serde(untagged)]
    Other(String),
}

/// How a node orders writes when it receives an epoch (`enum write_ordering_e`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Protocol {
    /// A write is done when it is on the local disk and in the send buffer.
    A,
    /// … and received into the peer's memory.
    B,
    /// … and on the peer's disk.
    C,
}

/// What is done about an I/O error of the disk (`on_io_error`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnIoError {
    /// Told to the guest where there is no good copy; the disk becomes Inconsistent.
    PassOn,
    /// The handler `local-io-error` is called.
    CallLocalIoError,
    /// The disk is dropped, the peer's is used.
    Detach,
    /// A word of a newer DRBD.
    #[serde(untagged)]
    Other(String),
}

/// What is done when no data can be reached (`on_no_data`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnNoData {
    /// The guest sees I/O errors.
    IoError,
    /// I/O is frozen until data comes back.
    SuspendIo,
    /// A word of a newer DRBD.
    #[serde(untagged)]
    Other(String),
}

/// What is done when a Primary loses its peer (`fencing`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fencing {
    /// Nothing.
    DontCare,
    /// The handler `fence-peer` is called.
    ResourceOnly,
    /// … and I/O is frozen until it has answered.
    ResourceAndStonith,
    /// A word of a newer DRBD.
    #[serde(untagged)]
    Other(String),
}

/// Why a resource's I/O is frozen (RESOURCE_INFO res_susp*).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

/// Who told of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The kernel module, by netlink: everything is in force.
    Kernel,
    /// `/proc/drbd` for the states and drbd.conf for the options: what was
    /// configured need not be in force.
    ProcAndConf,
    /// `drbdsetup status --json` and `drbdsetup show --json`, kept in files: in force when they were made.
    Drbdsetup,
}

/// A DRBD resource on one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// Its name (ctx_resource_name).
    pub name: String,
    /// Who told of it.
    pub source: Source,
    /// The highest role of its volumes (res_role).
    pub role: Role,
    /// Whether and why I/O is frozen.
    pub suspended: Suspended,
    /// How this node orders writes when it receives (res_stat_write_ordering).
    pub write_ordering: Known<WriteOrdering>,
    /// What is done when no data can be reached (RESOURCE_OPTS on_no_data).
    pub on_no_data: Known<OnNoData>,
    /// What drbd.conf has for its events, by event; an add looks only where fencing is in force.
    #[serde(default = "untold")]
    pub handlers: Known<Vec<HandlerEntry>>,
    /// Which guests of the host have its volumes; looked for only where a host tells of itself.
    #[serde(default = "untold")]
    pub users: Known<Vec<VolumeUser>>,
    /// Whether a promotion needs so many nodes that the others are too few for one
    /// (9: RESOURCE_OPTS quorum; 8.x has none).
    #[serde(default = "untold")]
    pub needs_quorum: Known<bool>,
    /// Its volumes by number.
    pub volumes: Vec<Volume>,
    /// Its connections. 8.4 has exactly one per resource that has volumes; it is StandAlone where
    /// no network is configured, and 8.4 throws the configuration away on the way to StandAlone
    /// (drbd_state.c:2048-2070), so that the two cannot be told apart there.
    pub connections: Vec<Connection>,
}

/// One volume of a resource: one block device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    /// The path of the device with the meta data; the backing device where they
    /// are internal (DISK_CONF meta_dev).
    pub meta_device: Option<String>,
    /// The disk options, where a disk is attached.
    pub options: Known<DiskOptions>,
    /// The device in sysfs that holds the data, by kernel name: where its
    /// stack begins in [`super::storage::Devices`].
    pub data: Known<String>,
    /// The same of the meta data.
    pub meta: Known<String>,
    /// Whether it has quorum; always, where none is needed (9: dev_has_quorum).
    #[serde(default = "untold")]
    pub quorum: Known<bool>,
    /// Which generation of the data is on the local disk, where a disk is attached.
    #[serde(default = "untold")]
    pub generations: Known<Generations>,
}

/// Where a host of an older version has told of itself.
pub(super) fn untold<T>() -> Known<T> {
    Known::Unknown("it was not told".into())
}

/// How an attached disk is used (DISK_CONF).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct DiskOptions {
    /// disk_barrier: order by barrier requests; stored and not used in the kernel's own 8.4.
    pub disk_barrier: bool,
    /// disk_flushes: flush the backing device at the end of a received epoch.
    pub disk_flushes: bool,
    /// disk_drain: wait for an epoch's writes before the next.
    pub disk_drain: bool,
    /// md_flushes: write the meta data with flush and FUA.
    pub md_flushes: bool,
    /// al_updates: keep the activity log.
    pub al_updates: bool,
    /// on_io_error
    pub on_io_error: OnIoError,
    /// disk_timeout, in tenths of a second; 0 is never.
    pub disk_timeout: u32,
}

/// The connection to one peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// The peer's name where DRBD knows one (9), else its address (`10.0.0.2:7792`), else
    /// `peer`: 8.4 forgets the address of a StandAlone connection.
    pub peer: String,
    /// The state of the connection.
    pub state: ConnectionState,
    /// The highest of the peer's roles (conn_role); each volume's is in `peer_volumes`.
    pub peer_role: Role,
    /// The protocol (NET_CONF wire_protocol).
    pub protocol: Known<Protocol>,
    /// Whether two Primaries are allowed now (NET_CONF two_primaries).
    pub two_primaries: Known<bool>,
    /// The checksum that every write carries; `None` for none (NET_CONF integrity_alg).
    pub data_integrity: Known<Option<String>>,
    /// What is done when a Primary loses the peer (9: NET_CONF fencing_policy; 8.x keeps it with
    /// each volume's disk, and it is unknown where they differ: DISK_CONF fencing).
    pub fencing: Known<Fencing>,
    /// What is known of the peer's volumes, by number.
    pub peer_volumes: Vec<PeerVolume>,
}

impl Connection {
    /// Whether the peer is reached, and has agreed to what is replicated.
    pub fn is_connected(&self) -> bool {
        self.state == ConnectionState::Connected
    }

    /// Whether two Primaries are known to be allowed now.
    pub fn allows_two_primaries(&self) -> bool {
        self.two_primaries == Known::Is(true)
    }

    /// Whether the peer has the volume Primary. Its role of the resource may be that of another volume.
    pub fn has_primary(&self, number: u32) -> bool {
        self.peer_volume(number).is_some_and(|volume| volume.role == Role::Primary)
    }

    /// The peer's half of a volume.
    pub fn peer_volume(&self, number: u32) -> Option<&PeerVolume> {
        self.peer_volumes.iter().find(|volume| volume.number == number)
    }
}

/// A volume as one peer has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerVolume {
    /// The volume number.
    pub number: u32,
    /// Its role there. On 8.4 each volume has one, on 9 all have the resource's. Unknown where an
    /// older version has told of it.
    #[serde(default = "unknown_role")]
    pub role: Role,
    /// What is being replicated (peer_repl_state).
    pub replication: ReplicationState,
    /// The state of the peer's disk (peer_disk_state).
    pub disk: DiskState,
}

fn unknown_role() -> Role {
    Role::Unknown
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
display_by_name!(Role, DiskState, ConnectionState, ReplicationState);
