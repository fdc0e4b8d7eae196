//! The library's conversations with DRBD, against the stand-in for its kernel side.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::expect_used)]

#[path = "support/drbd_kernel.rs"]
mod drbd_kernel;
#[path = "support/place.rs"]
mod place;

use block_drbd::facts::{ConnectionState, DiskState, Known, Role};
use block_drbd::gather::drbd::{Answer, Generation, detect, resources, set_role};
use block_drbd::host::Deadline;
use block_drbd::host::genl::{Error, Genl};
use drbd_kernel::messages::{self, captured, layout};
use drbd_kernel::{Asked, DrbdKernel, Fault, GET_RESOURCES, GET_STATUS, GETFAMILY, PRIMARY, Resource};
use place::Place;
use std::path::Path;
use std::time::{Duration, Instant};

struct Bench {
    kernel: DrbdKernel,
    place: Place,
}

impl Bench {
    fn with(resources: &[Resource]) -> Bench {
        let place = Place::new();
        let kernel = DrbdKernel::start(place.path());
        kernel.with(|model| model.resources = resources.to_vec());
        Bench { kernel, place }
    }

    fn fault(&self, command: u8, fault: Fault) {
        self.kernel.with(|model| model.faults.insert(command, fault));
    }

    fn genl(&self) -> Genl {
        self.genl_for(Duration::from_secs(10))
    }

    fn genl_for(&self, patience: Duration) -> Genl {
        Genl::at(self.place.path(), Deadline::after(patience))
    }

    fn generation(&self) -> Generation {
        detect(&self.genl(), || Ok(None)).unwrap()
    }

    fn read(&self, only: Option<&str>) -> anyhow::Result<Vec<block_drbd::facts::Resource>> {
        resources(&self.genl(), self.generation(), only)
    }

    fn ask(&self, minor: u32, name: &str, role: Role) -> anyhow::Result<Answer> {
        set_role(&mut self.genl(), self.generation(), minor, name, &role)
    }
}

