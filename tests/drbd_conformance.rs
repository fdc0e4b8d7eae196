//! What the library expects of DRBD 8.4's kernel side.
//!
//! By default against the stand-in in support/; with DRBD_UNDER_TEST=RESOURCE
//! against the real kernel (as root). That resource must be Secondary on both
//! nodes, Connected, UpToDate and unused; it is so again afterwards.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::expect_used)]

#[path = "support/drbd_kernel.rs"]
mod drbd_kernel;
#[path = "support/place.rs"]
mod place;

use block_drbd::facts::{
    ConnectionState, DiskState, Generations, Known, ReplicationState, Resource, Role, Volume,
};
use block_drbd::gather::drbd::{Answer, Generation, allow_two_primaries, detect, resources, set_role};
use block_drbd::host::Deadline;
use block_drbd::host::genl::Genl;
use drbd_kernel::DrbdKernel;
use place::Place;
use std::path::Path;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);
/// No resource is ever called so.
const NOBODY: &str = "block-drbd-conformance-nobody";

struct Subject {
    genl: Genl,
    generation: Generation,
    name: String,
    minor: u32,
}

impl Subject {
    fn new(root: &Path, name: &str) -> Subject {
        let genl = Genl::at(root, Deadline::after(PATIENCE));
        let generation = detect(&genl, || Ok(None)).unwrap();
        let mut subject = Subject { genl, generation, name: name.into(), minor: 0 };
        subject.minor = subject.read().volumes[0].minor;
        subject
    }

    fn read(&self) -> Resource {
        let mut found = resources(&self.genl, self.generation, Some(&self.name)).unwrap();
        assert_eq!(found.len(), 1, "{} is not configured", self.name);
        found.remove(0)
    }

    fn ask(&mut self, minor: u32, name: &str, role: Role) -> Answer {
        set_role(&mut self.genl, self.generation, minor, name, &role).unwrap()
    }

    fn become_(&mut self, role: Role) -> Answer {
        self.ask(self.minor, &self.name.clone(), role)
    }

    fn volume(&self) -> Volume {
        self.read().volumes.into_iter().find(|volume| volume.minor == self.minor).unwrap()
    }

    fn role(&self) -> Role {
        self.volume().role
    }

    fn generations(&self) -> Generations {
        *self.volume().generations.value().unwrap()
    }

    fn refusal(&mut self, minor: u32, name: &str) -> (i32, Vec<String>) {
        match self.ask(minor, name, Role::Secondary) {
            Answer::Refused { code, info, .. } => (code, info),
            other => panic!("not refused: {other:?}"),
        }
    }
}

#[test]
fn conformance() {
    if let Ok(name) = std::env::var("DRBD_UNDER_TEST") {
        return checks(&mut Subject::new(Path::new("/"), &name));
    }
    let place = Place::new();
    let kernel = DrbdKernel::start(place.path());
    let configured = ["vm", "other"].into_iter().zip([[3, 4], [11, 12]]);
    let configured = configured.map(|(name, minors)| drbd_kernel::Resource::healthy(name, &minors));
    kernel.with(|model| model.resources = configured.collect());
    checks(&mut Subject::new(place.path(), "vm"));
}

/// In one test, because they share one resource.
fn checks(subject: &mut Subject) {
    begins_as_it_must(subject);
    all_contains_one(subject);
    promotes_and_demotes(subject);
    allows_two_primaries(subject);
    unknown_minor_is_refused(subject);
    other_resource_is_refused(subject);
    unknown_name_is_not_noticed(subject);
    assert_eq!(subject.role(), Role::Secondary);
}

fn begins_as_it_must(subject: &Subject) {
    let found = subject.read();
    assert_eq!(found.role, Role::Secondary);
    assert!(!found.suspended.any());
    assert!(matches!(found.write_ordering, Known::Is(_)), "{:?}", found.write_ordering);
    for volume in &found.volumes {
        assert_eq!((&volume.role, &volume.disk), (&Role::Secondary, &DiskState::UpToDate));
        assert!(volume.backing_device.is_some());
        let generations = volume.generations.value().unwrap();
        assert_eq!((generations.bitmap_uuid, generations.current_uuid & 1), (0, 0), "{generations:x?}");
    }
    let [connection] = &found.connections[..] else { panic!("{:?}", found.connections) };
    assert_eq!(connection.state, ConnectionState::Connected);
    assert_eq!(connection.peer_role, Role::Secondary);
    assert!(connection.peer.contains(':'), "{}", connection.peer);
    assert!(matches!(connection.protocol, Known::Is(_)));
    assert_eq!(connection.two_primaries, Known::Is(false));
    for peer in &connection.peer_volumes {
        assert_eq!(peer.replication, ReplicationState::Established);
        assert_eq!(peer.disk, DiskState::UpToDate);
    }
}

fn all_contains_one(subject: &Subject) {
    let all = resources(&subject.genl, subject.generation, None).unwrap();
    assert!(all.contains(&subject.read()));
    let nobody = resources(&subject.genl, subject.generation, Some(NOBODY)).unwrap();
    assert_eq!(nobody, []);
}

fn promotes_and_demotes(subject: &mut Subject) {
    let before = subject.generations();
    for role in [Role::Primary, Role::Secondary] {
        assert_eq!(subject.become_(role.clone()), Answer::Done);
        assert_eq!(subject.role(), role);
        assert_eq!(subject.become_(role.clone()), Answer::NothingToDo);
        assert_eq!(subject.role(), role);
        let now = subject.generations();
        assert!(now.is_of(before.current_uuid), "{now:x?}, and before {before:x?}");
        assert_eq!((now.current_uuid & 1 == 1, now.bitmap_uuid), (role == Role::Primary, 0), "{now:x?}");
    }
}

/// Asked for twice, it is done twice.
fn allows_two_primaries(subject: &mut Subject) {
    let name = subject.name.clone();
    for allowed in [true, true, false, false] {
        let answer = allow_two_primaries(&mut subject.genl, subject.generation, &name, allowed).unwrap();
        assert_eq!(answer, Answer::Done);
        assert_eq!(subject.read().connections[0].two_primaries, Known::Is(allowed));
    }
    let nobody = allow_two_primaries(&mut subject.genl, subject.generation, NOBODY, true).unwrap_err();
    assert!(format!("{nobody:#}").contains("network configuration"), "{nobody:#}");
}

fn unknown_minor_is_refused(subject: &mut Subject) {
    let name = subject.name.clone();
    let (code, info) = subject.refusal(0x000f_fff0, &name);
    assert_eq!((code, info), (127, vec!["unknown minor".into()]));
}

/// Needs a second resource; without one there is nothing to check.
fn other_resource_is_refused(subject: &mut Subject) {
    let all = resources(&subject.genl, subject.generation, None).unwrap();
    let Some(other) = all.iter().find(|resource| resource.name != subject.name) else {
        return println!("no second resource: the name check is not tested");
    };
    let (code, info) = subject.refusal(subject.minor, &other.name);
    assert_eq!((code, info), (162, vec!["minor exists in different resource".into()]));
}

/// The weakness that v84.rs tells of. If this fails the kernel has become stricter: good.
fn unknown_name_is_not_noticed(subject: &mut Subject) {
    let answer = subject.ask(subject.minor, NOBODY, Role::Secondary);
    assert_eq!(answer, Answer::NothingToDo);
}
