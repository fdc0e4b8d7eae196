//! Decoding of what a real DRBD 8.4 sent.

use super::*;
use crate::facts::{ConnectionState, DiskState, ReplicationState};

macro_rules! fixture {
    ($name:literal) => {
        payload(include_str!(concat!("../../../tests/fixtures/netlink-8.4/", $name, ".hex")))
    };
}

/// The bytes after nlmsghdr and genlmsghdr.
fn payload(hex: &str) -> Vec<u8> {
    let hex = hex.trim();
    let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (40..hex.len()).step_by(2).map(byte).collect()
}

fn refusal(code: i32, info: &[&str]) -> Answer {
    let info = info.iter().map(ToString::to_string).collect();
    Answer::Refused { code, text: codes::describe(code), info }
}

#[test]
fn a_connected_primary() {
    let status = status(&fixture!("status")).unwrap();
    let resource = resource(&fixture!("resources")).unwrap();
    let connection = Connection {
        peer: "10.0.0.2:7792".into(),
        state: ConnectionState::Connected,
        peer_role: Role::Secondary,
        protocol: Known::Is(Protocol::C),
        two_primaries: Known::Is(false),
        data_integrity: Known::Is(None),
        fencing: Known::Is(Fencing::DontCare),
        peer_volumes: vec![PeerVolume {
            number: 0,
            role: Role::Secondary,
            replication: ReplicationState::Established,
            disk: DiskState::UpToDate,
        }],
    };
    let expected = Resource {
        name: "drbdvm".into(),
        role: Role::Primary,
        suspended: Suspended { user: false, no_data: false, fencing: false, quorum: false },
        source: Source::Kernel,
        write_ordering: Known::Is(WriteOrdering::Flush),
        on_no_data: Known::Is(OnNoData::IoError),
        handlers: Known::Unknown("it was not looked for".into()),
        users: Known::Unknown("it was not looked for".into()),
        needs_quorum: Known::Is(false),
        volumes: vec![Volume {
            number: 0,
            minor: 3,
            role: Role::Primary,
            disk: DiskState::UpToDate,
            backing_device: Some("/dev/vda".into()),
            meta_device: Some("/dev/vda".into()),
            options: Known::Is(DiskOptions {
                disk_barrier: false,
                disk_flushes: true,
                disk_drain: true,
                md_flushes: true,
                al_updates: true,
                on_io_error: OnIoError::Detach,
                disk_timeout: 0,
            }),
            data: Known::Unknown("it was not looked for".into()),
            meta: Known::Unknown("it was not looked for".into()),
            quorum: Known::Is(true),
            generations: Known::Is(Generations {
                current_uuid: 0x215c_47a0_b39c_a631,
                bitmap_uuid: 0,
                disk_flags: 0x17,
            }),
        }],
        connections: vec![connection],
    };
    assert_eq!(assemble(vec![resource], vec![status]), Some(vec![expected]));
}

#[test]
fn an_unconfigured_minor_is_diskless_and_standalone() {
    let status = status(&fixture!("status_unconfigured")).unwrap();
    let connection = connection(&[&status]).unwrap();
    assert_eq!((connection.peer.as_str(), connection.state), ("peer", ConnectionState::StandAlone));
    assert_eq!(connection.peer_role, Role::Unknown);
    assert_eq!(connection.peer_volumes[0].disk, DiskState::DUnknown);
    let why = Known::Unknown("drbd has no network configuration for it".into());
    assert_eq!(connection.protocol, why);
    assert_eq!(connection.fencing, Known::Unknown("no disk is attached".into()));
    let volume = volume(&status.volume.unwrap());
    assert_eq!((volume.minor, volume.role), (3, Role::Secondary));
    assert_eq!((volume.disk, volume.backing_device), (DiskState::Diskless, None));
    assert_eq!(volume.generations, Known::Unknown("no disk is attached".into()));
}

#[test]
fn dumps_that_contradict_each_other_are_read_again() {
    let found = || resource(&fixture!("resources")).unwrap();
    let primary = || status(&fixture!("status")).unwrap();
    let secondary = status(&fixture!("status_secondary")).unwrap();
    assert_eq!(assemble(vec![found()], vec![secondary]), None, "demoted in between");
    assert_eq!(assemble(vec![], vec![primary()]), None, "created in between");
    assert_eq!(assemble(vec![found()], vec![]), None, "removed in between");
    assert_eq!(assemble(vec![], vec![]), Some(vec![]));
}

