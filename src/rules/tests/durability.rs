//! What a flush means: the rows of drbd.md section 2, on this node and on the peer.

use super::*;

/// Changes this node's half.
fn here(change: impl Fn(&mut Half)) -> impl Fn(&mut Facts) {
    move |facts| {
        let Known::Is(Some(resource)) = &mut facts.resource else { panic!("no resource") };
        change(&mut Half { node: &mut facts.node, devices: &mut facts.devices, resource });
    }
}

/// Changes the peer's half.
fn there(change: impl Fn(&mut Half)) -> impl Fn(&mut Facts) {
    move |facts| {
        let told = &mut answered(facts).facts;
        let Known::Is(resources) = &mut told.resources else { panic!("no resource") };
        change(&mut Half { node: &mut told.node, devices: &mut told.devices, resource: &mut resources[0] });
    }
}

struct Half<'a> {
    node: &'a mut Node,
    devices: &'a mut Devices,
    resource: &'a mut Resource,
}

impl Half<'_> {
    fn options(&mut self) -> &mut DiskOptions {
        let Known::Is(options) = &mut self.resource.volumes[0].options else { panic!("no options") };
        options
    }

    fn device(&mut self, name: &str) -> &mut Device {
        self.devices.get_mut(name).unwrap()
    }

    /// `disk-flushes no`, and what DRBD makes of it.
    fn drain(&mut self) {
        self.options().disk_flushes = false;
        self.resource.write_ordering = Known::Is(WriteOrdering::Drain);
    }

    fn disk(&mut self, cache: WriteCache) -> &mut Self {
        self.device("vda").write_cache = Known::Is(cache);
        self
    }

    fn scsi(&mut self, cache: CacheType) {
        self.device("vda").cache_type = Known::Is(Some(cache));
    }

    /// A dm device between DRBD and the disk.
    fn on_dm(&mut self, queue: WriteCache) {
        self.on(DeviceKind::DeviceMapper, queue);
    }

    /// A device of another kind there; it is called dm-0 all the same.
    fn on(&mut self, kind: DeviceKind, queue: WriteCache) {
        let dm = Device {
            kind,
            write_cache: Known::Is(queue),
            below: Known::Is(vec!["vda".into()]),
            ..self.device("vda").clone()
        };
        self.devices.insert("dm-0".into(), dm);
        self.device("drbd3").below = Known::Is(vec!["dm-0".into()]);
        self.resource.volumes[0].data = Known::Is("dm-0".into());
        self.resource.volumes[0].meta = Known::Is("dm-0".into());
    }

    fn versions(&mut self, kernel: &str, drbd: &str) {
        self.node.kernel = Known::Is(kernel.into());
        self.node.drbd = Known::Is(drbd.into());
    }
}

fn vouched(half: &mut Half) {
    half.device("vda").non_volatile = Some("battery".into());
}

#[test]
#[rustfmt::skip]
fn kernels_and_drbds() {
    for (kernel, drbd, fires) in [
        ("2.6.18-xen", "8.3.7", "barrier-era"),          // row 1
        ("2.6.32-5-xen-amd64", "8.3.7", "barrier-era"),  // row 1, the incident
        ("2.6.32-5-xen-amd64", "8.4.11", "barrier-era"), // row 1
        ("2.6.32-754.el6", "8.4.11", "barrier-era"),     // row 3, whose blkback nobody has verified
        ("2.6.37", "8.3.13", "barrier-era"),             // row 4
        ("3.2.0", "8.3.11", "barrier-era"),              // row 4
        ("3.2.0", "8.3.16", "barrier-era"),              // row 6, but there is no netlink to promote with
        ("2.6.37", "8.4.0", ""),                         // row 6
        ("3.10.0-957.el7", "8.4.11", ""),                // row 6
        ("6.1.0-53-amd64", "8.4.11", ""),                // row 6
        ("6.12.117", "9.2.19", ""),
        ("7.2.0", "9.3.3", ""),
        ("unknowable", "8.4.11", "barrier-era?"),
    ] {
        assert_eq!(after(here(|h| h.versions(kernel, drbd))), fires, "{kernel} {drbd}");
        assert_eq!(after(there(|h| h.versions(kernel, drbd))), fires, "peer: {kernel} {drbd}");
    }
    assert_eq!(after(here(|h| h.node.kernel = no())), "barrier-era?");
    assert_eq!(after(there(|h| h.node.drbd = no())), "barrier-era?");
    let mixed = |f: &mut Facts| { here(|h| h.versions("6.1.0", "9.2.19"))(f); there(|h| h.versions("3.2.0", "8.3.16"))(f) };
    assert_eq!(after(mixed), "barrier-era", "row 24");
    // Row 2: no cache is volatile, and the errors come anyway.
    let row = |h: &mut Half| { h.versions("2.6.32", "8.3.7"); h.disk(WriteCache::WriteThrough); };
    assert_eq!(after(here(row)), "barrier-era");
}

