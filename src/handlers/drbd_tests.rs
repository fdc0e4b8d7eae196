//! The handlers of DRBD as decision tables: what each plans and answers.

use super::drbd::{self, Answer, Subject};
use super::snapshot::Earlier;
use super::{Snapshot, Step};
use crate::config::Settings;
use crate::event::drbd::{DrbdEvent, EventName, NAMES};
use crate::facts::{DiskState, Fenced, HandlerFacts, Known, Quarantine, ReplicationState, Resync, User};
use std::collections::BTreeMap;

fn event(name: EventName) -> DrbdEvent {
    let variables =
        [("DRBD_RESOURCE", "r0"), ("DRBD_MINOR", "3"), ("DRBD_PEERS", "b"), ("DRBD_LL_DISK", "/dev/vg/lv")];
    let variables = variables.map(|(name, value)| (name.to_string(), value.to_string()));
    DrbdEvent::read(name, variables.into()).unwrap()
}

fn user(domid: u32, live: bool) -> User {
    let guest = Some("vm".into());
    User { domid, devid: 51712, minor: 3, guest, vm: None, target: None, live, leaving: false }
}

/// Nobody uses the resource, and nothing is recorded of it.
fn facts(users: Known<Vec<User>>) -> HandlerFacts {
    HandlerFacts {
        now: 1_000_000,
        host: Known::Is("a".into()),
        resource: Known::Is("r0".into()),
        users,
        disks: Known::Is(BTreeMap::from([(3, DiskState::Outdated)])),
        resyncs: resyncs([(3, ReplicationState::WFBitMapT, DiskState::Outdated)]),
        volumes: Known::Unknown("not looked at".into()),
        quarantine: Known::Is(None),
        fenced: Known::Is(None),
    }
}

fn resyncs<const N: usize>(volumes: [(u32, ReplicationState, DiskState); N]) -> Known<BTreeMap<u32, Resync>> {
    Known::Is(volumes.map(|(minor, replication, disk)| (minor, Resync { replication, disk })).into())
}

/// Both volumes have been overwritten.
fn overwritten() -> Known<BTreeMap<u32, Resync>> {
    resyncs([3, 4].map(|minor| (minor, ReplicationState::Established, DiskState::UpToDate)))
}

fn nobody() -> Known<Vec<User>> {
    Known::Is(Vec::new())
}

fn unknown() -> Known<Vec<User>> {
    Known::Unknown("no xenstore".into())
}

/// The steps in words, and what is answered: `pause 5, quarantine -> 0`.
fn plans(name: EventName, facts: &HandlerFacts, settings: &str) -> String {
    let settings = Settings::parse("/x", settings).unwrap();
    let event = event(name);
    let subject = Subject { resource: "r0", event: &event, facts };
    let decision = (drbd::of(name).plan)(&subject, &settings.handling(Some("r0")));
    assert!(!decision.plan.summary.is_empty() || decision.answer == Answer::Fence, "{name}");
    assert!(!decision.plan.summary.ends_with('.'), "{}", decision.plan.summary);
    let words: Vec<String> = decision.plan.steps.iter().map(word).collect();
    let answer = match decision.answer {
        Answer::Exit(code) => code.to_string(),
        Answer::Fence => "fence".into(),
    };
    format!("{} -> {answer}", words.join(", ")).trim_start().to_string()
}

fn word(step: &Step) -> String {
    match step {
        Step::Guests { act, domids } => format!("{act} {domids:?}"),
        Step::Quarantine { entry } => format!("quarantine {} +{}", entry.event, entry.later.len()),
        Step::Snapshot { snapshots, percent } => {
            let word = |snapshot: &Snapshot| {
                let stays = if snapshot.earlier == Earlier::Stays { " or an earlier one" } else { "" };
                format!("{} of {}{stays}", snapshot.name, snapshot.origin)
            };
            let words: Vec<String> = snapshots.iter().map(word).collect();
            format!("snapshot {} {percent}%", words.join(" "))
        }
        Step::DropSnapshot { names } => format!("drop {}", names.join(" ")),
        Step::AskPeers { .. } => "ask".into(),
        Step::Unfence { commands, .. } => format!("unfence {commands:?}"),
        other => panic!("no handler of DRBD plans {other:?}"),
    }
}

