//! The numbers of DRBD 8.4's states (include/linux/drbd.h), as facts, and what
//! the volumes of one resource tell together.
//!
//! Pure. DRBD 9 numbers its disk and connection states differently: never share
//! these tables with it.

use crate::facts::{ConnectionState, DiskState, Fencing, Known, ReplicationState, Role};

/// One volume's states, as the kernel keeps them in one word and changes them together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct States {
    /// Its role here.
    pub role: Role,
    /// Its role on the peer.
    pub peer_role: Role,
    /// `enum drbd_conns`, see [`connection`] and [`replication`].
    pub conn: u32,
    /// Its disk here.
    pub disk: DiskState,
    /// Its disk on the peer.
    pub peer_disk: DiskState,
}

/// Takes `union drbd_dev_state` apart (drbd_state.h:84, little endian: role 2 bits, peer 2,
/// conn 5, disk 4, pdsk 4). The susp bits of `union drbd_state` (drbd.h) are not in it: they
/// are always 0 here, and are a matter of the resource.
pub fn states(word: u32) -> States {
    let bits = |from: u32, count: u32| (word >> from) & ((1 << count) - 1);
    States {
        role: role(bits(0, 2)),
        peer_role: role(bits(2, 2)),
        conn: bits(4, 5),
        disk: disk(bits(9, 4)),
        peer_disk: disk(bits(13, 4)),
    }
}

/// `enum drbd_role`.
pub fn role(number: u32) -> Role {
    match number {
        0 => Role::Unknown,
        1 => Role::Primary,
        2 => Role::Secondary,
        other => Role::Other(other.to_string()),
    }
}

/// `enum drbd_disk_state`.
pub fn disk(number: u32) -> DiskState {
    match number {
        0 => DiskState::Diskless,
        1 => DiskState::Attaching,
        2 => DiskState::Failed,
        3 => DiskState::Negotiating,
        4 => DiskState::Inconsistent,
        5 => DiskState::Outdated,
        6 => DiskState::DUnknown,
        7 => DiskState::Consistent,
        8 => DiskState::UpToDate,
        other => DiskState::Other(other.to_string()),
    }
}

/// The lower half of `enum drbd_conns`. 9 is WFReportParams: a socket, and no
/// agreement yet. (In GET_CONNECTIONS, which we do not use, 9 would mean connected.)
pub fn connection(conn: u32) -> ConnectionState {
    match conn {
        0 => ConnectionState::StandAlone,
        1 => ConnectionState::Disconnecting,
        2 => ConnectionState::Unconnected,
        3 => ConnectionState::Timeout,
        4 => ConnectionState::BrokenPipe,
        5 => ConnectionState::NetworkFailure,
        6 => ConnectionState::ProtocolError,
        7 => ConnectionState::TearDown,
        8 | 9 => ConnectionState::Connecting,
        10..=23 => ConnectionState::Connected,
        other => ConnectionState::Other(other.to_string()),
    }
}

/// The upper half of `enum drbd_conns`.
pub fn replication(conn: u32) -> ReplicationState {
    match conn {
        0..=9 => ReplicationState::Off,
        10 => ReplicationState::Established,
        11 => ReplicationState::StartingSyncS,
        12 => ReplicationState::StartingSyncT,
        13 => ReplicationState::WFBitMapS,
        14 => ReplicationState::WFBitMapT,
        15 => ReplicationState::WFSyncUUID,
        16 => ReplicationState::SyncSource,
        17 => ReplicationState::SyncTarget,
        18 => ReplicationState::VerifyS,
        19 => ReplicationState::VerifyT,
        20 => ReplicationState::PausedSyncS,
        21 => ReplicationState::PausedSyncT,
        22 => ReplicationState::Ahead,
        23 => ReplicationState::Behind,
        other => ReplicationState::Other(other.to_string()),
    }
}

/// Primary, else an unlisted word, else Secondary, else Unknown; None of nothing.
pub fn highest<'a>(roles: impl Iterator<Item = &'a Role>) -> Option<Role> {
    let rank = |role: &&Role| match role {
        Role::Unknown => 0,
        Role::Secondary => 1,
        Role::Other(_) => 2,
        Role::Primary => 3,
    };
    roles.max_by_key(rank).cloned()
}

/// The policy of a connection: 8.x keeps it with each attached disk.
pub fn agreed<'a>(mut policies: impl Iterator<Item = &'a Fencing>) -> Known<Fencing> {
    let Some(first) = policies.next() else { return Known::Unknown("no disk is attached".into()) };
    match policies.all(|other| other == first) {
        true => Known::Is(first.clone()),
        false => Known::Unknown("its volumes differ in it".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_of_the_capture() {
        let expected = States {
            role: Role::Primary,
            peer_role: Role::Secondary,
            conn: 10,
            disk: DiskState::UpToDate,
            peer_disk: DiskState::UpToDate,
        };
        assert_eq!(states(0x0001_10a9), expected);
    }

    #[test]
    fn a_socket_without_agreement_is_not_connected() {
        assert_eq!((connection(9), replication(9)), (ConnectionState::Connecting, ReplicationState::Off));
        assert_eq!(
            (connection(10), replication(10)),
            (ConnectionState::Connected, ReplicationState::Established)
        );
        let resync = ReplicationState::SyncTarget;
        assert_eq!((connection(17), replication(17)), (ConnectionState::Connected, resync));
    }

    #[test]
    fn unknown_numbers_keep_themselves() {
        assert_eq!(role(3), Role::Other("3".into()));
        assert_eq!(disk(9), DiskState::Other("9".into()));
        assert_eq!(connection(24), ConnectionState::Other("24".into()));
        assert_eq!(replication(31), ReplicationState::Other("31".into()));
    }
}
