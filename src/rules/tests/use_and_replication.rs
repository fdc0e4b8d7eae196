//! Who uses the device, and where the newest data is.

use super::*;

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
    assert_eq!(moved(|f| backend(f).vm = None), "incoming?");
    assert_eq!(moved(connection_lost), "incoming");
    assert_eq!(moved(|f| resource(f).connections[0].peer_volumes[0].disk = DiskState::Inconsistent), "incoming");
    assert_eq!(moved(|f| { second_volume(f); params("r0/0")(f); resource(f).volumes[1].disk = DiskState::Outdated }), "incoming");
    assert_eq!(moved(|f| resource(f).connections[0].protocol = Known::Is(Protocol::A)), "incoming protocol");
    assert_eq!(moved(|f| resource(f).connections[0].protocol = no()), "incoming? protocol?");
    assert_eq!(after(|f| { moves_in(f); peer(Role::Secondary)(f) }), "", "it has been let go there");

    assert_eq!(after(two), "warn:two-primaries");
    assert_eq!(after(|f| { two(f); peer(Role::Primary)(f) }), "peer-primary~ warn:two-primaries");
    assert_eq!(after(|f| { two(f); f.window = window("/vm/1") }), "");
    assert_eq!(after(|f| { two(f); f.claim = claim(Some(false)) }), "", "the peer has opened a window");
    assert_eq!(after(|f| { two(f); f.claim = claim(Some(true)) }), "warn:two-primaries");

    assert_eq!(after(disk(DiskState::UpToDate)), "");
    assert_eq!(after(disk(DiskState::Inconsistent)), "disk-state");
    assert_eq!(after(disk(DiskState::Outdated)), "disk-state");
    assert_eq!(after(disk(DiskState::Consistent)), "disk-state");
    assert_eq!(after(disk(DiskState::Diskless)), "diskless");
    assert_eq!(after(disk(DiskState::Failed)), "disk-state");
    assert_eq!(after(disk(DiskState::Attaching)), "disk-state~");
    assert_eq!(after(disk(DiskState::Negotiating)), "disk-state~");
    assert_eq!(after(disk(DiskState::Other("Sparkling".into()))), "disk-state");

    assert_eq!(after(connection(ConnectionState::StandAlone)), "standalone");
    assert_eq!(after(connection(ConnectionState::Disconnecting)), "standalone");
    assert_eq!(after(connection(ConnectionState::Connecting)), "");

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

    assert_eq!(after(users(user())), "other-guest");
    assert_eq!(after(users(User { leaving: true, ..user() })), "other-guest~");
    assert_eq!(after(users(User { live: false, ..user() })), "");
    assert_eq!(after(users(User { same_guest: true, ..user() })), "");
    assert_eq!(after(users(User { minor: 4, ..user() })), "");
    assert_eq!(after(|f| f.users = no()), "other-guest?");
}

fn connection_lost(facts: &mut Facts) {
    connection(ConnectionState::Timeout)(facts);
}

fn claim(two_primaries: Option<bool>) -> Known<Option<Claim>> {
    Known::Is(Some(Claim { two_primaries, ..Claim::new("r0") }))
}