fn code(answer: Answer) -> i32 {
    match answer {
        Answer::Refused { code, .. } => code,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn reads_everything_or_one() {
    let other = Resource::healthy("other", &[11]);
    let bench = Bench::with(&[Resource::healthy("vm", &[3, 4]), other]);
    let all = bench.read(None).unwrap();
    assert_eq!(all.iter().map(|r| r.name.as_str()).collect::<Vec<_>>(), ["vm", "other"]);
    let minors: Vec<_> = all[0].volumes.iter().map(|v| (v.number, v.minor)).collect();
    assert_eq!(minors, [(0, 3), (1, 4)]);
    assert_eq!(all[0].connections[0].peer_volumes.len(), 2);
    assert_eq!(bench.read(Some("vm")).unwrap(), all[..1]);
    assert_eq!(bench.read(Some("nosuch")).unwrap(), []);
}

#[test]
fn nothing_configured_and_no_volumes() {
    assert_eq!(Bench::with(&[]).read(None).unwrap(), []);
    let found = Bench::with(&[Resource::healthy("vm", &[])]).read(None).unwrap();
    assert_eq!((found[0].volumes.len(), found[0].connections.len()), (0, 0));
}

#[test]
fn volumes_of_one_resource_can_differ() {
    let mut vm = Resource::healthy("vm", &[3, 4]);
    vm.volumes[1].role = 1;
    let found = Bench::with(&[vm]).read(Some("vm")).unwrap();
    let roles: Vec<_> = found[0].volumes.iter().map(|volume| &volume.role).collect();
    assert_eq!(roles, [&Role::Secondary, &Role::Primary]);
    assert_eq!(found[0].role, Role::Primary);
}

#[test]
fn standalone_keeps_what_is_known_of_the_peer() {
    let mut vm = Resource::healthy("vm", &[3]);
    (vm.volumes[0].conn, vm.volumes[0].peer_role, vm.volumes[0].peer_disk) = (0, 0, 5);
    let found = Bench::with(&[vm]).read(None).unwrap();
    let connection = &found[0].connections[0];
    assert_eq!((connection.peer.as_str(), &connection.state), ("peer", &ConnectionState::StandAlone));
    assert_eq!(connection.peer_volumes[0].disk, DiskState::Outdated);
    assert!(matches!(connection.protocol, Known::Unknown(_)));
}

#[test]
fn suspension_comes_from_the_resource() {
    let mut vm = Resource::healthy("vm", &[3]);
    vm.suspended = [false, true, true];
    let found = Bench::with(&[vm]).read(None).unwrap();
    let suspended = &found[0].suspended;
    assert!(!suspended.user && suspended.no_data && suspended.fencing && !suspended.quorum);
}

#[test]
fn promotes_and_demotes_one_minor_without_force() {
    let bench = Bench::with(&[Resource::healthy("vm", &[3, 4])]);
    assert_eq!(bench.ask(3, "vm", Role::Primary).unwrap(), Answer::Done);
    assert_eq!(bench.ask(3, "vm", Role::Primary).unwrap(), Answer::NothingToDo);
    assert_eq!(bench.read(None).unwrap()[0].volumes[1].role, Role::Secondary);
    assert_eq!(bench.ask(3, "vm", Role::Secondary).unwrap(), Answer::Done);
    let asked = |primary| Asked { minor: 3, name: Some("vm".into()), primary, force: false };
    assert_eq!(bench.kernel.log(), [asked(true), asked(true), asked(false)]);
    assert!(bench.ask(3, "vm", Role::Unknown).is_err());
}

#[test]
fn refusals() {
    let bench = Bench::with(&[Resource::healthy("vm", &[3]), Resource::healthy("other", &[11])]);
    let change = |f: fn(&mut drbd_kernel::Volume)| bench.kernel.with(|m| f(m.volume(3).unwrap()));
    change(|volume| volume.peer_role = 1);
    assert_eq!(code(bench.ask(3, "vm", Role::Primary).unwrap()), -1);
    change(|volume| (volume.peer_role, volume.disk, volume.conn) = (0, 5, 8));
    assert_eq!(code(bench.ask(3, "vm", Role::Primary).unwrap()), -2);
    change(|volume| (volume.role, volume.open) = (1, true));
    assert_eq!(code(bench.ask(3, "vm", Role::Secondary).unwrap()), -12);
    bench.fault(PRIMARY, Fault::Refuse(-7));
    assert_eq!(code(bench.ask(3, "vm", Role::Primary).unwrap()), -7);
}

/// drbd.md 6.1: the door into a split brain, and what fencing makes of it.
#[test]
fn without_the_peer_only_fencing_stands_in_the_way() {
    let lost = |disk: u32, fencing: u32, fences: bool| {
        let mut vm = Resource::healthy("vm", &[3]);
        (vm.fencing, vm.fences) = (fencing, fences);
        vm.volumes[0].lose_peer();
        vm.volumes[0].disk = disk;
        let bench = Bench::with(&[vm]);
        let found = bench.read(None).unwrap();
        assert!(matches!(found[0].connections[0].fencing, Known::Is(_)));
        match bench.ask(3, "vm", Role::Primary).unwrap() {
            Answer::Done => 1,
            refused => code(refused),
        }
    };
    assert_eq!([lost(8, 0, false), lost(7, 0, false)], [1, 1], "dont-care");
    assert_eq!([lost(8, 1, false), lost(7, 1, false)], [-7, -2], "a handler that does not fence");
    assert_eq!([lost(8, 1, true), lost(7, 2, true)], [1, 1], "a handler that fences");
}

#[test]
fn the_first_promotion_without_the_peer_makes_a_generation_and_the_next_do_not() {
    let bench = Bench::with(&[Resource::healthy("vm", &[3])]);
    let now = || *bench.read(None).unwrap()[0].volumes[0].generations.value().unwrap();
    let before = now();
    bench.kernel.with(|model| model.volume(3).unwrap().lose_peer());
    assert_eq!(now(), before, "a Secondary loses its peer");
    bench.ask(3, "vm", Role::Primary).unwrap();
    let alone = now();
    assert_eq!((alone.bitmap_uuid, alone.current_uuid & 1), (before.current_uuid, 1));
    assert!(!alone.is_of(before.current_uuid));
    for role in [Role::Secondary, Role::Primary] {
        bench.ask(3, "vm", role).unwrap();
        assert!(now().is_of(alone.current_uuid) && now().bitmap_uuid == alone.bitmap_uuid);
    }
}

#[test]
fn the_wrong_resource_is_refused_with_its_reason() {
    let bench = Bench::with(&[Resource::healthy("vm", &[3]), Resource::healthy("other", &[11])]);
    let answer = bench.ask(3, "other", Role::Primary).unwrap();
    let Answer::Refused { code: 162, info, .. } = answer else { panic!("{answer:?}") };
    assert_eq!(info, ["minor exists in different resource"]);
}

#[test]
fn no_family_and_other_families() {
    let bench = Bench::with(&[]);
    bench.fault(GETFAMILY, Fault::Errno(2));
    let why = |proc_drbd: Option<&str>| {
        detect(&bench.genl(), || Ok(proc_drbd.map(str::to_owned))).unwrap_err().to_string()
    };
    assert_eq!(why(None), "the drbd module is not loaded: run modprobe drbd");
    assert!(why(Some("version: 8.3.11 (api:88)")).starts_with("DRBD 8.3.11 has no generic netlink"));
    bench.kernel.with(|model| model.faults.clear());
    bench.kernel.with(|model| model.version = Some(2));
    assert_eq!(why(None), "this is DRBD 9, which is not served yet");
    bench.kernel.with(|model| model.version = Some(7));
    assert!(why(None).contains("version 7"));
}

#[test]
fn nobody_to_talk_to_is_not_no_drbd() {
    let place = Place::new();
    let genl = Genl::at(place.path(), Deadline::after(Duration::from_secs(1)));
    let error = format!("{:#}", detect(&genl, || Ok(None)).unwrap_err());
    assert!(error.contains("run/generic-netlink") && error.contains("ENOENT"), "{error}");
}

#[test]
fn not_being_root_is_said() {
    let bench = Bench::with(&[Resource::healthy("vm", &[3])]);
    bench.fault(PRIMARY, Fault::Errno(1));
    let error = format!("{:#}", bench.ask(3, "vm", Role::Primary).unwrap_err());
    let expected = "cannot make minor 3 of vm Primary: drbd permits this to root only (CAP_NET_ADMIN)";
    assert_eq!(error, expected);
}

#[test]
fn the_deadline_ends_the_wait() {
    let bench = Bench::with(&[Resource::healthy("vm", &[3])]);
    let generation = bench.generation();
    bench.fault(PRIMARY, Fault::Silent);
    let begun = Instant::now();
    let mut genl = bench.genl_for(Duration::from_millis(100));
    let error = set_role(&mut genl, generation, 3, "vm", &Role::Primary).unwrap_err();
    assert!(format!("{error:#}").contains("the time allowed for it is over"), "{error:#}");
    let waited = begun.elapsed();
    assert!((100..5000).contains(&waited.as_millis()), "{waited:?}");
}

#[test]
fn a_late_answer_is_waited_for() {
    let bench = Bench::with(&[Resource::healthy("vm", &[3])]);
    bench.fault(PRIMARY, Fault::Delay(Duration::from_millis(150)));
    assert_eq!(bench.ask(3, "vm", Role::Primary).unwrap(), Answer::Done);
}

#[test]
fn broken_conversations_are_errors() {
    for command in [GETFAMILY, GET_RESOURCES, GET_STATUS, PRIMARY] {
        for fault in [Fault::Close, Fault::Truncated, Fault::Errno(12)] {
            let bench = Bench::with(&[Resource::healthy("vm", &[3])]);
            bench.fault(command, fault);
            let genl = &mut bench.genl();
            let result = detect(genl, || Ok(None)).and_then(|generation| {
                resources(genl, generation, Some("vm"))?;
                set_role(genl, generation, 3, "vm", &Role::Primary)
            });
            assert!(result.is_err(), "{command} {fault:?}");
        }
    }
}

#[test]
fn answers_to_another_request_are_skipped() {
    let bench = Bench::with(&[Resource::healthy("vm", &[3])]);
    for command in [GET_RESOURCES, GET_STATUS, PRIMARY] {
        bench.fault(command, Fault::Stale);
    }
    assert_eq!(bench.read(Some("vm")).unwrap().len(), 1);
    assert_eq!(bench.ask(3, "vm", Role::Primary).unwrap(), Answer::Done);
}

#[test]
fn interrupted_dumps_are_begun_again_but_not_for_ever() {
    let bench = Bench::with(&[Resource::healthy("vm", &[3])]);
    bench.fault(GET_STATUS, Fault::Interrupted(2));
    assert_eq!(bench.read(None).unwrap().len(), 1);
    bench.fault(GET_STATUS, Fault::Interrupted(1000));
    let error = format!("{:#}", bench.read(None).unwrap_err());
    assert!(error.contains("changed each time"), "{error}");
}

#[test]
fn torn_dumps_are_read_again_but_not_for_ever() {
    let bench = Bench::with(&[Resource::healthy("vm", &[3])]);
    bench.fault(GET_RESOURCES, Fault::Empty(2));
    assert_eq!(bench.read(None).unwrap().len(), 1);
    bench.fault(GET_RESOURCES, Fault::Empty(1000));
    let error = bench.read(None).unwrap_err().to_string();
    assert_eq!(error, "drbd's resources change faster than they can be read");
}

#[test]
fn hundreds_of_resources_are_read() {
    let many: Vec<_> = (0..400).map(|n| Resource::healthy(&format!("vm{n}"), &[n])).collect();
    let bench = Bench::with(&many);
    assert_eq!(bench.read(None).unwrap().len(), 400);
    assert_eq!(bench.read(Some("vm399")).unwrap()[0].volumes[0].minor, 399);
}

/// The kernel that runs this test, asked what every kernel knows. It need not have drbd.
#[test]
fn the_real_kernel_understands_requests_and_dumps() {
    let genl = Genl::at(Path::new("/"), Deadline::after(Duration::from_secs(10)));
    let controller = match genl.family("nlctrl") {
        Err(Error::Unreachable(what, why)) => return println!("not tested: no {what}: {why}"),
        found => found.unwrap(),
    };
    assert_eq!(controller.id, messages::CONTROLLER);
    let missing = "block-drbd-none";
    assert_eq!(genl.family(missing), Err(Error::NoFamily(missing.into())));
    let families = genl.dump(controller, GETFAMILY, &[]).unwrap();
    assert!(families.iter().any(|family| family.windows(6).any(|bytes| bytes == b"nlctrl")));
}

/// The stand-in's messages have the nests and fields of the captured ones, for the same state.
#[test]
fn the_stand_in_speaks_like_the_kernel() {
    let mut vm = Resource::healthy("drbdvm", &[3]);
    vm.volumes[0].became(true);
    let expected = captured(include_str!("fixtures/netlink-8.4/status.hex"));
    assert_eq!(messages::statuses(1, &vm)[0][28..], expected[28..]);
    let expected = captured(include_str!("fixtures/netlink-8.4/resources.hex"));
    assert_eq!(messages::resource(1, &vm)[28..], expected[28..]);

    let volume = &mut vm.volumes[0];
    (volume.role, volume.peer_role, volume.conn, volume.disk, volume.peer_disk) = (2, 0, 0, 0, 6);
    assert_eq!(volume.word(), 0xc002);
    let expected = captured(include_str!("fixtures/netlink-8.4/status_unconfigured.hex"));
    assert_eq!(layout(&messages::statuses(1, &vm)[0]), layout(&expected));

    let request = [77_u32.to_ne_bytes(), 0_u32.to_ne_bytes()].concat();
    let expected = captured(include_str!("fixtures/netlink-8.4/primary_unknown.hex"));
    let refusal = messages::role_answer(1, PRIMARY, &request, 127, Some("unknown minor"));
    assert_eq!(refusal[16..], expected[16..]);
}
