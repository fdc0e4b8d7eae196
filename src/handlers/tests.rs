//! What a release does, as a decision table: the steps, with the resource named and only recorded.

use super::{Step, release};
use crate::facts::{Claim, Claimant, Facts, Known, Role, User};
use crate::rules::tests::good;

fn primary() -> Facts {
    let mut facts = good();
    if let Known::Is(Some(resource)) = &mut facts.resource {
        resource.volumes[0].role = Role::Primary;
    }
    facts
}

fn claimed(mut facts: Facts, promoted: &[u32]) -> Facts {
    let users = vec![Claimant { domid: 5, devid: 51712, minor: 3 }];
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
        Known::Is(vec![User { domid, devid, minor, guest, live, leaving: false, same_guest: false }]);
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
