use super::*;
use crate::facts::{ConnectionState, DiskOptions, OnIoError, OnNoData, ReplicationState};

macro_rules! fixture {
    ($($name:literal)*) => {
        include_str!(concat!("../../../tests/fixtures/", $($name),*))
    };
}

const CONF: &str = "resource drbdvm {
  volume 0 { device /dev/drbd3; disk /dev/vda; meta-disk internal; }
  volume 1 { device minor 4; disk /dev/vdb; meta-disk /dev/vdc[0]; }
  on a { address 10.0.0.1:7792; } on b { address 10.0.0.2:7792; }
}
resource othervm { device minor 11; disk /dev/vdd; meta-disk internal;
  on a { address 10.0.0.1:7793; } on b { address 10.0.0.2:7793; } }";

/// What node `a` tells with this configuration.
fn read(proc: &str, conf: &str) -> Vec<Resource> {
    let found = proc::parse(proc).unwrap_or_else(|error| panic!("{error}"));
    let conf = Conf::parse("/etc/drbd.conf", conf);
    assemble(&found, conf.as_ref().map_err(ToString::to_string), Ok("a"))
}

/// A minor of 8.4.
fn minor(line: &str) -> String {
    format!("version: 8.4.11 (api:1/proto:86-101)\n {line}\n    ns:0 wo:f oos:0\n")
}

const CONNECTED: &str = "3: cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate C r-----";

/// The words of `drbdsetup status --verbose --statistics` that facts know too.
fn told(status: &str) -> Vec<String> {
    const KEYS: [&str; 9] = [
        "role",
        "suspended",
        "write-ordering",
        "volume",
        "minor",
        "disk",
        "connection",
        "replication",
        "peer-disk",
    ];
    let known = |word: &&str| word.split_once(':').is_none_or(|(key, _)| KEYS.contains(&key));
    let words = status.split_whitespace().filter(|word| *word != "peer").filter(known);
    words.map(str::to_string).collect()
}

/// The same words, of facts.
fn words(resource: &Resource) -> Vec<String> {
    let suspended = if resource.suspended.any() { "user" } else { "no" };
    let mut words =
        vec![resource.name.clone(), format!("role:{}", resource.role), format!("suspended:{suspended}")];
    let ordering = resource.write_ordering.value();
    words.extend(ordering.map(|ordering| format!("write-ordering:{ordering:?}").to_lowercase()));
    for volume in &resource.volumes {
        let numbers = [format!("volume:{}", volume.number), format!("minor:{}", volume.minor)];
        words.extend(numbers.into_iter().chain([format!("disk:{}", volume.disk)]));
    }
    for connection in &resource.connections {
        words.extend([format!("connection:{}", connection.state), format!("role:{}", connection.peer_role)]);
        for volume in &connection.peer_volumes {
            let states = format!("replication:{} peer-disk:{}", volume.replication, volume.disk);
            words.push(format!("volume:{} {states}", volume.number));
        }
    }
    words.join(" ").split(' ').map(str::to_string).collect()
}

#[test]
fn the_states_are_those_that_drbdsetup_tells() {
    macro_rules! pairs {
        ($($name:literal),*) => {
            [$(($name, fixture!("drbd-8.4/" $name ".proc"), fixture!("drbd-8.4/" $name ".status"))),*]
        };
    }
    for (name, proc, status) in pairs!(
        "connected",
        "cut",
        "failed",
        "no_ordering",
        "sync_target",
        "two_resources",
        "two_volumes",
        "verify",
        "standalone",
        "unconfigured"
    ) {
        let mut found = read(proc, CONF);
        for resource in &mut found {
            // drbdsetup-84 leaves out a connection that is StandAlone, and a minor that is not
            // configured has no ordering in /proc/drbd.
            resource.connections.retain(|connection| connection.state != ConnectionState::StandAlone);
        }
        let mut status = told(status);
        if name == "unconfigured" {
            status.retain(|word| !word.starts_with("write-ordering:"));
        }
        let words: Vec<_> = found.iter().flat_map(words).collect();
        assert_eq!(words, status, "{name}");
    }
}