#[test]
fn the_volume_furthest_from_the_peer_speaks_for_the_connection() {
    let first = status(&fixture!("status")).unwrap();
    let mut second = first.clone();
    second.volume.as_mut().unwrap().states.conn = 9;
    second.volume.as_mut().unwrap().states.peer_role = Role::Unknown;
    let connection = connection(&[&first, &second]).unwrap();
    assert_eq!(connection.state, ConnectionState::Connecting);
    assert_eq!(connection.peer_role, Role::Secondary);
    assert_eq!(connection.peer_volumes[1].replication, ReplicationState::Off);
}

#[test]
fn answers_to_role_changes() {
    assert_eq!(interpret(&fixture!("primary"), 3).unwrap(), Answer::Done);
    assert_eq!(interpret(&fixture!("secondary"), 3).unwrap(), Answer::Done);
    assert_eq!(interpret(&fixture!("primary_already"), 3).unwrap(), Answer::NothingToDo);
    assert_eq!(interpret(&fixture!("primary_refused_peer_primary"), 3).unwrap(), refusal(-1, &[]));
    assert_eq!(interpret(&fixture!("secondary_refused_open"), 3).unwrap(), refusal(-12, &[]));
    let unknown = interpret(&fixture!("primary_unknown"), 77).unwrap();
    assert_eq!(unknown, refusal(127, &["unknown minor"]));
    let error = interpret(&fixture!("primary"), 4).unwrap_err();
    assert_eq!(error.to_string(), "drbd answers about minor 3");
}

#[test]
fn numbers_of_no_known_meaning_are_refusals() {
    for code in [0_i32, 5, 99, 100, -99, 200] {
        let bytes = [3_u32.to_ne_bytes(), code.to_ne_bytes()].concat();
        assert_eq!(interpret(&bytes, 3).unwrap(), refusal(code, &[]));
    }
}

#[test]
fn the_request_is_a_minor_and_a_name_and_no_force() {
    let expected = [&[3, 0, 0, 0, 0, 0, 0, 0][..], b"\x10\0\x02\x80\x0b\0\x02\0drbdvm\0\0"].concat();
    assert_eq!(request(3, Some("drbdvm")).unwrap(), expected);
    for name in ["", "a\0b", &"x".repeat(128)] {
        assert!(request(3, Some(name)).is_err(), "{name:?}");
    }
}

#[test]
fn what_is_missing_is_named() {
    let full = fixture!("resources");
    // Header and CFG_CONTEXT only.
    let error = resource(&full[..24]).unwrap_err();
    assert_eq!(error.to_string(), "drbd's message has no RESOURCE_INFO");
    let error = status(&fixture!("primary_unknown")).unwrap_err();
    assert_eq!(error.to_string(), "drbd answers (127) MINOR_INVALID: no such minor");
}

#[test]
fn addresses() {
    assert_eq!(address(b"\x02\0\x1e\x70\x0a\0\0\x02\0\0\0\0\0\0\0\0"), "10.0.0.2:7792");
    let six = b"\x0a\0\x1e\x70\0\0\0\0\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\0";
    assert_eq!(address(six), "[fd00::1]:7792");
    assert_eq!(address(b"\x1b\0\x01"), "1b0001");
    assert_eq!(address(b"\x02\0\x1e\x70\x0a"), "02001e700a");
}

#[test]
fn no_truncation_panics() {
    let fixtures = [
        fixture!("resources"),
        fixture!("status"),
        fixture!("status_unconfigured"),
        fixture!("primary_unknown"),
    ];
    for bytes in fixtures {
        for end in 0..bytes.len() {
            let _ = resource(&bytes[..end]);
            let _ = status(&bytes[..end]);
            let _ = interpret(&bytes[..end], 3);
        }
    }
}

#[test]
fn no_single_wrong_byte_panics() {
    for original in [fixture!("resources"), fixture!("status"), fixture!("primary_unknown")] {
        for at in 0..original.len() {
            for wrong in [0, 1, 0x7f, 0x80, 0xff] {
                let mut bytes = original.clone();
                bytes[at] = wrong;
                let _ = (resource(&bytes), status(&bytes), interpret(&bytes, 3));
            }
        }
    }
}
