use super::*;
use crate::facts::{ConnectionState, ReplicationState};

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../../../tests/fixtures/drbd-9/", $name, ".json"))
    };
}

/// The one resource of a status with its show.
fn one(status: &str, show: Result<&str, &str>) -> Resource {
    let mut all = resources(status, show).unwrap_or_else(|error| panic!("{error:#}"));
    assert_eq!(all.len(), 1);
    all.remove(0)
}

/// A volume that is shown with these options.
fn disk(options: &str) -> Known<DiskOptions> {
    let show = format!(
        r#"[{{"resource": "vm", "_this_host": {{"volumes": [{{"volume_nr": 0, "backing-disk": "/dev/x",
            "meta-disk": "/dev/m", "disk": {{{options}}} }}]}} }}]"#
    );
    one(&minimal("UpToDate", ""), Ok(&show)).volumes[0].options.clone()
}

fn minimal(disk: &str, more: &str) -> String {
    format!(
        r#"[{{"name": "vm", "role": "Secondary", "suspended": false, {more} "devices":
            [{{"volume": 0, "minor": 3, "disk-state": "{disk}"}}], "connections": []}}]"#
    )
}

#[test]
fn two_volumes_as_netlink_would_give_them() {
    let found = one(fixture!("two_volumes.status"), Ok(fixture!("two_volumes.show")));
    let volume = |number, minor, backing: &str| Volume {
        number,
        minor,
        role: Role::Primary,
        disk: DiskState::UpToDate,
        backing_device: Some(backing.into()),
        meta_device: Some(backing.into()),
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
        generations: Known::Unknown("drbdsetup status does not tell them".into()),
    };
    let peer_volume = |number| PeerVolume {
        number,
        role: Role::Secondary,
        replication: ReplicationState::Established,
        disk: DiskState::UpToDate,
    };
    let expected = Resource {
        name: "drbdvm".into(),
        source: Source::Drbdsetup,
        role: Role::Primary,
        suspended: Suspended { user: false, no_data: false, fencing: false, quorum: false },
        write_ordering: Known::Is(WriteOrdering::Flush),
        on_no_data: Known::Is(OnNoData::IoError),
        handlers: Known::Unknown("it was not looked for".into()),
        users: Known::Unknown("it was not looked for".into()),
        needs_quorum: Known::Is(false),
        volumes: vec![volume(0, 3, "/dev/vda"), volume(1, 4, "/dev/vdb")],
        connections: vec![Connection {
            peer: "b".into(),
            state: ConnectionState::Connected,
            peer_role: Role::Secondary,
            protocol: Known::Is(Protocol::C),
            two_primaries: Known::Is(false),
            data_integrity: Known::Is(None),
            fencing: Known::Is(Fencing::DontCare),
            peer_volumes: vec![peer_volume(0), peer_volume(1)],
        }],
    };
    assert_eq!(found, expected);
}

#[test]
fn three_nodes_without_quorum() {
    let lost = one(fixture!("no_quorum.status"), Ok(fixture!("no_quorum.show")));
    assert_eq!((&lost.needs_quorum, &lost.volumes[0].quorum), (&Known::Is(true), &Known::Is(false)));
    assert_eq!(lost.suspended, Suspended { user: false, no_data: false, fencing: false, quorum: true });
    let peers: Vec<_> = lost.connections.iter().map(|one| (one.peer.as_str(), one.state.clone())).collect();
    assert_eq!(peers, [("b", ConnectionState::Connecting), ("c", ConnectionState::Connecting)]);
    let diskless = one(fixture!("diskless_peer.status"), Ok(fixture!("diskless_peer.show")));
    assert!(!diskless.suspended.any());
    assert_eq!(
        (&diskless.volumes[0].disk, &diskless.volumes[0].backing_device),
        (&DiskState::Diskless, &None)
    );
    assert_eq!(diskless.volumes[0].options, Known::Unknown("no disk is attached".into()));
}