fn set_aside(users: Known<Vec<User>>) -> HandlerFacts {
    let before = facts(nobody());
    let event = event(EventName::LocalIoError);
    let subject = Subject { resource: "r0", event: &event, facts: &before };
    let settings = Settings::default();
    let decision = (drbd::of(event.name).plan)(&subject, &settings.handling(None));
    let entry = decision.plan.steps.into_iter().find_map(|step| match step {
        Step::Quarantine { entry } => Some(entry),
        _ => None,
    });
    HandlerFacts { quarantine: Known::Is(entry), ..facts(users) }
}

#[test]
#[rustfmt::skip]
fn what_sets_a_resource_aside() {
    use EventName::*;
    let used = || Known::Is(vec![user(5, true)]);
    for (name, act) in [(SplitBrain, "record"), (PriLost, "pause"), (PriLostAfterSb, "pause"), (PriOnInconDegr, "record"), (LocalIoError, "record"), (QuorumLost, "record")] {
        let stop = if act == "record" { String::new() } else { format!("{act} [5], ") };
        assert_eq!(plans(name, &facts(used()), ""), format!("{stop}quarantine {name} +0 -> 0"));
        assert_eq!(plans(name, &facts(nobody()), ""), format!("quarantine {name} +0 -> 0"));
        assert_eq!(plans(name, &facts(unknown()), ""), format!("quarantine {name} +0 -> 0"));
        for act in ["pause", "shutdown", "destroy"] {
            let settings = format!("[handlers]\n{name} = \"{act}\"\n");
            assert_eq!(plans(name, &facts(used()), &settings), format!("{act} [5], quarantine {name} +0 -> 0"));
        }
        assert_eq!(plans(name, &set_aside(nobody()), ""), "quarantine local-io-error +1 -> 0", "the first stays");
        let unreadable = HandlerFacts { quarantine: Known::Unknown("no".into()), ..facts(nobody()) };
        assert_eq!(plans(name, &unreadable, ""), format!("quarantine {name} +0 -> 0"));
    }
    let users = |users: &[User]| plans(PriLost, &facts(Known::Is(users.to_vec())), "");
    assert_eq!(users(&[user(5, true), user(5, true), user(6, true)]), "pause [5, 6], quarantine pri-lost +0 -> 0", "two volumes");
    assert_eq!(users(&[user(5, false)]), "quarantine pri-lost +0 -> 0", "it has closed it");
    assert_eq!(users(&[user(0, true)]), "quarantine pri-lost +0 -> 0", "this domain is never stopped");
}

#[test]
#[rustfmt::skip]
fn what_is_overwritten() {
    use DiskState::*;
    use EventName::*;
    let used = || facts(Known::Is(vec![user(5, true)]));
    let (snapshot, allow) = ("[handlers]\nsnapshot-percent = 10\n", "[handlers]\nresync-under-guest = \"allow\"\n");
    assert_eq!(plans(BeforeResyncTarget, &facts(nobody()), ""), "-> 0");
    assert_eq!(plans(BeforeResyncTarget, &used(), ""), "-> 1");
    assert_eq!(plans(BeforeResyncTarget, &facts(Known::Is(vec![user(5, false)])), ""), "-> 0");
    assert_eq!(plans(BeforeResyncTarget, &facts(unknown()), ""), "-> 1");
    assert_eq!(plans(BeforeResyncTarget, &used(), allow), "-> 0");
    let disks = |disks: Known<Vec<DiskState>>| {
        let disks = match disks {
            Known::Is(disks) => Known::Is((3..).zip(disks).collect()),
            Known::Unknown(why) => Known::Unknown(why),
        };
        plans(BeforeResyncTarget, &HandlerFacts { disks, ..used() }, "")
    };
    assert_eq!(disks(Known::Is(vec![Inconsistent])), "-> 0", "the guest runs on the peer's data");
    assert_eq!(disks(Known::Is(vec![Inconsistent, Outdated])), "-> 1");
    assert_eq!(disks(Known::Is(vec![UpToDate])), "-> 1");
    assert_eq!(disks(Known::Is(vec![Consistent])), "-> 1");
    assert_eq!(disks(Known::Is(vec![Diskless])), "-> 1");
    assert_eq!(disks(Known::Unknown("no".into())), "-> 1");
    assert_eq!(plans(BeforeResyncTarget, &facts(unknown()), allow), "-> 0");
    assert_eq!(plans(BeforeResyncTarget, &facts(nobody()), snapshot), "snapshot block-drbd-r0-3 of /dev/vg/lv 10% -> 0");
    assert_eq!(plans(BeforeResyncTarget, &used(), snapshot), "-> 1");
    assert_eq!(plans(BeforeResyncTarget, &set_aside(nobody()), ""), "-> 0", "a resync may be what mends it");
    assert_eq!(plans(AfterResyncTarget, &facts(nobody()), ""), "ask -> 0");
    let done = HandlerFacts { resyncs: overwritten(), ..facts(nobody()) };
    assert_eq!(plans(AfterResyncTarget, &done, snapshot), "drop block-drbd-r0-3 block-drbd-r0-4, ask -> 0");
    assert_eq!(plans(AfterResyncTarget, &set_aside(nobody()), ""), "quarantine local-io-error +1, ask -> 0");
    assert_eq!(plans(BeforeResyncSource, &used(), snapshot), "ask -> 0");
    assert_eq!(plans(OutOfSync, &facts(nobody()), ""), "ask -> 0");
    assert_eq!(plans(OutOfSync, &set_aside(nobody()), ""), "quarantine local-io-error +1, ask -> 0");
    for name in [InitialSplitBrain, Disconnected] {
        assert_eq!(plans(name, &used(), snapshot), "-> 0");
    }
}

