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