#[test]
fn options_that_are_not_the_default() {
    let found = one(fixture!("options.status"), Ok(fixture!("options.show")));
    assert_eq!(found.write_ordering, Known::Is(WriteOrdering::Barrier));
    let options = found.volumes[0].options.value().unwrap().clone();
    let told = (options.disk_barrier, options.disk_flushes, options.disk_drain, options.md_flushes);
    assert_eq!(told, (true, false, false, false));
    let fencing = one(fixture!("fencing.status"), Ok(fixture!("fencing.show")));
    assert_eq!(fencing.connections[0].fencing, Known::Is(Fencing::ResourceOnly));
    assert_eq!(fencing.connections[0].state, ConnectionState::StandAlone);
}

#[test]
fn options_of_a_disk() {
    for (text, on_io_error, timeout) in [
        ("", OnIoError::Detach, 0),
        (r#""on-io-error": "pass_on""#, OnIoError::PassOn, 0),
        (r#""on-io-error": "call-local-io-error", "disk-timeout": "30""#, OnIoError::CallLocalIoError, 30),
        (r#""on-io-error": "new", "disk-timeout": 30"#, OnIoError::Other("new".into()), 30),
    ] {
        let options = disk(text).value().unwrap_or_else(|| panic!("{text}")).clone();
        assert_eq!((options.on_io_error, options.disk_timeout), (on_io_error, timeout), "{text}");
    }
    for (text, why) in [
        (r#""disk-flushes": "maybe""#, "disk-flushes in drbd/show.json is neither true nor false"),
        (r#""disk-timeout": "30s""#, "disk-timeout is not a number: invalid digit found in string"),
        (
            r#""disk-timeout": 99999999999"#,
            "disk-timeout is not a number: number too large to fit in target type",
        ),
        (r#""on-io-error": true"#, "on-io-error in drbd/show.json is not a string"),
        (
            r#""on-io-error": "a\u001bb""#,
            "on-io-error in drbd/show.json: there is a control character in \"a?b\"",
        ),
    ] {
        assert_eq!(disk(text), Known::Unknown(why.into()), "{text}");
    }
}

#[test]
fn a_device_of_its_own_for_the_meta_data() {
    let show = r#"[{"resource": "vm", "_this_host": {"volumes": [{"volume_nr": 0, "backing-disk": "/dev/x", "meta-disk": "/dev/m"}]}}]"#;
    let volume = &one(&minimal("UpToDate", ""), Ok(show)).volumes[0];
    assert_eq!(
        (volume.backing_device.as_deref(), volume.meta_device.as_deref()),
        (Some("/dev/x"), Some("/dev/m"))
    );
}

#[test]
fn words_of_a_newer_drbd_are_kept() {
    let found = one(&minimal("Sublimating", ""), Err("none"));
    assert_eq!(found.volumes[0].disk, DiskState::Other("Sublimating".into()));
    let found = one(&minimal("UpToDate", r#""write-ordering": "zen","#), Err("none"));
    let Known::Unknown(why) = found.write_ordering else { panic!() };
    assert!(why.starts_with("\"zen\" is not one of the words"), "{why}");
}

#[test]
fn why_i_o_is_frozen() {
    for (more, expected) in [
        ("", [false, false, false, false]),
        (r#""suspended-user": true,"#, [true, false, false, false]),
        (r#""suspended-no-data": true, "suspended-fencing": true,"#, [false, true, true, false]),
    ] {
        let found = one(&minimal("UpToDate", more), Err("none")).suspended;
        assert_eq!([found.user, found.no_data, found.fencing, found.quorum], expected, "{more}");
    }
    let old = minimal("UpToDate", "").replace("false", "true");
    assert!(one(&old, Err("none")).suspended.user, "an older drbdsetup tells no reason");
}

#[test]
fn what_is_not_shown_is_unknown_with_its_reason() {
    let status = fixture!("two_volumes.status");
    for (show, why) in [
        (Err("/drbd/show.json does not exist"), "/drbd/show.json does not exist"),
        (Ok("[]"), "drbd/show.json has no resource drbdvm"),
        (Ok("["), "drbd/show.json: EOF while parsing a list at line 1 column 1"),
    ] {
        let found = one(status, show);
        assert_eq!(found.on_no_data, Known::Unknown(why.into()));
        assert_eq!(found.volumes[0].options, Known::Unknown(why.into()));
        assert_eq!(found.connections[0].protocol, Known::Unknown(why.into()));
        assert_eq!((found.volumes[0].minor, &found.volumes[0].backing_device), (3, &None));
    }
    let found = one(status, Ok(r#"[{"resource": "drbdvm"}]"#));
    assert_eq!(found.on_no_data, Known::Is(OnNoData::IoError));
    assert_eq!(found.volumes[0].options, Known::Unknown("drbd/show.json does not have this volume".into()));
    let fencing = &found.connections[0].fencing;
    assert_eq!(*fencing, Known::Unknown("drbd/show.json does not have this connection".into()));
    let found = one(&minimal("UpToDate", ""), Ok("[]"));
    assert_eq!(
        found.write_ordering,
        Known::Unknown("drbd/status.json does not tell the write ordering".into())
    );
}

#[test]
fn errors_name_the_file_and_the_line() {
    for (text, expected) in [
        ("", "drbd/status.json: EOF while parsing a value at line 1 column 0"),
        ("{}", "drbd/status.json: invalid type: map, expected a sequence at line 1 column 0"),
        ("[\n{}]", "drbd/status.json: missing field `name` at line 2 column 2"),
    ] {
        let error = format!("{:#}", resources(text, Err("none")).unwrap_err());
        assert_eq!(error, expected);
    }
    for (from, to) in [("\"vm\"", r#""v\nm""#), ("Secondary", r"S\u001b[31m"), ("UpToDate", r"U\u0000")] {
        let text = minimal("UpToDate", "").replace(from, to);
        let error = format!("{:#}", resources(&text, Err("none")).unwrap_err());
        assert!(error.contains("control character") && !error.contains(char::is_control), "{error}");
    }
    let huge = minimal("UpToDate", "").replace("\"minor\": 3", "\"minor\": 99999999999");
    assert!(resources(&huge, Err("none")).is_err());
}

#[test]
fn no_part_of_them_makes_it_panic() {
    let (status, show) = (fixture!("no_quorum.status"), fixture!("no_quorum.show"));
    for end in 0..=status.len() {
        let _ = resources(&status[..end], Ok(show));
        let _ = resources(&status[end..], Ok(show));
    }
    for end in 0..=show.len() {
        let _ = (resources(status, Ok(&show[..end])), resources(status, Ok(&show[end..])));
    }
    for piece in ["[", "{\"a\":", "\"", "\\"] {
        let text = piece.repeat((1 << 20) / piece.len());
        assert!(resources(&text, Err("none")).is_err());
        let _ = one(status, Ok(&text));
    }
}

#[test]
fn a_quorum_that_is_not_told_is_not_known() {
    let shown = |options: &str| format!(r#"[{{"resource": "vm", "options": {{{options}}} }}]"#);
    let of = |options: &str| one(&minimal("UpToDate", ""), Ok(&shown(options))).needs_quorum;
    assert_eq!(of(""), Known::Is(false));
    assert_eq!(of(r#""quorum": "off""#), Known::Is(false));
    assert_eq!(of(r#""quorum": "majority""#), Known::Is(true));
    assert_eq!(of(r#""quorum": "all""#), Known::Is(true));
    assert_eq!(of(r#""quorum": "1""#), Known::Is(true), "it has no peer");
    let two = minimal("UpToDate", "").replace(
        "\"connections\": []",
        &format!(
            "\"connections\": [{}]",
            r#"
        {"name": "b", "connection-state": "Connecting", "peer-role": "Unknown", "peer_devices": []}"#
        ),
    );
    let of_two = |number: &str| one(&two, Ok(&shown(&format!("\"quorum\": \"{number}\"")))).needs_quorum;
    assert_eq!((of_two("1"), of_two("2")), (Known::Is(false), Known::Is(true)), "each of both has 1");
    assert!(matches!(of_two("many"), Known::Unknown(_)));
    let untold = one(&minimal("UpToDate", ""), Err("no"));
    assert_eq!(untold.needs_quorum, Known::Unknown("no".into()));
    let why = "drbd/status.json does not tell whether there is quorum";
    assert_eq!(untold.volumes[0].quorum, Known::Unknown(why.into()));
}
