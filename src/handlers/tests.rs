//! What a release does, as a decision table: the steps, with the resource named and only recorded. What
//! the end of a window and of a guest leaves on record.

use super::{Step, release, remove, window};
use crate::event::VbdPath;
use crate::facts::{
    Backend, Claim, Claimant, ConnectionState, Facts, Generations, Known, Role, User, Window,
};
use crate::rules::tests::good;

fn primary() -> Facts {
    let mut facts = good();
    if let Known::Is(Some(resource)) = &mut facts.resource {
        resource.volumes[0].role = Role::Primary;
    }
    facts
}

fn claimed(mut facts: Facts, promoted: &[u32]) -> Facts {
    let users = vec![Claimant { domid: 5, devid: 51712, minor: 3, unproven: None }];
    facts.claim = Known::Is(Some(Claim { promoted: promoted.to_vec(), users, ..Claim::new("r0") }));
    facts
}

/// On record without a user.
fn pending(facts: Facts) -> Facts {
    let claim = Claim { promoted: vec![3], ..Claim::new("r0") };
    Facts { claim: Known::Is(Some(claim)), ..facts }
}

fn used(mut facts: Facts, live: bool) -> Facts {
    let (domid, devid, minor, guest) = (5, 51712, 3, Some("vm".into()));
    facts.users =
        Known::Is(vec![User { domid, devid, minor, guest, vm: None, target: None, live, leaving: false }]);
    facts
}

/// With a window that the peer has opened: its guest has moved there.
fn moved(mut facts: Facts) -> Facts {
    if let Known::Is(Some(resource)) = &mut facts.resource {
        resource.connections[0].two_primaries = Known::Is(true);
    }
    if let Known::Is(Some(claim)) = &mut facts.claim {
        claim.two_primaries = Some(false);
    }
    facts
}

/// The words for the steps; `?` where it cannot be told what may be demoted.
fn steps(facts: &Facts, named: bool) -> String {
    if release::cannot_tell(facts, named).is_some() {
        let harmless = |step: &Step| matches!(step, Step::CloseWindow { .. });
        assert!(release::plan(facts).steps.iter().all(harmless));
        return "?".into();
    }
    let plan = if named { release::by_name(facts) } else { release::plan(facts) };
    let word = |step: &Step| match step {
        Step::Record { after, .. } if after.is_empty() => "forget",
        Step::Record { .. } => "record",
        Step::Release { .. } => "release",
        Step::Demote { .. } => "demote",
        Step::CloseWindow { .. } => "close",
        _ => "something else",
    };
    plan.steps.iter().map(word).collect::<Vec<_>>().join(" ")
}

#[test]
fn what_a_release_does() {
    let unknown = || "no".to_string();
    let rows: Vec<(Facts, &str, &str)> = vec![
        // Facts, named, only recorded.
        (good(), "", ""),
        (primary(), "demote", ""),
        (used(primary(), true), "", ""),
        (used(primary(), false), "demote", ""),
        (claimed(primary(), &[3]), "record release", "record release"),
        (used(claimed(primary(), &[3]), true), "", ""),
        (used(claimed(primary(), &[3]), false), "record release", "record release"),
        // It was Primary before.
        (claimed(primary(), &[]), "forget demote", "forget"),
        (used(claimed(primary(), &[]), true), "", ""),
        (claimed(good(), &[]), "forget", "forget"),
        // The minor is another resource's now, or the resource is down.
        (claimed(good(), &[4]), "forget", "forget"),
        (claimed(primary(), &[4]), "forget demote", "forget"),
        (Facts { resource: Known::Is(None), ..claimed(good(), &[3]) }, "forget", "forget"),
        (Facts { resource: Known::Is(None), ..good() }, "", ""),
        // What cannot be told.
        (Facts { claim: Known::Unknown(unknown()), ..primary() }, "?", "?"),
        (Facts { claim: Known::Unknown(unknown()), window: Known::Unknown(unknown()), ..good() }, "?", "?"),
        (Facts { users: Known::Unknown(unknown()), ..primary() }, "?", ""),
        (Facts { resource: Known::Unknown(unknown()), ..good() }, "?", ""),
        (Facts { users: Known::Unknown(unknown()), ..claimed(primary(), &[3]) }, "?", "?"),
        (
            Facts { users: Known::Unknown(unknown()), ..pending(primary()) },
            "record release",
            "record release",
        ),
        (Facts { window: Known::Unknown(unknown()), ..good() }, "close", "close"),
        // A window of the peer ends with the record, and not before nobody here needs it.
        (moved(pending(primary())), "record release close", "record release close"),
        (moved(used(claimed(primary(), &[3]), false)), "record release close", "record release close"),
        (moved(used(claimed(primary(), &[3]), true)), "", ""),
        (Facts { window: Known::Unknown(unknown()), ..primary() }, "demote close", "close"),
    ];
    for (number, (facts, named, recorded)) in rows.into_iter().enumerate() {
        assert_eq!(
            (steps(&facts, true).as_str(), steps(&facts, false).as_str()),
            (named, recorded),
            "row {number}"
        );
    }
}

