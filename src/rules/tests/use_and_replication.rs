//! Who uses the device, and where the newest data is.

use super::*;

/// The peer is out of sight, as 8.4 shows it.
fn lost(state: ConnectionState, peer_disk: DiskState) -> impl Fn(&mut Facts) {
    move |facts| {
        let connection = &mut resource(facts).connections[0];
        connection.state = state.clone();
        connection.peer_role = Role::Unknown;
        let replication = ReplicationState::Off;
        connection.peer_volumes =
            vec![PeerVolume { number: 0, role: Role::Unknown, replication, disk: peer_disk.clone() }];
    }
}

/// The peer is being looked for, and nothing is known of it.
fn connecting(facts: &mut Facts) {
    lost(ConnectionState::Connecting, DiskState::DUnknown)(facts);
}

fn fencing(policy: Fencing) -> impl Fn(&mut Facts) {
    move |facts| resource(facts).connections[0].fencing = Known::Is(policy.clone())
}

/// The volume is resynced from the peer.
fn resync(disk: DiskState, replication: ReplicationState, peer_disk: DiskState) -> impl Fn(&mut Facts) {
    move |facts| {
        let resource = resource(facts);
        resource.volumes[0].disk = disk.clone();
        let peer = &mut resource.connections[0].peer_volumes[0];
        (peer.replication, peer.disk) = (replication.clone(), peer_disk.clone());
    }
}

fn generations(current_uuid: u64, bitmap_uuid: u64) -> impl Fn(&mut Facts) {
    move |facts| {
        let generations = Generations { current_uuid, bitmap_uuid, disk_flags: 0x13 };
        resource(facts).volumes[0].generations = Known::Is(generations);
    }
}

/// A guest has ended here while the peer was out of sight.
fn lone(minor: u32, current_uuid: u64) -> impl Fn(&mut Facts) {
    move |facts| {
        let volumes = vec![LoneVolume { minor, current_uuid }];
        facts.lone = Known::Is(Some(Lone { version: 1, resource: "r0".into(), volumes }));
    }
}