#[test]
fn a_resource_as_netlink_would_give_it() {
    let volume = |number, minor, backing: &str, meta: &str| Volume {
        number,
        minor,
        role: Role::Primary,
        disk: DiskState::UpToDate,
        backing_device: Some(backing.into()),
        meta_device: Some(meta.into()),
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
        generations: Known::Unknown("/proc/drbd does not tell them".into()),
    };
    let mut first = volume(0, 3, "/dev/vda", "/dev/vda");
    first.role = Role::Secondary;
    let mut second = volume(1, 4, "/dev/vdb", "/dev/vdc");
    (second.disk, second.backing_device, second.meta_device) = (DiskState::Diskless, None, None);
    second.options = Known::Unknown("no disk is attached".into());
    let peer_volume = |number| PeerVolume {
        number,
        role: Role::Secondary,
        replication: ReplicationState::Established,
        disk: DiskState::UpToDate,
    };
    let expected = Resource {
        name: "drbdvm".into(),
        source: Source::ProcAndConf,
        role: Role::Primary,
        suspended: Suspended { user: false, no_data: false, fencing: false, quorum: false },
        write_ordering: Known::Is(WriteOrdering::Flush),
        on_no_data: Known::Is(OnNoData::IoError),
        handlers: Known::Unknown("it was not looked for".into()),
        users: Known::Unknown("it was not looked for".into()),
        needs_quorum: Known::Is(false),
        volumes: vec![first, second],
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
    assert_eq!(read(fixture!("drbd-8.4/two_volumes.proc"), CONF), [expected]);
}

#[test]
fn the_incident_of_8_3() {
    let text = "version: 8.3.7 (api:88/proto:86-91)\n\
        3: cs:Connected ro:Secondary/Primary ds:UpToDate/UpToDate C r----\n\
        ns:0 nr:2160152 dw:2160152 dr:0 al:0 bm:8052 lo:0 pe:0 ua:0 ap:0 ep:1 wo:f oos:0\n";
    let found = proc::parse(text).unwrap();
    let conf = Conf::parse("/etc/drbd.conf", fixture!("incident/drbd.conf")).unwrap();
    let resources = assemble(&found, Ok(&conf), Ok("Host2"));
    let [resource] = &resources[..] else { panic!("{resources:?}") };
    assert_eq!((resource.name.as_str(), &resource.role), ("drbdvm", &Role::Secondary));
    assert_eq!(resource.write_ordering, Known::Is(WriteOrdering::Flush));
    let volume = &resource.volumes[0];
    assert_eq!(volume.backing_device.as_deref(), Some("/dev/universe/drbdvm-disk"));
    let options = volume.options.value().unwrap();
    assert!(!options.disk_barrier && options.disk_flushes && options.on_io_error == OnIoError::Detach);
    let connection = &resource.connections[0];
    assert_eq!((connection.peer.as_str(), &connection.peer_role), ("Host1", &Role::Primary));
}

#[test]
fn what_the_flags_tell_of_frozen_i_o() {
    for (flags, suspended) in [("r-----", false), ("s-----", true), ("r--u--", false), ("r----s", false)] {
        let found = read(&minor(&CONNECTED.replace("r-----", flags)), CONF);
        let expected = Suspended { user: suspended, no_data: false, fencing: false, quorum: false };
        assert_eq!(found[0].suspended, expected, "{flags}");
    }
}

#[test]
fn a_minor_that_drbd_conf_does_not_have() {
    let duplicate = format!("{CONF} resource third {{ on a {{ device minor 3; }} }}");
    let foreign = CONF.replace("on a ", "on c ");
    let broken = "resource r { on a { device; } }";
    for (conf, why) in [
        ("", "drbd.conf has no resource with minor 3"),
        (foreign.as_str(), "drbd.conf has no resource with minor 3"),
        (duplicate.as_str(), "drbd.conf has more than one volume with minor 3"),
        (broken, "/etc/drbd.conf:1:21: this needs a device: `resource r { on a { device; } }`"),
        ("oops", "/etc/drbd.conf:1:1: this statement does not end: `oops`"),
    ] {
        let found = read(&minor(CONNECTED), conf);
        let [resource] = &found[..] else { panic!("{found:?}") };
        assert_eq!((resource.name.as_str(), &resource.role), ("minor-3", &Role::Primary));
        assert_eq!(resource.on_no_data, Known::Unknown(why.into()));
        assert_eq!(resource.write_ordering, Known::Is(WriteOrdering::Flush));
        assert_eq!(resource.volumes[0].options, Known::Unknown(why.into()));
        assert_eq!((resource.volumes[0].minor, &resource.volumes[0].backing_device), (3, &None));
        let connection = &resource.connections[0];
        assert_eq!((connection.peer.as_str(), &connection.state), ("peer", &ConnectionState::Connected));
        assert_eq!(connection.protocol, Known::Is(Protocol::C));
        assert_eq!(connection.two_primaries, Known::Unknown(why.into()));
        assert_eq!(connection.fencing, Known::Unknown(why.into()));
    }
    let found = proc::parse(&minor(CONNECTED)).unwrap();
    let conf = Conf::parse("f", CONF).unwrap();
    let unnamed = assemble(&found, Ok(&conf), Err("the host has no name".into()));
    assert_eq!(unnamed[0].on_no_data, Known::Unknown("the host has no name".into()));
    let unread = assemble(&found, Err("no drbd.conf".into()), Ok("a"));
    assert_eq!((unread[0].name.as_str(), &unread[0].volumes[0].disk), ("minor-3", &DiskState::UpToDate));
}

#[test]
fn one_broken_resource_does_not_hide_another() {
    let conf = format!("{CONF} resource r {{ on a {{ device; }} }}");
    assert_eq!(read(&minor(CONNECTED), &conf)[0].name, "drbdvm");
}

#[test]
fn options_that_cannot_be_read_are_unknown_one_by_one() {
    let conf = CONF.replacen(
        '{',
        "{ net { allow-two-primaries maybe; } disk { disk-timeout x; fencing resource-only; }",
        1,
    );
    let found = read(&minor(CONNECTED), &conf);
    let Known::Unknown(why) = &found[0].volumes[0].options else { panic!() };
    assert!(why.starts_with("/etc/drbd.conf:1:") && why.contains("this is not a number"), "{why}");
    let connection = &found[0].connections[0];
    let Known::Unknown(why) = &connection.two_primaries else { panic!() };
    assert!(why.contains("yes or no"), "{why}");
    assert_eq!(connection.fencing, Known::Is(Fencing::ResourceOnly));
    assert_eq!(connection.data_integrity, Known::Is(None));
}

#[test]
fn the_connection_without_a_network() {
    let found = read(&minor("3: cs:StandAlone ro:Primary/Unknown ds:UpToDate/Outdated   r-----"), CONF);
    let connection = &found[0].connections[0];
    let why = Known::Unknown("drbd has no network configuration for it".into());
    assert_eq!((connection.peer.as_str(), &connection.protocol), ("b", &why));
    assert_eq!(connection.two_primaries, Known::Unknown("drbd has no network configuration for it".into()));
    assert_eq!(connection.fencing, Known::Is(Fencing::DontCare));
    let found = read(&minor(&CONNECTED.replace(" C ", " X ")), CONF);
    let why = Known::Unknown("/proc/drbd tells protocol X, known are A to C".into());
    assert_eq!(found[0].connections[0].protocol, why);
}

#[test]
fn the_volume_furthest_from_the_peer_speaks_for_the_connection() {
    for (second, expected) in [
        ("WFReportParams", ConnectionState::Connecting),
        ("StandAlone", ConnectionState::StandAlone),
        ("SyncTarget", ConnectionState::Connected),
        ("Odd", ConnectionState::Other("Odd".into())),
    ] {
        let other = CONNECTED.replace("3: cs:Connected", &format!("4: cs:{second}"));
        let found = read(&format!("{} {other}\n    ns:0 wo:d\n", minor(CONNECTED)), CONF);
        assert_eq!(found[0].connections[0].state, expected);
        assert_eq!(found[0].write_ordering, Known::Unknown("its volumes differ in it".into()));
    }
}

#[test]
fn volumes_that_differ_in_their_fencing() {
    let conf = CONF.replacen("volume 1 {", "volume 1 { disk { fencing resource-only; }", 1);
    let both = format!("{} {}\n    ns:0 wo:f\n", minor(CONNECTED), CONNECTED.replace("3:", "4:"));
    let fencing = |conf| read(&both, conf)[0].connections[0].fencing.clone();
    assert_eq!(fencing(CONF), Known::Is(Fencing::DontCare));
    assert_eq!(fencing(&conf), Known::Unknown("its volumes differ in it".into()));
}

#[test]
fn which_host_is_this_one() {
    let floating = |second: &str| {
        format!(
            "resource f {{ floating 10.0.0.1:1 {{ device minor 3; disk /dev/x; }} floating 10.0.0.2:1 {{ {second} }} }}"
        )
    };
    let low = "resource low { device minor 1; disk /dev/l; on a { } on b { } }";
    let stacked = |below: &str| {
        format!(
            "{low} resource up {{ stacked-on-top-of {below} {{ device minor 3; }} on far {{ device minor 4; }} }}"
        )
    };
    let three = "resource t { device minor 3; disk /dev/x; on a { } on b { } on c { } }";
    for (conf, name, peer) in [
        (CONF.to_string(), "drbdvm", "b"),
        (floating("device minor 3; disk /dev/x;"), "f", "peer"),
        (floating("device minor 3; disk /dev/y;"), "minor-3", "peer"),
        (stacked("low"), "up", "far"),
        (stacked("other"), "minor-3", "peer"),
        (three.into(), "t", "peer"),
        ("resource none { }".into(), "minor-3", "peer"),
    ] {
        let found = read(&minor(CONNECTED), &conf);
        let told = (found[0].name.as_str(), found[0].connections[0].peer.as_str());
        assert_eq!(told, (name, peer), "{conf}");
    }
}

#[test]
#[allow(clippy::disallowed_methods)]
fn many_resources_take_a_moment() {
    let resources = (0..10_000)
        .map(|n| format!("resource r{n} {{ device minor {n}; disk /dev/x; on a {{ }} on b {{ }} }}\n"));
    let conf: String = resources.collect();
    let volumes: String = (10_000..40_000).map(|n| format!("volume {n} {{ device minor {n}; }}")).collect();
    let conf = format!("{conf} resource big {{ {volumes} on a {{ }} on b {{ }} }}");
    let minors: String = (0..40_000).map(|n| format!("{n}: {}\n", &CONNECTED[3..])).collect();
    let begun = std::time::Instant::now();
    let found = read(&format!("version: 8.4.11\n{minors}"), &conf);
    assert_eq!((found.len(), found[10_000].volumes.len()), (10_001, 30_000));
    assert!(begun.elapsed() < std::time::Duration::from_secs(30), "{:?}", begun.elapsed());
}
