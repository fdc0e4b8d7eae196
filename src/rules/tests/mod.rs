//! The rules as decision tables: what each says of one changed fact.

mod configuration;
mod durability;
mod handlers;
mod use_and_replication;

use super::*;
use crate::config::Settings;
use crate::event::drbd::EventName;
use crate::facts::storage::*;
use crate::facts::*;
use crate::target::Target;

/// A resource in good order: Secondary on both nodes, connected, UpToDate.
pub(crate) fn healthy() -> Resource {
    let volume = Volume {
        number: 0,
        minor: 3,
        role: Role::Secondary,
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
        data: Known::Is("vda".into()),
        meta: Known::Is("vda".into()),
        quorum: Known::Is(true),
        generations: Known::Is(Generations { current_uuid: 0x10, bitmap_uuid: 0, disk_flags: 0x13 }),
    };
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
    let fence_peer = HandlerEntry {
        event: "fence-peer".into(),
        command: "/usr/lib/drbd/fence.sh".into(),
        program: Known::Is(Program { path: "/usr/lib/drbd/fence.sh".into(), kind: ProgramKind::Executable }),
        place: "/etc/drbd.conf:2:3".into(),
    };
    Resource {
        name: "r0".into(),
        source: Source::Kernel,
        role: Role::Secondary,
        suspended: Suspended { user: false, no_data: false, fencing: false, quorum: false },
        write_ordering: Known::Is(WriteOrdering::Flush),
        on_no_data: Known::Is(OnNoData::IoError),
        handlers: Known::Is(vec![fence_peer]),
        users: Known::Is(Vec::new()),
        needs_quorum: Known::Is(false),
        volumes: vec![volume],
        connections: vec![connection],
    }
}

/// The same with nobody on it, and a guest that wants it.
pub(crate) fn good() -> Facts {
    Facts {
        node: node("a"),
        now: 1_000_000,
        backend: Known::Is(Some(Backend {
            domid: 5,
            devid: 51712,
            params: b"r0".to_vec(),
            state: "2".into(),
            physical_device: None,
            guest: Some("vm".into()),
            vm: Some("/vm/1".into()),
            target: None,
        })),
        target: Target::parse(b"r0"),
        resource: Known::Is(Some(healthy())),
        major: Known::Is(147),
        vbds: Known::Is(Vec::new()),
        users: Known::Is(Vec::new()),
        lower_users: Known::Is(Vec::new()),
        mounts: Known::Is(Vec::new()),
        swap: Known::Is(false),
        holders: Known::Is(Vec::new()),
        openers: Known::Is(Vec::new()),
        claim: Known::Is(None),
        lone: Known::Is(None),
        window: Known::Is(None),
        quarantine: Known::Is(None),
        receiving: Known::Is(false),
        expected: Known::Is(None),
        own_targets: Known::Is(vec![Target { resource: "r0".into(), volume: None }]),
        at_source: Known::Is(Vec::new()),
        devices: devices(),
        peers: Known::Is(vec![answer()]),
        last_flush: Known::Is(None),
    }
}

/// What the peer says: the same as here.
fn answer() -> PeerAnswer {
    let facts = NodeFacts {
        version: FACTS_VERSION,
        at: 999_000,
        node: node("b"),
        resources: Known::Is(vec![healthy()]),
        devices: devices(),
    };
    PeerAnswer { peer: "b".into(), connections: vec!["10.0.0.2:7792".into()], at: 999_000, facts }
}

/// A host on which a flush means something.
fn node(name: &str) -> Node {
    Node {
        host: Known::Is(name.into()),
        boot_id: Known::Is("1".into()),
        kernel: Known::Is("6.1.0-53-amd64".into()),
        xen: Known::Is((4, 17)),
        drbd: Known::Is("8.4.11".into()),
        disable_sendpage: Known::Is(true),
        usermode_helper: Known::Is("/sbin/drbdadm".into()),
        usermode_helper_kind: Known::Is(ProgramKind::Executable),
    }
}

/// A virtual disk with a cache that is flushed, below the DRBD device.
fn devices() -> Devices {
    let device = |kind, major, below: &[&str]| Device {
        kind,
        number: Known::Is(PhysicalDevice { major, minor: 3 }),
        names: Vec::new(),
        write_cache: Known::Is(WriteCache::WriteBack),
        fua: Known::Is(false),
        cache_type: Known::Is(None),
        rotational: Known::Is(false),
        model: None,
        below: Known::Is(below.iter().map(ToString::to_string).collect()),
        file: None,
        non_volatile: None,
    };
    Devices::from([
        ("drbd3".into(), device(DeviceKind::Drbd, 147, &["vda"])),
        ("vda".into(), device(DeviceKind::Virtio, 254, &[])),
    ])
}

fn user() -> User {
    User {
        domid: 7,
        devid: 51712,
        minor: 3,
        guest: Some("other".into()),
        vm: Some("/vm/7".into()),
        target: None,
        live: true,
        leaving: false,
    }
}