/// Two volumes, minors 3 and 4, with these disks.
fn plans_of_two(
    name: EventName,
    disks: Known<[DiskState; 2]>,
    quarantine: Known<Option<Quarantine>>,
) -> String {
    let (disks, resyncs) = match disks {
        Known::Is([a, b]) => (
            Known::Is([(3, a.clone()), (4, b.clone())].into()),
            resyncs([(3, ReplicationState::WFBitMapT, a), (4, ReplicationState::WFBitMapT, b)]),
        ),
        Known::Unknown(why) => (Known::Unknown(why.clone()), Known::Unknown(why)),
    };
    planned(name, HandlerFacts { disks, resyncs, quarantine, ..facts(nobody()) })
}

/// The steps of a handler that is called for both volumes.
fn planned(name: EventName, facts: HandlerFacts) -> String {
    let mut event = event(name);
    (event.minors, event.disks) = (vec![4, 3], vec!["/dev/vg/b".into(), "/dev/vg/a".into()]);
    let subject = Subject { resource: "r0", event: &event, facts: &facts };
    let settings = Settings::parse("/x", "[handlers]\nsnapshot-percent = 10\n").unwrap();
    let decision = (drbd::of(name).plan)(&subject, &settings.handling(Some("r0")));
    decision.plan.steps.iter().map(word).collect::<Vec<_>>().join(", ")
}

/// A snapshot is never replaced by a worse one.
#[test]
#[rustfmt::skip]
fn what_becomes_of_an_earlier_snapshot() {
    use DiskState::*;
    use EventName::*;
    let before = |disks: [DiskState; 2]| plans_of_two(BeforeResyncTarget, Known::Is(disks), Known::Is(None));
    let (a, b) = ("block-drbd-r0-3 of /dev/vg/a", "block-drbd-r0-4 of /dev/vg/b");
    assert_eq!(before([Outdated, Outdated]), format!("snapshot {b} {a} 10%"));
    assert_eq!(before([UpToDate, Consistent]), format!("snapshot {b} {a} 10%"));
    assert_eq!(before([Inconsistent, Inconsistent]), "");
    assert_eq!(before([Inconsistent, Outdated]), format!("snapshot {b} or an earlier one 10%"));
    assert_eq!(before([Outdated, Inconsistent]), format!("snapshot {a} or an earlier one 10%"));
    assert_eq!(before([Outdated, Failed]), format!("snapshot {b} or an earlier one {a} or an earlier one 10%"));
    let unknown = || Known::Unknown("no".into());
    let either = format!("snapshot {b} or an earlier one {a} or an earlier one 10%");
    assert_eq!(plans_of_two(BeforeResyncTarget, Known::Unknown("no".into()), Known::Is(None)), either);
    let outdated = || Known::Is([Outdated, Outdated]);
    let set_aside = || set_aside(nobody()).quarantine;
    assert_eq!(plans_of_two(BeforeResyncTarget, outdated(), set_aside()), either);
    assert_eq!(plans_of_two(BeforeResyncTarget, outdated(), unknown()), either);
    assert_eq!(plans_of_two(BeforeResyncTarget, Known::Is([Inconsistent, Inconsistent]), set_aside()), "");

    let after = |resyncs, quarantine| planned(AfterResyncTarget, HandlerFacts { resyncs, quarantine, ..facts(nobody()) });
    assert_eq!(after(overwritten(), Known::Is(None)), "drop block-drbd-r0-3 block-drbd-r0-4, ask");
    assert_eq!(after(overwritten(), set_aside()), "quarantine local-io-error +1, ask");
    assert_eq!(after(overwritten(), unknown()), "ask");
    assert_eq!(after(Known::Unknown("no".into()), Known::Is(None)), "ask");
}