/// The rows of drbd.md 6.6, by their words.
#[test]
#[rustfmt::skip]
fn how_to_see_that_promotion_is_risky() {
    use {ConnectionState as C, DiskState as D, ReplicationState as R};

    // all connections Connected, own disk UpToDate, peer disk UpToDate or syncing
    assert_eq!(after(|_| ()), "");
    assert_eq!(after(resync(D::UpToDate, R::SyncSource, D::Inconsistent)), "");
    assert_eq!(after(resync(D::UpToDate, R::PausedSyncS, D::Inconsistent)), "");

    // connected, own disk Inconsistent/SyncTarget, peer UpToDate
    assert_eq!(after(resync(D::Inconsistent, R::SyncTarget, D::UpToDate)), "resync-target~~");
    assert_eq!(after(resync(D::Inconsistent, R::PausedSyncT, D::UpToDate)), "resync-target");
    assert_eq!(after(resync(D::Outdated, R::WFBitMapT, D::UpToDate)), "resync-target~~");
    assert_eq!(after(resync(D::Outdated, R::WFSyncUUID, D::UpToDate)), "resync-target~~");
    assert_eq!(after(resync(D::Outdated, R::StartingSyncT, D::UpToDate)), "resync-target~~");
    assert_eq!(after(resync(D::Inconsistent, R::SyncTarget, D::Inconsistent)), "disk-state");
    assert_eq!(after(resync(D::Inconsistent, R::Established, D::UpToDate)), "disk-state");
    assert_eq!(after(resync(D::Inconsistent, R::SyncSource, D::UpToDate)), "disk-state");

    // not connected, peer disk Outdated or Inconsistent
    assert_eq!(after(lost(C::Connecting, D::Outdated)), "");
    assert_eq!(after(lost(C::Connecting, D::Inconsistent)), "");
    assert_eq!(after(lost(C::StandAlone, D::Outdated)), "standalone");

    // not connected, peer disk DUnknown, fencing dont-care
    assert_eq!(after(connecting), "peer-unfenced~~");
    assert_eq!(after(lost(C::Connecting, D::Diskless)), "peer-unfenced~~");
    assert_eq!(after(lost(C::Connecting, D::UpToDate)), "peer-unfenced~~");
    assert_eq!(after(|f| { connecting(f); resource(f).connections[0].peer_volumes.clear() }), "peer-unfenced~~");
    assert_eq!(after(|f| { connecting(f); resource(f).connections[0].fencing = no() }), "peer-unfenced?");
    assert_eq!(after(|f| { connecting(f); fencing(Fencing::Other("maybe".into()))(f) }), "peer-unfenced?");
    assert_eq!(after(lost(C::Other("Pondering".into()), D::DUnknown)), "peer-unfenced");

    // not connected, DUnknown, fencing >= resource-only
    for policy in [Fencing::ResourceOnly, Fencing::ResourceAndStonith] {
        let lost = |state: C, disk: D| after(|f| { lost(state.clone(), disk.clone())(f); fencing(policy.clone())(f) });
        for state in [C::Connecting, C::Unconnected, C::Timeout, C::BrokenPipe, C::NetworkFailure, C::ProtocolError, C::TearDown] {
            assert_eq!(lost(state, D::DUnknown), "info:peer-unfenced~~");
        }
        assert_eq!(lost(C::StandAlone, D::DUnknown), "standalone", "nobody makes a connection");
        assert_eq!(lost(C::Other("Pondering".into()), D::DUnknown), "");
        assert_eq!(lost(C::Connecting, D::Outdated), "", "the peer is no danger");
        // Primary for no guest: it is made Secondary first, and DRBD asks the handler anew
        let primary = |peer_disk: D, claimed: bool| after(|f| {
            connecting(f);
            fencing(policy.clone())(f);
            resource(f).connections[0].peer_volumes[0].disk = peer_disk.clone();
            resource(f).volumes[0].role = Role::Primary;
            f.claim = Known::Is(claimed.then(|| Claim { promoted: vec![3], ..Claim::new("r0") }));
        });
        assert_eq!(primary(D::DUnknown, true), "info:peer-unfenced~~ info:held", "promoted for a guest that is gone");
        assert_eq!(primary(D::Outdated, true), "info:held", "the handler has established that");
        assert_eq!(primary(D::DUnknown, false), "info:peer-unfenced~~ info:held", "by hand");
    }

    // own disk Consistent: only through fencing success
    assert_eq!(after(|f| { connecting(f); disk(D::Consistent)(f) }), "disk-state~~ peer-unfenced~~");
    assert_eq!(after(|f| { connecting(f); disk(D::Consistent)(f); fencing(Fencing::ResourceOnly)(f) }), "info:disk-state~~ info:peer-unfenced~~");
    assert_eq!(after(|f| { disk(D::Consistent)(f); fencing(Fencing::ResourceOnly)(f) }), "disk-state");
    assert_eq!(after(|f| { lost(C::StandAlone, D::DUnknown)(f); disk(D::Consistent)(f) }), "disk-state standalone peer-unfenced");
    assert_eq!(after(|f| { lost(C::StandAlone, D::DUnknown)(f); disk(D::Consistent)(f); fencing(Fencing::ResourceOnly)(f) }), "standalone");

    // own disk Outdated: stale data; what DRBD does not promote alone needs no second refusal
    assert_eq!(after(disk(D::Outdated)), "disk-state");
    assert_eq!(after(|f| { connecting(f); disk(D::Outdated)(f) }), "disk-state");
    assert_eq!(after(|f| { connecting(f); disk(D::Inconsistent)(f) }), "disk-state");
    assert_eq!(after(|f| { connecting(f); disk(D::Diskless)(f) }), "diskless");

    // StandAlone although configured
    assert_eq!(after(lost(C::StandAlone, D::DUnknown)), "standalone peer-unfenced");
    assert_eq!(after(lost(C::Disconnecting, D::DUnknown)), "standalone peer-unfenced");

    // WFConnection/Connecting: the peer may just be booting
    for state in [C::Connecting, C::Unconnected, C::Timeout, C::BrokenPipe, C::NetworkFailure, C::ProtocolError, C::TearDown] {
        assert_eq!(after(lost(state, D::DUnknown)), "peer-unfenced~~");
    }

    // bitmap_uuid != 0 while disconnected: this node has already written without the peer
    let alone = |current, bitmap| move |f: &mut Facts| { connecting(f); generations(current, bitmap)(f); lone(3, 0x20)(f) };
    assert_eq!(after(alone(0x20, 0x11)), "");
    assert_eq!(after(alone(0x21, 0x11)), "", "as Primary");
    assert_eq!(after(alone(0x20, 0)), "peer-unfenced~~", "the peer has met it since");
    assert_eq!(after(alone(0x30, 0x11)), "peer-unfenced~~", "other data");
    assert_eq!(after(|f| { alone(0x20, 0x11)(f); lone(4, 0x20)(f) }), "peer-unfenced~~", "another volume");
    assert_eq!(after(|f| { alone(0x20, 0x11)(f); f.lone = Known::Is(None) }), "peer-unfenced~~", "another boot");
    assert_eq!(after(|f| { alone(0x20, 0x11)(f); f.lone = no() }), "peer-unfenced~~");
    assert_eq!(after(|f| { alone(0x20, 0x11)(f); resource(f).volumes[0].generations = no() }), "peer-unfenced~~");
    assert_eq!(after(|f| { alone(0x20, 0x11)(f); lost(C::StandAlone, D::DUnknown)(f) }), "standalone");
    let used = |role: Role| move |f: &mut Facts| {
        connecting(f);
        resource(f).volumes[0].role = role.clone();
        users(stub_domain())(f);
    };
    assert_eq!(after(used(Role::Primary)), "", "its stub domain runs already");
    assert_eq!(after(used(Role::Secondary)), "peer-unfenced~~");
    assert_eq!(after(|f| { used(Role::Primary)(f); users(User { minor: 4, ..stub_domain() })(f) }), "peer-unfenced~~ info:held");
    assert_eq!(after(|f| { used(Role::Primary)(f); users(User { live: false, ..stub_domain() })(f) }), "peer-unfenced~~ info:held");

    // no quorum; a node that has it makes certain that the others have none
    let quorum = |needed: bool, there: bool| move |f: &mut Facts| {
        let resource = resource(f);
        resource.needs_quorum = Known::Is(needed);
        resource.volumes[0].quorum = Known::Is(there);
    };
    assert_eq!(after(quorum(true, true)), "");
    assert_eq!(after(quorum(true, false)), "no-quorum");
    assert_eq!(after(|f| resource(f).volumes[0].quorum = no()), "no-quorum?");
    assert_eq!(after(|f| { connecting(f); quorum(true, true)(f) }), "");
    assert_eq!(after(|f| { connecting(f); quorum(false, true)(f) }), "peer-unfenced~~");
    assert_eq!(after(|f| { connecting(f); quorum(true, false)(f) }), "no-quorum");
    assert_eq!(after(|f| { connecting(f); resource(f).needs_quorum = no() }), "peer-unfenced~~");

    // res_susp*: I/O frozen
    assert_eq!(after(|f| resource(f).suspended.fencing = true), "io-suspended");
}