/// The half of our own guest that has not left yet.
fn other_half() -> User {
    User { guest: Some("vm".into()), vm: Some("/vm/1".into()), ..user() }
}

fn resource(facts: &mut Facts) -> &mut Resource {
    match &mut facts.resource {
        Known::Is(Some(resource)) => resource,
        _ => panic!("no resource"),
    }
}

fn answered(facts: &mut Facts) -> &mut PeerAnswer {
    match &mut facts.peers {
        Known::Is(answers) => &mut answers[0],
        Known::Unknown(_) => panic!("no peer"),
    }
}

fn peer_resource(facts: &mut Facts) -> &mut Resource {
    match &mut answered(facts).facts.resources {
        Known::Is(resources) => &mut resources[0],
        Known::Unknown(_) => panic!("no resource"),
    }
}

fn disk(state: DiskState) -> impl Fn(&mut Facts) {
    move |facts| resource(facts).volumes[0].disk = state.clone()
}

/// The role of every volume on the peer.
fn peer(role: Role) -> impl Fn(&mut Facts) {
    move |facts| {
        let connection = &mut resource(facts).connections[0];
        connection.peer_role = role.clone();
        connection.peer_volumes.iter_mut().for_each(|volume| volume.role = role.clone());
    }
}

/// A guest that moves in from a peer that is Primary.
fn moves_in(facts: &mut Facts) {
    peer(Role::Primary)(facts);
    facts.receiving = Known::Is(true);
    facts.at_source = Known::Is(vec![at_source(0, "/vm/1")]);
    backend(facts).guest = Some("vm--incoming".into());
}

/// What the peer says of a guest there.
fn at_source(volume: u32, vm: &str) -> VolumeUser {
    VolumeUser {
        volume,
        domid: 9,
        devid: Some(51712 + 16 * volume),
        guest: Some("vm".into()),
        vm: Some(vm.into()),
    }
}

fn backend(facts: &mut Facts) -> &mut Backend {
    match &mut facts.backend {
        Known::Is(Some(backend)) => backend,
        _ => panic!("no backend"),
    }
}

fn window(vm: &str) -> Known<Option<Window>> {
    let (resource, vm) = ("r0".into(), vm.into());
    Known::Is(Some(Window { version: 1, resource, vm, domid: 5, opened: 1_000_000 }))
}

fn quarantine() -> Quarantine {
    Quarantine {
        version: 1,
        resource: "r0".into(),
        event: EventName::SplitBrain,
        when: 1_000_000,
        node: "a".into(),
        reason: "has split".into(),
        guests: Known::Is(vec!["vm (domain 5)".into()]),
        act: Act::Pause,
        later: Vec::new(),
    }
}

fn params(text: &'static str) -> impl Fn(&mut Facts) {
    move |facts| facts.target = Target::parse(text.as_bytes())
}

fn second_volume(facts: &mut Facts) {
    let add = |volumes: &mut Vec<Volume>| {
        volumes.push(Volume { number: 1, minor: 4, ..volumes[0].clone() });
    };
    add(&mut resource(facts).volumes);
    let peers = &mut resource(facts).connections[0].peer_volumes;
    peers.push(PeerVolume { number: 1, ..peers[0].clone() });
    add(&mut peer_resource(facts).volumes);
    let drbd = facts.devices["drbd3"].clone();
    facts.devices.insert("drbd4".into(), drbd.clone());
    answered(facts).facts.devices.insert("drbd4".into(), drbd);
}

fn users(user: User) -> impl Fn(&mut Facts) {
    move |facts| facts.users = Known::Is(vec![user.clone()])
}

/// The rules that fire after `change`: what does not refuse with its severity, a `?` for what is
/// unknown, a `~` for what may heal soon and `~~` for what may heal when the peer is reached.
fn after(change: impl Fn(&mut Facts)) -> String {
    let mut facts = good();
    change(&mut facts);
    let mark = |finding: &Finding| {
        let found = &finding.found;
        let grave = match finding.severity {
            Severity::Refuse => "",
            Severity::Warn => "warn:",
            Severity::Info => "info:",
        };
        let mark = match (found.unknown, found.heals) {
            (true, _) => "?",
            (_, Heals::Soon) => "~",
            (_, Heals::Connecting) => "~~",
            (_, Heals::Never) => "",
        };
        assert!(!found.message.is_empty() && !found.remedy.is_empty());
        assert!(!found.message.contains(".,") && !found.message.ends_with('.'), "{}", found.message);
        format!("{grave}{}{mark}", finding.rule)
    };
    evaluate(&facts, &Settings::default()).findings.iter().map(mark).collect::<Vec<_>>().join(" ")
}

fn no<T>() -> Known<T> {
    Known::Unknown("no".into())
}

#[test]
fn ids_are_unique_and_written_with_dashes() {
    let mut ids: Vec<&str> = ALL.iter().map(|rule| rule.id).collect();
    assert!(ids.iter().all(|id| id.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')));
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), ALL.len());
}