#[test]
#[rustfmt::skip]
fn write_ordering() {
    let order = |ordering| move |h: &mut Half| h.resource.write_ordering = Known::Is(ordering);
    assert_eq!(after(here(order(WriteOrdering::Flush))), "");                              // row 6
    assert_eq!(after(here(order(WriteOrdering::Barrier))), "");
    assert_eq!(after(here(order(WriteOrdering::None))), "write-order-none");               // row 10
    assert_eq!(after(there(order(WriteOrdering::None))), "write-order-none");
    assert_eq!(after(here(|h| { order(WriteOrdering::None)(h); vouched(h) })), "write-order-none");
    assert_eq!(after(here(|h| h.resource.write_ordering = no())), "write-order-none?");
    assert_eq!(after(there(|h| h.resource.write_ordering = no())), "write-order-none?");

    assert_eq!(after(here(|h| h.drain())), "write-order-drain");                             // row 7
    assert_eq!(after(there(|h| h.drain())), "write-order-drain");
    let safe = |h: &mut Half| { h.drain(); h.disk(WriteCache::WriteThrough); };
    assert_eq!(after(here(safe)), "");                                                     // row 8
    assert_eq!(after(there(safe)), "");
    assert_eq!(after(there(|h| { h.drain(); vouched(h) })), "");                           // row 8
    assert_eq!(after(there(|h| { h.drain(); h.scsi(CacheType::WriteThrough) })), "");
    assert_eq!(after(there(|h| { h.drain(); h.scsi(CacheType::None) })), "");
    assert_eq!(after(there(|h| { h.drain(); h.scsi(CacheType::WriteBack) })), "write-order-drain");
    assert_eq!(after(there(|h| { h.drain(); h.scsi(CacheType::Other("new".into())) })), "write-order-drain?");
    assert_eq!(after(there(|h| { h.drain(); h.device("vda").cache_type = no() })), "write-order-drain?");
    assert_eq!(after(there(|h| { h.drain(); h.resource.volumes[0].data = no() })), "write-order-drain?");
    assert_eq!(after(there(|h| { h.drain(); h.device("vda").below = no() })), "write-order-drain? cache-view?");
    assert_eq!(after(there(|h| { h.drain(); h.on_dm(WriteCache::WriteBack) })), "write-order-drain");

    assert_eq!(after(here(order(WriteOrdering::Drain))), "write-order-downgraded write-order-drain"); // row 9
    assert_eq!(after(there(|h| { order(WriteOrdering::Drain)(h); h.disk(WriteCache::WriteThrough); })), "write-order-downgraded");
    assert_eq!(after(there(|h| { order(WriteOrdering::Drain)(h); vouched(h); h.resource.volumes[0].options = no() })),
        "write-order-downgraded? md-flushes-off?");
}

#[test]
#[rustfmt::skip]
fn meta_data() {
    let off = |h: &mut Half| h.options().md_flushes = false;
    assert_eq!(after(here(off)), "md-flushes-off");                                        // row 11
    assert_eq!(after(there(off)), "md-flushes-off");
    assert_eq!(after(there(|h| { off(h); h.disk(WriteCache::WriteThrough); })), "");
    assert_eq!(after(there(|h| { off(h); vouched(h) })), "");
    assert_eq!(after(there(|h| { off(h); h.resource.volumes[0].meta = no() })), "md-flushes-off?");
    assert_eq!(after(here(|h| h.resource.volumes[0].options = no())), "md-flushes-off?");

    assert_eq!(after(here(|h| h.options().al_updates = false)), "al-updates-off");         // row 12
    assert_eq!(after(there(|h| h.options().al_updates = false)), "al-updates-off");
    assert_eq!(after(here(|h| h.options().al_updates = true)), "");
}