/// The peer said once that its disk is of these generations.
fn told(current_uuid: u64, bitmap_uuid: u64) -> impl Fn(&mut Facts) {
    move |facts| {
        let generations = Generations { current_uuid, bitmap_uuid, disk_flags: 0x13 };
        peer_resource(facts).volumes[0].generations = Known::Is(generations);
    }
}

/// The peer went on alone from 0x10, which this node had then.
#[test]
#[rustfmt::skip]
fn a_peer_that_is_known_to_be_newer() {
    use {ConnectionState as C, DiskState as D};
    let newer = |change: fn(&mut Facts)| after(move |f| { connecting(f); fencing(Fencing::ResourceOnly)(f); told(0x20, 0x10)(f); change(f) });
    let waits = "info:peer-unfenced~~";
    assert_eq!(newer(|_| ()), format!("peer-newer~~ {waits}"));
    assert_eq!(newer(disk_is_consistent), format!("peer-newer~~ info:disk-state~~ {waits}"));
    assert_eq!(newer(|f| fencing(Fencing::DontCare)(f)), "peer-newer~~ peer-unfenced~~");
    assert_eq!(newer(|f| lost(C::StandAlone, D::DUnknown)(f)), "peer-newer standalone");
    assert_eq!(newer(|f| resource(f).connections[0].peer = "peer".into()), format!("peer-newer~~ {waits} warn:peer-durability-unknown?"), "8.4 has forgotten its address");
    assert_eq!(newer(|f| lost(C::Connecting, D::Outdated)(f)), "peer-newer~~", "fence-peer may have made it Outdated");
    assert_eq!(newer(|f| generations(0x11, 0)(f)), format!("peer-newer~~ {waits}"), "as Primary");
    assert_eq!(newer(|f| generations(0x30, 0x10)(f)), format!("peer-newer~~ {waits}"), "split brain");
    assert_eq!(newer(|f| { generations(0x30, 0x10)(f); lone(3, 0x30)(f) }), "peer-newer~~", "also for a guest that goes on here");
    assert_eq!(newer(|f| resource(f).volumes[0].generations = no()), format!("peer-newer? {waits}"));
    // An old answer: this node has what the peer wrote, or the peer has thrown it away.
    assert_eq!(newer(|f| generations(0x20, 0)(f)), waits, "resynced since");
    assert_eq!(newer(|f| generations(0x40, 0x20)(f)), waits, "and gone on alone from there");
    assert_eq!(newer(|f| generations(0x40, 0)(f)), waits, "and resynced again");
    assert_eq!(newer(|f| told(0x10, 0)(f)), waits, "it said later that it has nothing");
    assert_eq!(newer(|f| peer_resource(f).volumes[0].generations = no()), waits);
    assert_eq!(newer(|f| peer_resource(f).volumes.clear()), format!("{waits} warn:peer-durability-unknown?"));
    // Connected, DRBD knows better than an answer from an earlier time.
    assert_eq!(after(told(0x20, 0x10)), "");
    assert_eq!(after(|f| { told(0x20, 0x10)(f); disk(D::Outdated)(f) }), "disk-state");
    // What DRBD does not promote needs no second refusal.
    assert_eq!(newer(|f| disk(D::Outdated)(f)), "disk-state");
    assert_eq!(newer(|f| disk(D::Diskless)(f)), "diskless");
}

