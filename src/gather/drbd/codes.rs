//! The numbers with which DRBD 8.4 answers a request, in words.
//!
//! Positive above 100 is `enum drbd_ret_code`, others are `enum drbd_state_rv`
//! (include/linux/drbd.h). Numbers only ever get appended, but -21 means
//! something else on 9: another generation needs its own table.

/// The request was carried out (ERR_ range).
pub const NO_ERROR: i32 = 101;
/// The state is already as asked for.
pub const NOTHING_TO_DO: i32 = 2;

/// Somebody has the device open (SS_DEVICE_IN_USE).
pub const DEVICE_IN_USE: i32 = -12;

/// A promotion of a disk that DRBD does not call UpToDate. A Consistent one becomes so when a fence-peer
/// handler has reported the peer as fenced (drbd_nl.c, drbd_set_role).
pub const NO_UP_TO_DATE_DISK: i32 = -2;

/// A promotion without the peer, which no fence-peer handler has reported as fenced.
pub const PRIMARY_NOP: i32 = -7;

/// Two Primaries cannot be forbidden while there are two (ERR_NEED_ALLOW_TWO_PRI).
pub const NEED_ALLOW_TWO_PRI: i32 = 164;

/// Whether a refused role change may succeed when asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// It heals by itself: ask until the deadline.
    Patiently,
    /// It may have been a coincidence: ask once more.
    Once,
    /// Only a change of configuration or data can heal it.
    Never,
}

/// Whether to ask again after `code`; unknown codes are final.
pub fn retry(code: i32) -> Retry {
    match code {
        // The peer may be demoting (migration), or the user of the device closing it.
        -1 | -12 | -18 | -19 => Retry::Patiently,
        // A signal reached the kernel's wait, or the peer refused in a passing state.
        -10 | 129 => Retry::Once,
        _ => Retry::Never,
    }
}

/// `code` as "(number) NAME: text"; the number alone where it is unknown.
pub fn describe(code: i32) -> String {
    match CODES.iter().find(|(number, ..)| *number == code) {
        Some((_, name, text)) => format!("({code}) {name}: {text}"),
        None => format!("({code}) unknown code"),
    }
}