#[test]
#[rustfmt::skip]
fn what_the_queues_say() {
    // Row 17: the drive's own word against its queue's.
    let over = |h: &mut Half| { h.scsi(CacheType::WriteBack); h.disk(WriteCache::WriteThrough); };
    assert_eq!(after(here(over)), "cache-view");
    assert_eq!(after(there(over)), "cache-view");
    assert_eq!(after(there(|h| { over(h); vouched(h) })), "");
    assert_eq!(after(here(|h| { h.scsi(CacheType::WriteThrough); h.disk(WriteCache::WriteThrough); })), "");
    // Row 18: DRBD's queue over a volatile disk, since Linux 6.11.
    let drbd = |cache| move |h: &mut Half| h.device("drbd3").write_cache = Known::Is(cache);
    assert_eq!(after(here(drbd(WriteCache::WriteThrough))), "cache-view");
    assert_eq!(after(here(|h| { drbd(WriteCache::WriteThrough)(h); h.disk(WriteCache::WriteThrough); })), ""); // row 19
    // Row 22: device mapper.
    assert_eq!(after(here(|h| h.on_dm(WriteCache::WriteBack))), "");
    assert_eq!(after(here(|h| h.on_dm(WriteCache::WriteThrough))), "cache-view");
    assert_eq!(after(here(|h| { h.disk(WriteCache::WriteThrough); h.on_dm(WriteCache::WriteThrough) })), "");
    // Rows 20 and 21: bcache and md always say write back and pass flushes on.
    assert_eq!(after(here(|h| h.on(DeviceKind::Bcache(Known::Is("writeback".into())), WriteCache::WriteBack))), "");
    assert_eq!(after(here(|h| h.on(DeviceKind::Md(Known::Is("raid1".into())), WriteCache::WriteBack))), "");
    let mixed = |h: &mut Half| {
        h.on_dm(WriteCache::WriteBack);
        let through = Device { write_cache: Known::Is(WriteCache::WriteThrough), ..h.device("vda").clone() };
        h.devices.insert("vdb".into(), through);
        h.device("dm-0").below = Known::Is(vec!["vdb".into(), "vda".into()]);
    };
    assert_eq!(after(here(mixed)), "");                                                    // row 22
    assert_eq!(after(there(|h| { mixed(h); h.drain() })), "write-order-drain", "the weakest disk counts");
    // Row 23: a file whose file system does not flush.
    let file = |flushes: Known<bool>| {
        move |h: &mut Half| {
        h.on_dm(WriteCache::WriteBack);
        h.device("dm-0").file = Some(BackingFile { path: "/srv/disk".into(), flushes: flushes.clone() });
        }
    };
    assert_eq!(after(here(file(Known::Is(true)))), "");
    assert_eq!(after(here(file(Known::Is(false)))), "cache-view");
    assert_eq!(after(here(file(no()))), "cache-view?");

    assert_eq!(after(here(|h| { h.scsi(CacheType::WriteBack); h.device("vda").write_cache = no() })), "cache-view?");
    let old = |h: &mut Half| { h.versions("3.10.0", "8.4.11"); h.scsi(CacheType::WriteBack); h.device("vda").write_cache = no() };
    assert_eq!(after(here(old)), "", "before Linux 4.7 no queue could be set apart from its drive");
    assert_eq!(after(here(|h| { h.devices.remove("vda"); })), "cache-view?");
}