fn disk_is_consistent(facts: &mut Facts) {
    disk(DiskState::Consistent)(facts);
}

#[test]
fn what_is_waited_for_and_how_long() {
    let heals = |change: &dyn Fn(&mut Facts), settings: &str| {
        let mut facts = good();
        change(&mut facts);
        let verdict = evaluate(&facts, &Settings::parse("/x", settings).unwrap());
        (verdict.heals(), verdict.allows())
    };
    let fenced = |facts: &mut Facts| {
        connecting(facts);
        fencing(Fencing::ResourceOnly)(facts);
    };
    let lowered = "[resources.r0.rules]\npeer-unfenced = { severity = \"warn\", reason = \"x\" }\n";
    let unfit = |facts: &mut Facts| {
        fenced(facts);
        facts.swap = Known::Is(true);
    };
    let used = |facts: &mut Facts| {
        fenced(facts);
        users(User { leaving: true, ..user() })(facts);
    };
    assert_eq!(heals(&|_| (), ""), (Heals::Never, true));
    assert_eq!(heals(&connecting, ""), (Heals::Connecting, false), "wait, then refuse");
    assert_eq!(heals(&fenced, ""), (Heals::Connecting, true), "wait, then allow");
    assert_eq!(heals(&connecting, lowered), (Heals::Never, true), "somebody looks at the peer");
    assert_eq!(heals(&unfit, ""), (Heals::Never, false), "what does not pass is refused at once");
    assert_eq!(heals(&used, ""), (Heals::Soon, false));
}

/// The volume that is asked for counts, and the peer's half of it.
#[test]
fn each_volume_has_a_peer_of_its_own() {
    let two = |first: DiskState, second: DiskState| {
        move |facts: &mut Facts| {
            second_volume(facts);
            params("r0/1")(facts);
            connecting(facts);
            let volume = |number, disk: &DiskState| PeerVolume {
                number,
                role: Role::Unknown,
                replication: ReplicationState::Off,
                disk: disk.clone(),
            };
            resource(facts).connections[0].peer_volumes = vec![volume(0, &first), volume(1, &second)];
        }
    };
    assert_eq!(after(two(DiskState::DUnknown, DiskState::Outdated)), "");
    assert_eq!(after(two(DiskState::Outdated, DiskState::DUnknown)), "peer-unfenced~~");
}

#[test]
fn frozen_io_is_thawed_by_hand_only_where_nothing_else_freezes_it() {
    let advises_resume = |suspended: Suspended| {
        let mut facts = good();
        resource(&mut facts).suspended = suspended;
        let verdict = evaluate(&facts, &Settings::default());
        let found = verdict.refusals().next().unwrap();
        assert_eq!(found.rule, "io-suspended");
        found.found.remedy.contains("resume-io")
    };
    let by_hand = Suspended { user: true, no_data: false, fencing: false, quorum: false };
    assert!(advises_resume(by_hand.clone()));
    assert!(!advises_resume(Suspended { fencing: true, ..by_hand.clone() }));
    assert!(!advises_resume(Suspended { no_data: true, ..by_hand.clone() }));
    assert!(!advises_resume(Suspended { quorum: true, ..by_hand }));
}

#[test]
fn the_remedy_names_what_to_type_and_where() {
    let mut facts = good();
    connecting(&mut facts);
    let verdict = evaluate(&facts, &Settings::default());
    let remedy = &verdict.refusals().next().unwrap().found.remedy;
    for words in [
        "there: drbdadm up r0",
        "disk { fencing resource-only; }",
        "drbdadm adjust r0",
        "[resources.\"r0\".rules] peer-unfenced = { severity = \"warn\", reason = \"WHY\" }",
    ] {
        assert!(remedy.contains(words), "{remedy}");
    }
    let (_, table) = remedy.split_once("block-drbd.toml: ").unwrap();
    let settings = Settings::parse("file", &table.replace("] ", "]\n")).unwrap();
    assert!(evaluate(&facts, &settings).allows());
}