/// With a window that this node has opened.
fn opened(facts: Facts) -> Facts {
    let window = Window { version: 1, resource: "r0".into(), vm: "/vm/5".into(), domid: 5, opened: 0 };
    Facts { window: Known::Is(Some(window)), ..facts }
}

fn named(mut facts: Facts, guest: &str) -> Facts {
    if let Known::Is(users) = &mut facts.users {
        users[0].guest = Some(guest.into());
    }
    facts
}

/// Why the record stays when the window ends.
fn kept(facts: &Facts) -> Option<String> {
    match window::close(facts, false, false) {
        Some(Step::CloseWindow { kept, .. }) => kept,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_record_of_a_window_stays_as_long_as_half_a_guest_is_here() {
    let half = |live| named(used(primary(), live), "vm--incoming");
    let moving = "guest vm--incoming (domain 5) is still moving in";
    assert_eq!(kept(&opened(half(true))).as_deref(), Some(moving));
    assert_eq!(kept(&opened(half(false))), None, "it is gone");
    assert_eq!(kept(&opened(used(primary(), true))), None, "it has arrived");
    assert_eq!(kept(&opened(primary())), None);
    let no_users = Facts { users: Known::Unknown("no".into()), ..primary() };
    let cannot_tell = "whether a guest is still moving in cannot be told: no";
    assert_eq!(kept(&opened(no_users)).as_deref(), Some(cannot_tell));
    // The peer's window has no record here: a guest that moves within this host is none of its own.
    let theirs = moved(claimed(half(true), &[3]));
    let Some(Step::CloseWindow { kept, .. }) = window::close(&theirs, true, false) else { panic!() };
    assert_eq!(kept, None);
}

/// The guest of domain 5 goes while the peer is away, and this node has a generation of its own.
fn alone(guest: &str) -> Facts {
    let mut facts = claimed(primary(), &[3]);
    let Known::Is(Some(resource)) = &mut facts.resource else { panic!() };
    resource.connections[0].state = ConnectionState::Connecting;
    resource.volumes[0].generations =
        Known::Is(Generations { current_uuid: 0x50, bitmap_uuid: 0x40, disk_flags: 0 });
    let backend = Backend {
        domid: 5,
        devid: 51712,
        params: b"r0".to_vec(),
        state: "6".into(),
        physical_device: None,
        guest: Some(guest.into()),
        vm: Some("/vm/5".into()),
        target: None,
    };
    Facts { backend: Known::Is(Some(backend)), ..facts }
}

/// Half of one has written nothing, and what it belongs to may go on at the peer.
#[test]
fn only_a_guest_that_ends_here_has_written_without_the_peer() {
    let vbd = VbdPath::parse("backend/vbd/5/51712").unwrap();
    let is_recorded = |facts: &Facts| {
        let steps = remove::plan(&vbd, facts).steps;
        steps.iter().any(|step| matches!(step, Step::RecordLone { after: Some(_), .. }))
    };
    assert!(is_recorded(&alone("vm")));
    assert!(!is_recorded(&alone("vm--incoming")), "it never ran");
    assert!(!is_recorded(&alone("vm--migratedaway")), "it runs elsewhere");
    assert!(!is_recorded(&opened(alone("vm"))), "the peer may be writing");
    assert!(
        !is_recorded(&Facts { backend: Known::Is(None), ..alone("vm") }),
        "which guest it was is unknown"
    );
}