/// DRBD 8.4 calls the handlers for each volume alone: here for minor 3, with this of minor 4.
#[test]
#[rustfmt::skip]
fn the_snapshots_of_a_resource_stay_or_go_together() {
    use DiskState::*;
    use EventName::*;
    use ReplicationState::*;
    let snapshot = "[handlers]\nsnapshot-percent = 10\n";
    let odd = || ReplicationState::Other("Pondering".into());
    let (replaced, stays) = ("snapshot block-drbd-r0-3 of /dev/vg/lv 10% -> 0", "snapshot block-drbd-r0-3 of /dev/vg/lv or an earlier one 10% -> 0");
    for (replication, disk, before, all_go) in [
        (Established, UpToDate, replaced, true),
        (Off, UpToDate, replaced, true),
        (VerifyT, UpToDate, replaced, true),
        (WFBitMapT, Outdated, replaced, false),
        (Off, Outdated, replaced, false),
        (Off, Consistent, replaced, false),
        (WFBitMapT, UpToDate, replaced, false),
        (SyncTarget, Inconsistent, stays, false),
        (PausedSyncT, Inconsistent, stays, false),
        (SyncTarget, UpToDate, stays, false),
        (Off, Inconsistent, stays, false),
        (Off, Diskless, stays, false),
        (Off, DUnknown, stays, false),
        (odd(), UpToDate, stays, false),
    ] {
        let other = (4, replication.clone(), disk.clone());
        let begins = resyncs([(3, WFBitMapT, Outdated), other.clone()]);
        let planned = plans(BeforeResyncTarget, &HandlerFacts { resyncs: begins, ..facts(nobody()) }, snapshot);
        assert_eq!(planned, before, "{replication} {disk}");
        let ends = HandlerFacts { resyncs: resyncs([(3, Established, UpToDate), other]), ..facts(nobody()) };
        let dropped = if all_go { "drop block-drbd-r0-3 block-drbd-r0-4, ask -> 0" } else { "ask -> 0" };
        assert_eq!(plans(AfterResyncTarget, &ends, snapshot), dropped, "{replication} {disk}");
    }
}

#[test]
#[rustfmt::skip]
fn what_is_fenced() {
    use EventName::*;
    let program = "[fencing]\nmethods = [{ method = \"program\", command = [\"/f\"], unfence = [\"/u\", \"x\"] }]\n";
    assert_eq!(plans(FencePeer, &facts(nobody()), ""), "-> 1");
    assert_eq!(plans(FencePeer, &facts(nobody()), program), "-> fence");
    assert_eq!(plans(UnfencePeer, &facts(nobody()), ""), "unfence [] -> 0");
    assert_eq!(plans(UnfencePeer, &facts(nobody()), program), "unfence [[\"/u\", \"x\"]] -> 0");
    let fenced = Fenced { version: 1, resource: "r0".into(), peer: None, code: 4, how: "x".into(), when: 0 };
    let fenced = HandlerFacts { fenced: Known::Is(Some(fenced)), ..facts(nobody()) };
    assert_eq!(plans(UnfencePeer, &fenced, ""), "unfence [] -> 0");
}

#[test]
fn only_the_last_of_what_happens_later_is_kept() {
    let Known::Is(Some(mut entry)) = set_aside(nobody()).quarantine else { panic!("no quarantine") };
    for when in 0..40 {
        entry = entry.with(EventName::SplitBrain, when);
    }
    assert_eq!(entry.later.len(), Quarantine::MOST_LATER);
    assert_eq!(entry.later.last().map(|later| later.when), Some(39));
}

#[test]
fn every_event_is_told_and_answered_by_what_it_may_be() {
    for (name, event) in NAMES {
        for users in [nobody(), unknown(), Known::Is(vec![user(5, true)])] {
            let answer = plans(event, &facts(users), "");
            let code: i32 = answer.rsplit(' ').next().unwrap().parse().unwrap();
            assert!(drbd::of(event).answers.contains(&code), "{name}: {answer}");
        }
    }
}