#[test]
#[rustfmt::skip]
fn replication() {
    let protocol = |protocol| move |f: &mut Facts| resource(f).connections[0].protocol = Known::Is(protocol);
    assert_eq!(after(protocol(Protocol::C)), "");
    assert_eq!(after(protocol(Protocol::B)), "protocol");                                  // row 13
    assert_eq!(after(protocol(Protocol::A)), "protocol");                                  // row 14
    assert_eq!(after(|f| resource(f).connections[0].protocol = no()), "protocol?");

    let diskless = |h: &mut Half| {
        h.resource.volumes[0].disk = DiskState::Diskless;
        h.resource.volumes[0].options = no();
        h.resource.volumes[0].data = no();
        h.resource.volumes[0].meta = no();
    };
    assert_eq!(after(here(diskless)), "diskless");                                         // row 15
    let peer_disk = |f: &mut Facts| resource(f).connections[0].peer_volumes[0].disk = DiskState::Diskless;
    assert_eq!(after(peer_disk), "warn:diskless");                                         // row 16
    assert_eq!(after(|f| { peer_disk(f); there(diskless)(f) }), "warn:diskless");

    let integrity = |name: Option<&str>| { let name = name.map(str::to_string); move |f: &mut Facts| {
        resource(f).connections[0].data_integrity = Known::Is(name.clone());
    }};
    assert_eq!(after(integrity(Some("crc32c"))), "warn:data-integrity-alg");
    assert_eq!(after(integrity(None)), "");
}

#[test]
#[rustfmt::skip]
fn the_peer() {
    let unknown = "warn:peer-durability-unknown?";
    assert_eq!(after(|f| f.peers = Known::Is(Vec::new())), unknown);
    assert_eq!(after(|f| f.peers = no()), unknown);
    assert_eq!(after(|f| answered(f).connections.clear()), unknown, "the answer is of another peer");
    assert_eq!(after(|f| resource(f).connections[0].peer = "b".into()), "", "DRBD 9 calls it by name");
    assert_eq!(after(|f| f.now = answered(f).at + 7 * 86_400), "");
    assert_eq!(after(|f| f.now = answered(f).at + 7 * 86_400 + 1), unknown);
    assert_eq!(after(|f| f.now = answered(f).at - 1), unknown, "it comes from the future");
    assert_eq!(after(|f| answered(f).facts.resources = no()), unknown);
    assert_eq!(after(|f| peer_resource(f).volumes.clear()), unknown);
}

#[test]
#[rustfmt::skip]
fn options() {
    assert_eq!(after(here(|h| h.options().disk_timeout = 30)), "warn:disk-timeout");
    assert_eq!(after(there(|h| h.options().disk_timeout = 30)), "warn:disk-timeout");
    assert_eq!(after(here(|h| h.options().disk_timeout = 0)), "");

    assert_eq!(after(here(|h| h.node.disable_sendpage = Known::Is(false))), "warn:sendpage");
    assert_eq!(after(there(|h| h.node.disable_sendpage = Known::Is(false))), "warn:sendpage");
    assert_eq!(after(here(|h| h.node.disable_sendpage = no())), "info:sendpage?");
    assert_eq!(after(here(|h| h.node.disable_sendpage = Known::Is(true))), "");

    assert_eq!(after(here(|h| h.options().on_io_error = OnIoError::PassOn)), "warn:on-io-error"); // row 25
    assert_eq!(after(here(|h| h.options().on_io_error = OnIoError::Other("7".into()))), "warn:on-io-error");
    assert_eq!(after(here(|h| h.options().on_io_error = OnIoError::CallLocalIoError)), "");

    assert_eq!(after(here(|h| h.resource.on_no_data = Known::Is(OnNoData::SuspendIo))), "info:on-no-data");
    assert_eq!(after(here(|h| h.resource.on_no_data = no())), "");
}

#[test]
fn the_last_flush() {
    let device = PhysicalDevice { major: 147, minor: 3 };
    let probe = |result| {
        move |f: &mut Facts| {
            f.last_flush = Known::Is(Some(FlushProbe {
                version: 1,
                device,
                at: 1,
                result: std::clone::Clone::clone(&result),
            }));
        }
    };
    assert_eq!(after(probe(Ok(1200))), "");
    assert_eq!(after(probe(Err("EIO".into()))), "flush-probe");
    assert_eq!(after(|f| f.last_flush = Known::Is(None)), "");
    assert_eq!(after(|f| f.last_flush = Known::Unknown("EACCES".into())), "flush-probe?");
}

#[test]
fn a_finding_names_its_node() {
    let mut facts = good();
    there(|h| h.drain())(&mut facts);
    let verdict = evaluate(&facts, &Settings::default());
    let found: Vec<_> =
        verdict.findings.iter().map(|finding| (finding.rule, finding.node.as_deref())).collect();
    assert_eq!(found, [("write-order-drain", Some("b"))]);
    assert!(verdict.findings[0].found.message.starts_with("b does not flush"));
}