/// Number, name without SS_ or ERR_, meaning.
#[rustfmt::skip]
const CODES: &[(i32, &str, &str)] = &[
    (4, "CW_NO_NEED", "done, the peer need not be asked"),
    (3, "CW_SUCCESS", "done, the peer agreed"),
    (2, "NOTHING_TO_DO", "already so"),
    (1, "SUCCESS", "done"),
    (0, "UNKNOWN_ERROR", "unknown error"),
    (-1, "TWO_PRIMARIES", "the peer is Primary and the configuration allows one Primary only"),
    (NO_UP_TO_DATE_DISK, "NO_UP_TO_DATE_DISK", "no access to UpToDate data"),
    (-4, "NO_LOCAL_DISK", "a resync needs a local disk"),
    (-5, "NO_REMOTE_DISK", "a resync needs a disk on the peer"),
    (-6, "CONNECTED_OUTDATES", "a connected disk cannot become Outdated"),
    (PRIMARY_NOP, "PRIMARY_NOP", "the peer is not known to be Outdated, fencing forbids to become Primary"),
    (-8, "RESYNC_RUNNING", "a resync or verify is running"),
    (-9, "ALREADY_STANDALONE", "already StandAlone"),
    (-10, "CW_FAILED_BY_PEER", "the peer refused"),
    (-11, "IS_DISKLESS", "the device has no disk"),
    (DEVICE_IN_USE, "DEVICE_IN_USE", "the device is held open"),
    (-13, "NO_NET_CONFIG", "no network configuration"),
    (-14, "NO_VERIFY_ALG", "no verify algorithm configured"),
    (-15, "NEED_CONNECTION", "not connected"),
    (-16, "LOWER_THAN_OUTDATED", "the disk state is lower than Outdated"),
    (-17, "NOT_SUPPORTED", "the peer's protocol version does not support it"),
    (-18, "IN_TRANSIENT_STATE", "the state is changing, try again after that"),
    (-19, "CONCURRENT_ST_CHG", "another state change came between"),
    (-20, "O_VOL_PEER_PRI", "the peer is Primary on another volume"),
    (-21, "OUTDATE_WO_CONN", "the peer cannot be outdated or left gracefully without a connection"),
    (101, "NO_ERROR", "done"),
    (102, "LOCAL_ADDR", "the local address is in use by another connection"),
    (103, "PEER_ADDR", "the peer's address is in use by another connection"),
    (104, "OPEN_DISK", "the backing device cannot be opened"),
    (105, "OPEN_MD_DISK", "the meta data device cannot be opened"),
    (107, "DISK_NOT_BDEV", "the backing device is not a block device"),
    (108, "MD_NOT_BDEV", "the meta data device is not a block device"),
    (111, "DISK_TOO_SMALL", "the backing device is too small"),
    (112, "MD_DISK_TOO_SMALL", "the meta data device is too small"),
    (114, "BDCLAIM_DISK", "the backing device is in use"),
    (115, "BDCLAIM_MD_DISK", "the meta data device is in use"),
    (116, "MD_IDX_INVALID", "no such meta data index"),
    (118, "IO_MD_DISK", "input/output error on the meta data"),
    (119, "MD_INVALID", "no valid meta data"),
    (120, "AUTH_ALG", "the authentication algorithm is not there"),
    (121, "AUTH_ALG_ND", "not an authentication algorithm"),
    (122, "NOMEM", "out of memory"),
    (123, "DISCARD_IMPOSSIBLE", "a Primary cannot discard its data"),
    (124, "DISK_CONFIGURED", "a disk is already attached"),
    (125, "NET_CONFIGURED", "the network is already configured"),
    (126, "MANDATORY_TAG", "a mandatory attribute is missing or not understood"),
    (127, "MINOR_INVALID", "no such minor"),
    (129, "INTR", "interrupted by a signal"),
    (130, "RESIZE_RESYNC", "no resize during a resync"),
    (131, "NO_PRIMARY", "one node must be Primary for that"),
    (132, "RESYNC_AFTER", "no such minor to resync after"),
    (133, "RESYNC_AFTER_CYCLE", "resync-after goes in a circle"),
    (134, "PAUSE_IS_SET", "the resync is already paused"),
    (135, "PAUSE_IS_CLEAR", "the resync is not paused"),
    (137, "PACKET_NR", "no such request"),
    (138, "NO_DISK", "no disk is attached"),
    (139, "NOT_PROTO_C", "that needs protocol C"),
    (140, "NOMEM_BITMAP", "no memory for the bitmap"),
    (141, "INTEGRITY_ALG", "the data integrity algorithm is not there"),
    (142, "INTEGRITY_ALG_ND", "not a data integrity algorithm"),
    (143, "CPU_MASK_PARSE", "the CPU mask is not understood"),
    (144, "CSUMS_ALG", "the checksum algorithm is not there"),
    (145, "CSUMS_ALG_ND", "not a checksum algorithm"),
    (146, "VERIFY_ALG", "the verify algorithm is not there"),
    (147, "VERIFY_ALG_ND", "not a verify algorithm"),
    (148, "CSUMS_RESYNC_RUNNING", "the checksum algorithm cannot change during a resync"),
    (149, "VERIFY_RUNNING", "the verify algorithm cannot change during a verify"),
    (150, "DATA_NOT_CURRENT", "the data on the disk is older than what was last seen"),
    (151, "CONNECTED", "connected"),
    (152, "PERM", "not permitted"),
    (153, "NEED_APV_93", "that needs protocol version 93"),
    (154, "STONITH_AND_PROT_A", "resource-and-stonith does not go with protocol A"),
    (155, "CONG_NOT_PROTO_A", "the congestion policy needs protocol A"),
    (156, "PIC_AFTER_DEP", "the pause is cleared, a resync to be awaited still runs"),
    (157, "PIC_PEER_DEP", "the pause is cleared, the peer still pauses"),
    (158, "RES_NOT_KNOWN", "no such resource"),
    (159, "RES_IN_USE", "the resource still has volumes or connections"),
    (160, "MINOR_CONFIGURED", "the minor is still configured"),
    (161, "MINOR_OR_VOLUME_EXISTS", "the minor or volume exists already"),
    (162, "INVALID_REQUEST", "the parts of the request contradict each other"),
    (163, "NEED_APV_100", "that needs protocol version 100"),
    (164, "NEED_ALLOW_TWO_PRI", "both nodes are Primary, two primaries must stay allowed"),
    (165, "MD_UNCLEAN", "the meta data is unclean"),
    (166, "MD_LAYOUT_CONNECTED", "the meta data layout can change only while connected"),
    (167, "MD_LAYOUT_TOO_BIG", "the activity log would be too big"),
    (168, "MD_LAYOUT_TOO_SMALL", "the activity log would be too small"),
    (169, "MD_LAYOUT_NO_FIT", "the meta data does not fit"),
    (170, "IMPLICIT_SHRINK", "the device would shrink"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_there_once_and_unknown_ones_keep_theirs() {
        for window in CODES.windows(2).filter(|pair| pair[1].0 < NO_ERROR) {
            assert!(window[0].0 > window[1].0, "{window:?}");
        }
        for window in CODES.windows(2).filter(|pair| pair[0].0 >= NO_ERROR) {
            assert!(window[0].0 < window[1].0, "{window:?}");
        }
        assert_eq!(describe(-77), "(-77) unknown code");
        assert_eq!(describe(-12), "(-12) DEVICE_IN_USE: the device is held open");
    }

    #[test]
    fn only_what_heals_by_itself_is_asked_again() {
        assert!([-1, -12, -18, -19].iter().all(|code| retry(*code) == Retry::Patiently));
        assert!([-10, 129].iter().all(|code| retry(*code) == Retry::Once));
        assert!([0, -2, -7, -11, -13, -20, -99, 127, 162].iter().all(|code| retry(*code) == Retry::Never));
    }
}