#[test]
#[rustfmt::skip]
fn decision_tables() {
    assert_eq!(after(|_| ()), "");

    assert_eq!(after(params("all")), "resource-name");
    assert_eq!(after(params("r0/0")), "");
    assert_eq!(after(|f| { f.target = Err("no".into()); f.backend = no() }), "resource-name?");

    assert_eq!(after(|f| f.resource = Known::Is(None)), "resource-unknown");
    assert_eq!(after(|f| f.resource = no()), "resource-unknown?");

    assert_eq!(after(second_volume), "volume");
    assert_eq!(after(|f| { second_volume(f); params("r0/1")(f) }), "");
    assert_eq!(after(params("r0/1")), "volume");
    assert_eq!(after(|f| resource(f).volumes.clear()), "volume");

    assert_eq!(after(peer(Role::Primary)), "peer-primary~");
    assert_eq!(after(peer(Role::Secondary)), "");
    assert_eq!(after(peer(Role::Unknown)), "");

    let moved = |change: fn(&mut Facts)| after(move |f| { moves_in(f); change(f) });
    let two = |f: &mut Facts| resource(f).connections[0].two_primaries = Known::Is(true);
    assert_eq!(moved(|_| ()), "");
    assert_eq!(moved(|f| f.receiving = Known::Is(false)), "peer-primary~", "anybody may call a guest so");
    assert_eq!(moved(|f| f.receiving = no()), "peer-primary~");
    assert_eq!(moved(|f| backend(f).guest = Some("vm".into())), "peer-primary~");
    assert_eq!(moved(|f| f.window = window("/vm/1")), "", "its second disk");
    assert_eq!(moved(|f| f.window = window("/vm/2")), "incoming~");
    assert_eq!(moved(|f| f.window = no()), "incoming?");
    assert_eq!(moved(|f| backend(f).vm = None), "incoming?");
    assert_eq!(moved(connecting), "incoming peer-unfenced~~");
    assert_eq!(moved(|f| { connecting(f); fencing(Fencing::ResourceOnly)(f) }), "incoming info:peer-unfenced~~");
    assert_eq!(moved(lost_and_outdated), "incoming", "it cannot be: the guest comes from there");
    assert_eq!(moved(|f| { lost_and_outdated(f); resource(f).volumes[0].role = Role::Primary; users(other_half())(f) }), "", "it comes from here");
    assert_eq!(moved(|f| resource(f).connections[0].peer_volumes[0].disk = DiskState::Inconsistent), "incoming");
    assert_eq!(moved(|f| { second_volume(f); params("r0/0")(f); resource(f).volumes[1].disk = DiskState::Outdated }), "incoming");
    assert_eq!(moved(|f| resource(f).connections[0].protocol = Known::Is(Protocol::A)), "incoming protocol");
    assert_eq!(moved(|f| resource(f).connections[0].protocol = no()), "incoming? protocol?");
    assert_eq!(moved(|f| peer(Role::Secondary)(f)), "incoming", "nobody has the disk that it left");
    assert_eq!(moved(|f| peer(Role::Unknown)(f)), "incoming");
    assert_eq!(moved(|f| resource(f).connections.clear()), "incoming");
    assert_eq!(moved(|f| resource(f).connections[0].peer_volumes.clear()), "incoming");
    let in_use = |role: Role, other: User| after(|f| { moves_in(f); peer(Role::Secondary)(f); resource(f).volumes[0].role = role.clone(); users(other.clone())(f) });
    assert_eq!(in_use(Role::Primary, other_half()), "");
    assert_eq!(in_use(Role::Secondary, other_half()), "incoming");
    assert_eq!(in_use(Role::Primary, User { live: false, ..other_half() }), "incoming info:held");
    assert_eq!(in_use(Role::Primary, stub_domain()), "incoming", "its stub domain alone does not bring it");
    assert_eq!(in_use(Role::Primary, user()), "incoming other-guest");
    let told = |users: Known<Vec<VolumeUser>>| after(|f| { moves_in(f); f.at_source = users.clone() });
    let nameless = VolumeUser { vm: None, ..at_source(0, "") };
    assert_eq!(told(Known::Is(vec![at_source(0, "/vm/1")])), "", "the source says so");
    assert_eq!(told(Known::Is(vec![at_source(0, "/vm/2")])), "incoming", "another guest has it there");
    let called = |name: Option<&str>| told(Known::Is(vec![VolumeUser { guest: name.map(String::from), ..at_source(0, "/vm/1") }]));
    assert_eq!(called(Some("copy")), "incoming", "a copied configuration has the uuid, too");
    assert_eq!(told(Known::Is(vec![VolumeUser { guest: Some("copy".into()), ..nameless.clone() }])), "incoming");
    let comes_as = |devid: Option<u32>| told(Known::Is(vec![VolumeUser { devid, ..at_source(0, "/vm/1") }]));
    assert_eq!(comes_as(Some(51728)), "incoming", "its second disk there is its first here");
    assert_eq!(comes_as(None), "warn:incoming-unproven", "an older version does not tell");
    assert_eq!(called(Some("vm--migratedaway")), "", "it is about to let the disk go");
    assert_eq!(called(None), "warn:incoming-unproven");
    assert_eq!(told(Known::Is(vec![at_source(0, "/vm/1"), at_source(1, "/vm/2")])), "incoming", "the other volume stays Primary there");
    assert_eq!(told(Known::Is(vec![at_source(0, "/vm/1"), at_source(1, "/vm/1")])), "");
    assert_eq!(told(Known::Is(vec![at_source(1, "/vm/1")])), "incoming", "it has another disk there");
    assert_eq!(told(Known::Is(vec![])), "incoming", "no guest has it there");
    assert_eq!(told(Known::Is(vec![nameless])), "warn:incoming-unproven");
    assert_eq!(told(no()), "warn:incoming-unproven");
    assert_eq!(after(|f| f.at_source = no()), "", "a guest that starts comes from nowhere");
    assert_eq!(after(|f| { in_turn(f); f.at_source = no() }), "", "it comes from this host");
    let volumes = |first: Role, second: Role| move |f: &mut Facts| {
        second_volume(f);
        params("r0/0")(f);
        moves_in(f);
        let peers = &mut resource(f).connections[0].peer_volumes;
        (peers[0].role, peers[1].role) = (first.clone(), second.clone());
    };
    assert_eq!(after(volumes(Role::Primary, Role::Primary)), "");
    let disks = |disks: Known<Vec<Target>>| after(|f| { volumes(Role::Primary, Role::Primary)(f); f.own_targets = disks.clone() });
    let disk_on = |volume| Target { resource: "r0".into(), volume: Some(volume) };
    assert_eq!(disks(Known::Is(vec![disk_on(0), disk_on(1)])), "");
    assert_eq!(disks(Known::Is(vec![disk_on(0)])), "incoming", "another guest has the second volume there");
    assert_eq!(disks(Known::Is(vec![disk_on(0), Target { resource: "r1".into(), volume: Some(1) }])), "incoming");
    assert_eq!(disks(no()), "incoming?");
    assert_eq!(after(volumes(Role::Primary, Role::Secondary)), "");
    assert_eq!(after(volumes(Role::Secondary, Role::Primary)), "incoming", "another volume is in use there");

    assert_eq!(after(two), "warn:two-primaries");
    assert_eq!(after(|f| { two(f); peer(Role::Primary)(f) }), "peer-primary~ warn:two-primaries");
    assert_eq!(after(|f| { two(f); f.window = window("/vm/1") }), "peer-primary~", "the peer could become Primary, too");
    assert_eq!(after(|f| f.window = window("/vm/1")), "", "the window has ended, and only its record is left");
    assert_eq!(after(|f| { two(f); f.window = no() }), "peer-primary?");
    assert_eq!(after(|f| { two(f); f.claim = claim(Some(false)) }), "", "the peer has opened a window");
    assert_eq!(after(|f| { two(f); f.claim = claim(Some(true)) }), "warn:two-primaries");

    let aside = |f: &mut Facts| f.quarantine = Known::Is(Some(quarantine()));
    assert_eq!(after(aside), "quarantined");
    assert_eq!(after(|f| { aside(f); f.backend = no() }), "quarantined", "a dry run");
    assert_eq!(after(|f| f.quarantine = no()), "quarantined?");
    assert_eq!(moved(aside), "quarantined", "a guest that moves in does not bring it back");
    assert_eq!(after(|f| { aside(f); params("all")(f) }), "resource-name");

    assert_eq!(after(disk(DiskState::UpToDate)), "");
    assert_eq!(after(disk(DiskState::Inconsistent)), "disk-state");
    assert_eq!(after(disk(DiskState::Outdated)), "disk-state");
    assert_eq!(after(disk(DiskState::Consistent)), "disk-state");
    assert_eq!(after(disk(DiskState::Diskless)), "diskless");
    assert_eq!(after(disk(DiskState::Failed)), "disk-state");
    assert_eq!(after(disk(DiskState::Attaching)), "disk-state~");
    assert_eq!(after(disk(DiskState::Negotiating)), "disk-state~");
    assert_eq!(after(disk(DiskState::Other("Sparkling".into()))), "disk-state");

    assert_eq!(after(|f| resource(f).suspended.user = true), "io-suspended");
    assert_eq!(after(|f| resource(f).suspended.fencing = true), "io-suspended");
    assert_eq!(after(|f| resource(f).suspended.no_data = true), "io-suspended");
    assert_eq!(after(|f| resource(f).suspended.quorum = true), "io-suspended");

    assert_eq!(after(|f| f.mounts = Known::Is(vec!["/mnt".into()])), "mounted");
    assert_eq!(after(|f| f.mounts = no()), "mounted?");
    assert_eq!(after(|f| f.swap = Known::Is(true)), "swap");
    assert_eq!(after(|f| f.swap = no()), "swap?");
    assert_eq!(after(|f| f.holders = Known::Is(vec!["dm-0".into()])), "held");
    assert_eq!(after(|f| f.holders = no()), "held?");
    assert_eq!(after(|f| f.claim = no()), "held?");

    let primary = |openers: &Known<Vec<String>>, claim: Option<Claim>| after(|f| {
        resource(f).volumes[0].role = Role::Primary;
        f.openers = openers.clone();
        f.claim = Known::Is(claim.clone());
    });
    let (nobody, somebody) = (Known::Is(Vec::new()), Known::Is(vec!["qemu-system-i38 (pid 9)".to_string()]));
    let ours = |promoted: Vec<u32>| Some(Claim { promoted, ..Claim::new("r0") });
    assert_eq!(primary(&nobody, None), "info:held", "a start asks DRBD");
    assert_eq!(primary(&no(), None), "info:held");
    assert_eq!(primary(&somebody, None), "held~");
    assert_eq!(primary(&nobody, ours(vec![])), "info:held");
    assert_eq!(primary(&nobody, ours(vec![4])), "info:held", "another volume");
    assert_eq!(primary(&nobody, ours(vec![3])), "info:held", "a pending release proves nothing of who has it open");
    let killed = |domid| ours(vec![3]).map(|claim| Claim { users: vec![Claimant { domid, devid: 51712, minor: 3, unproven: None }], ..claim });
    assert_eq!(primary(&nobody, killed(4)), "info:held", "an add that was killed");
    assert_eq!(primary(&nobody, killed(5)), "info:held", "an add of this very guest that was killed");
    assert_eq!(primary(&somebody, killed(5)), "held~");
    assert_eq!(primary(&somebody, ours(vec![3])), "held~");
    assert_eq!(after(|f| { resource(f).volumes[0].role = Role::Primary; users(stub_domain())(f) }), "");

    assert_eq!(after(users(user())), "other-guest");
    assert_eq!(after(users(User { leaving: true, ..user() })), "other-guest~");
    assert_eq!(after(users(User { guest: None, vm: None, ..user() })), "other-guest", "its domain is no more");
    assert_eq!(after(users(User { guest: None, vm: None, leaving: true, ..user() })), "other-guest~");
    assert_eq!(after(users(User { live: false, ..user() })), "");
    assert_eq!(after(users(other_half())), "other-guest", "a copied configuration has the uuid, too");
    assert_eq!(after(users(User { guest: Some("vm--incoming".into()), ..other_half() })), "other-guest", "it may still be started");
    assert_eq!(after(users(User { guest: Some("vm--migratedaway".into()), ..other_half() })), "other-guest", "it may still be resumed");
    assert_eq!(after(users(User { leaving: true, ..other_half() })), "other-guest~", "before a reboot the disk is closed");
    assert_eq!(after(users(stub_domain())), "", "its stub domain");
    assert_eq!(after(|f| { users(user())(f); backend(f).target = Some(7) }), "", "the guest of this stub domain");
    assert_eq!(after(users(User { target: Some(6), ..user() })), "other-guest", "the stub domain of another guest");
    assert_eq!(after(users(User { domid: 5, devid: 51728, ..user() })), "other-guest", "its own second disk");
    assert_eq!(after(users(User { domid: 5, devid: 51728, leaving: true, ..user() })), "other-guest~");

    let half = |other: User| move |f: &mut Facts| { in_turn(f); users(other.clone())(f) };
    assert_eq!(after(half(other_half())), "", "the guest moves within this host");
    assert_eq!(after(half(User { guest: Some("vm--migratedaway".into()), ..other_half() })), "");
    assert_eq!(after(half(User { devid: 51728, ..other_half() })), "incoming other-guest", "its second disk there is its first here");
    assert_eq!(after(users(User { devid: 51728, ..stub_domain() })), "other-guest", "another disk of its guest");
    assert_eq!(after(half(User { guest: Some("copy".into()), ..other_half() })), "incoming other-guest", "another guest with the same uuid");
    assert_eq!(after(half(User { guest: Some("vm--incoming".into()), ..other_half() })), "incoming other-guest", "no second half of the same kind");
    assert_eq!(after(half(User { guest: None, ..other_half() })), "incoming other-guest");
    assert_eq!(after(half(User { vm: None, ..other_half() })), "incoming other-guest");
    assert_eq!(after(half(User { vm: Some("/vm/7".into()), ..other_half() })), "incoming other-guest", "another guest with the same name");
    assert_eq!(after(|f| { half(other_half())(f); backend(f).vm = None }), "incoming other-guest");
    assert_eq!(after(|f| { half(other_half())(f); f.receiving = Known::Is(false) }), "other-guest");

    // Two guests on two volumes of one resource.
    let on_second = |other: User| move |f: &mut Facts| { second_volume(f); params("r0/0")(f); users(User { minor: 4, ..other.clone() })(f) };
    assert_eq!(after(on_second(user())), "resource-shared");
    assert_eq!(after(on_second(User { leaving: true, ..user() })), "resource-shared~");
    assert_eq!(after(on_second(User { live: false, ..user() })), "");
    assert_eq!(after(on_second(User { domid: 5, devid: 51728, ..user() })), "", "the guest's own second disk");
    assert_eq!(after(on_second(stub_domain())), "");
    assert_eq!(after(|f| { on_second(user())(f); f.backend = no() }), "resource-shared", "a dry run");
    assert_eq!(after(|f| { on_second(user())(f); moves_in(f) }), "incoming resource-shared", "both nodes would stay Primary");
    assert_eq!(after(|f| { in_turn(f); on_second(other_half())(f); resource(f).volumes[0].role = Role::Secondary; resource(f).connections[0].peer_volumes[0].role = Role::Primary }), "", "its other half");

    // A guest past DRBD.
    let lower = |live, leaving| LowerUser { domid: 7, device: Known::Is("vda".into()), live, leaving };
    let past = |users: Vec<LowerUser>| after(|f| f.lower_users = Known::Is(users.clone()));
    assert_eq!(past(vec![lower(true, false)]), "other-guest", "the disk below the volume");
    assert_eq!(past(vec![lower(true, true)]), "other-guest~", "it is leaving");
    assert_eq!(past(vec![lower(true, true), lower(true, false)]), "other-guest", "another one stays");
    assert_eq!(past(vec![lower(false, true)]), "", "its device is closed");
    assert_eq!(past(vec![LowerUser { device: no(), ..lower(true, true) }]), "other-guest?", "only the kernel lists it");
    assert_eq!(after(|f| f.lower_users = no()), "other-guest?");

    // Before Xen 4.2 a guest can write all of that itself.
    for xen in [Known::Is((4, 1)), no()] {
        let old = |change: &dyn Fn(&mut Facts)| after(|f| { change(f); f.node.xen = xen.clone() });
        assert_eq!(old(&|_| ()), "");
        assert_eq!(old(&half(other_half())), "other-guest");
        assert_eq!(old(&users(stub_domain())), "other-guest");
        assert_eq!(old(&moves_in), "peer-primary~");
    }
    assert_eq!(after(users(User { minor: 4, ..user() })), "resource-shared", "another volume");
    assert_eq!(after(|f| f.users = no()), "other-guest?");
}

/// The domain in which the device model of our own guest runs.
fn stub_domain() -> User {
    User { target: Some(5), ..user() }
}

/// Our own guest moves within this host.
fn in_turn(facts: &mut Facts) {
    moves_in(facts);
    peer(Role::Secondary)(facts);
    resource(facts).volumes[0].role = Role::Primary;
    users(other_half())(facts);
}

fn lost_and_outdated(facts: &mut Facts) {
    lost(ConnectionState::Connecting, DiskState::Outdated)(facts);
}

fn claim(two_primaries: Option<bool>) -> Known<Option<Claim>> {
    Known::Is(Some(Claim { two_primaries, ..Claim::new("r0") }))
}
