//! What each answer of a peer, a program or the administrator comes to.

use super::*;
use crate::facts::{Generations, OwnGenerations};
use crate::rules::tests::healthy;

/// The generation of the data on both nodes, until one goes on alone.
const SAME: u64 = 0x1111_0000_0000_0010;
/// Of what was written alone.
const ALONE: u64 = 0x2222_0000_0000_0020;

/// The peer's volumes from number 0 on, with nothing written alone. It has lost this node.
fn resource(role: Role, disks: &[(Role, DiskState)]) -> Resource {
    let mut resource = Resource { role, ..healthy() };
    let volume = |(number, (role, disk)): (usize, &(Role, DiskState))| Volume {
        number: u32::try_from(number).unwrap(),
        role: role.clone(),
        disk: disk.clone(),
        generations: told(SAME, 0),
        ..resource.volumes[0].clone()
    };
    resource.volumes = disks.iter().enumerate().map(volume).collect();
    resource.connections[0].state = ConnectionState::Connecting;
    resource
}

fn told(current_uuid: u64, bitmap_uuid: u64) -> Known<Generations> {
    Known::Is(Generations { current_uuid, bitmap_uuid, disk_flags: 0 })
}

/// This node's volumes of these numbers.
fn own(numbers: &[u32], generations: &Known<Option<OwnGenerations>>) -> Vec<OwnVolume> {
    numbers.iter().map(|&number| OwnVolume { number, generations: generations.clone() }).collect()
}

fn unread() -> Known<Option<OwnGenerations>> {
    Known::Is(None)
}

fn here(current_uuid: u64, bitmap_uuid: u64) -> Known<Option<OwnGenerations>> {
    Known::Is(Some(OwnGenerations { current_uuid, bitmap_uuid, history: [0, 0] }))
}

/// DRBD's code; 1 in doubt, -1 where the peer has more, `o` where it may be outdated, `c` where it
/// is still connected, `s` where it did not answer.
fn word(look: &Look) -> String {
    match look {
        Look::Final(judged) => code(judged).to_string(),
        Look::NoAnswer(_) => "s".into(),
        Look::StillConnected(_) => "c".into(),
        Look::MayBeOutdated(_) => "o".into(),
    }
}

fn code(judged: &Judged) -> i32 {
    let (code, why) = match judged {
        Judged::Established(code, how) => (*code, how),
        Judged::InDoubt(why) => (1, why),
        Judged::PeerHasMore(why) => (-1, why),
    };
    assert!(!why.is_empty() && !why.ends_with('.'), "{why}");
    code
}

#[test]
#[rustfmt::skip]
fn what_the_peer_says() {
    use DiskState::*;
    use Role::{Primary, Secondary, Unknown};
    let odd = || DiskState::Other("Molten".into());
    for (role, disks, answer) in [
        (Primary, vec![(Primary, UpToDate)], "6"),
        (Primary, vec![(Primary, Outdated)], "6"),
        // 8.4 promotes volumes one by one.
        (Secondary, vec![(Secondary, Outdated), (Primary, Outdated)], "6"),
        (Secondary, vec![(Secondary, Inconsistent)], "3"),
        (Secondary, vec![(Secondary, Inconsistent), (Secondary, Inconsistent)], "3"),
        (Secondary, vec![(Secondary, Outdated)], "4"),
        (Secondary, vec![(Secondary, Outdated), (Secondary, Inconsistent)], "4"),
        (Secondary, vec![(Secondary, Outdated), (Secondary, UpToDate)], "o"),
        (Secondary, vec![(Secondary, UpToDate)], "o"),
        (Secondary, vec![(Secondary, Consistent)], "o"),
        (Secondary, vec![(Secondary, Consistent), (Secondary, Diskless)], "1"),
        // Its disk may be attached again, as good as it was.
        (Secondary, vec![(Secondary, Diskless)], "1"),
        (Secondary, vec![(Secondary, Failed)], "1"),
        (Secondary, vec![(Secondary, Attaching)], "1"),
        (Secondary, vec![(Secondary, Negotiating)], "1"),
        (Secondary, vec![(Secondary, DUnknown)], "1"),
        (Secondary, vec![(Secondary, odd())], "1"),
        (Primary, vec![(Secondary, Outdated)], "1"),
        (Unknown, vec![(Secondary, Outdated)], "1"),
        (Secondary, vec![(Unknown, Outdated)], "1"),
        (Role::Other("Tertiary".into()), vec![(Secondary, Outdated)], "1"),
    ] {
        let numbers: Vec<u32> = (0..).take(disks.len()).collect();
        let said = Ok(Some(resource(role.clone(), &disks)));
        for generations in [unread(), here(SAME, 0)] {
            assert_eq!(word(&of_peer("b", &said, &own(&numbers, &generations))), answer, "{role} {disks:?}");
        }
    }
    let own = own(&[0], &unread());
    let filed = Resource { source: Source::Drbdsetup, ..resource(Primary, &[(Primary, UpToDate)]) };
    assert_eq!(word(&of_peer("b", &Ok(Some(filed)), &own)), "1");
    assert_eq!(word(&of_peer("b", &Ok(None), &own)), "1");
    assert_eq!(word(&of_peer("b", &Err("no route".into()), &own)), "s");
}

/// An answer holds for all volumes that DRBD asks about, and DRBD takes it for all of them.
#[test]
fn the_peer_must_name_each_of_our_volumes_once() {
    let outdated = |numbers: &[u32]| {
        let disks = vec![(Role::Secondary, DiskState::Outdated); numbers.len()];
        let mut resource = resource(Role::Secondary, &disks);
        resource.volumes.iter_mut().zip(numbers).for_each(|(volume, number)| volume.number = *number);
        resource
    };
    for (ours, theirs, answer) in [
        (&[0, 1][..], &[0, 1][..], "4"),
        (&[1, 0], &[0, 1], "4"),
        (&[0], &[0, 1], "1"),
        (&[0, 0], &[0], "1"),
        (&[0, 0], &[0, 1], "1"),
        (&[0, 1], &[0], "1"),
        (&[0, 1], &[7], "1"),
        (&[0, 1], &[0, 7], "1"),
        (&[0, 1], &[0, 1, 1], "1"),
        (&[0], &[0, 0], "1"),
        (&[0], &[], "1"),
        (&[], &[0], "1"),
        (&[], &[], "1"),
    ] {
        let look = of_peer("b", &Ok(Some(outdated(theirs))), &own(ours, &unread()));
        assert_eq!(word(&look), answer, "{ours:?} {theirs:?}");
    }
    let mut twice = resource(Role::Primary, &[(Role::Primary, DiskState::UpToDate)]);
    twice.volumes.push(twice.volumes[0].clone());
    assert_eq!(word(&of_peer("b", &Ok(Some(twice)), &own(&[0], &unread()))), "1");
}

#[test]
#[rustfmt::skip]
fn a_peer_that_is_still_connected_is_asked_again() {
    use ConnectionState as C;
    let other = C::Other("Pondering".into());
    for (state, answers) in [(C::Connected, ["c", "c", "c", "6"]), (other, ["1", "1", "1", "6"]), (C::StandAlone, ["3", "4", "o", "6"]), (C::Timeout, ["3", "4", "o", "6"]), (C::TearDown, ["3", "4", "o", "6"])] {
        let disks = [(Role::Secondary, DiskState::Inconsistent), (Role::Secondary, DiskState::Outdated), (Role::Secondary, DiskState::UpToDate), (Role::Primary, DiskState::UpToDate)];
        for (half, answer) in disks.into_iter().zip(answers) {
            let mut resource = resource(half.0.clone(), &[half]);
            resource.connections[0].state = state.clone();
            let look = of_peer("b", &Ok(Some(resource.clone())), &own(&[0], &unread()));
            assert_eq!(word(&look), answer, "{state} {}", resource.volumes[0].disk);
        }
    }
    let mut resource = resource(Role::Secondary, &[(Role::Secondary, DiskState::Outdated)]);
    resource.connections.push(resource.connections[0].clone());
    assert_eq!(word(&of_peer("b", &Ok(Some(resource.clone())), &own(&[0], &unread()))), "1", "which is to us?");
    resource.connections.clear();
    assert_eq!(word(&of_peer("b", &Ok(Some(resource)), &own(&[0], &unread()))), "1");
}

/// Whatever the peer's disk is called: an earlier call of this handler may have made it Outdated.
#[test]
#[rustfmt::skip]
fn whose_data_is_newer_the_generations_tell() {
    for (peer, own_generations, answers, words) in [
        (told(SAME, 0), here(SAME, 0), ["3", "4", "o"], ""),
        (told(SAME, 0), unread(), ["3", "4", "o"], ""),
        (told(SAME, 0), here(ALONE, SAME), ["3", "4", "o"], ""),
        (told(SAME | 1, 0), here(ALONE | 1, SAME), ["3", "4", "o"], ""),
        (told(ALONE, SAME), here(SAME, 0), ["-1"; 3], "b has the newer data"),
        (told(ALONE, SAME), unread(), ["-1"; 3], "b has newer data, it has written without this node"),
        (told(SAME, 0), Known::Unknown("x".into()), ["1"; 3], "the generations of volume 0 here: x"),
        (told(ALONE, SAME), here(0x30, SAME), ["-1"; 3], "split brain"),
        (told(ALONE, 0), here(SAME, 0), ["-1"; 3], "whether b has newer data is not certain"),
        (told(ALONE, 0), here(0x30, SAME), ["-1"; 3], "whether b has newer data is not certain"),
        (Known::Unknown("it was not told".into()), here(SAME, 0), ["1"; 3], "whether b has written without this node is not known"),
    ] {
        for (disk, answer) in [DiskState::Inconsistent, DiskState::Outdated, DiskState::UpToDate].into_iter().zip(answers) {
            let mut resource = resource(Role::Secondary, &[(Role::Secondary, disk.clone())]);
            resource.volumes[0].generations = peer.clone();
            let look = of_peer("b", &Ok(Some(resource)), &own(&[0], &own_generations));
            assert_eq!(word(&look), answer, "{disk} {peer:?} {own_generations:?}");
            assert!(format!("{look:?}").contains(words), "{words}: {look:?}");
        }
    }
}

#[test]
fn one_volume_that_was_written_alone_is_enough() {
    let disks = vec![(Role::Secondary, DiskState::Outdated); 2];
    for written in [0, 1] {
        let mut resource = resource(Role::Secondary, &disks);
        resource.volumes[written].generations = told(ALONE, SAME);
        let look = of_peer("b", &Ok(Some(resource)), &own(&[0, 1], &unread()));
        assert_eq!(word(&look), "-1");
        let words = format!("volume {written}: current {ALONE:016X}, bitmap {SAME:016X}");
        assert!(format!("{look:?}").contains(&words), "{look:?}");
    }
}

#[test]
fn that_outdate_command_was_run_is_told_whatever_is_answered() {
    let ended = |code: i32, complaint: &str| Ok((code, complaint.to_string()));
    let failed = || Err("killed".to_string());
    for (runs, clause) in [
        (vec![], None),
        (vec![ended(0, "")], Some("outdate-command was run on b and ended with 0")),
        (vec![ended(17, "")], Some("outdate-command was run on b and ended with 17")),
        (vec![ended(0, ""), ended(17, "")], Some("outdate-command was run on b 2 times and ended with 0")),
        (vec![ended(17, ""), failed()], Some("outdate-command was run on b 2 times and ended with 17")),
        (
            vec![ended(17, "no such resource")],
            Some("outdate-command was run on b and ended with 17 (no such resource)"),
        ),
        (vec![failed()], Some("outdate-command was run on b and failed (killed)")),
    ] {
        assert_eq!(outdating("b", &runs).as_deref(), clause, "{runs:?}");
    }
    let told = |judged: Judged| format!("{:?}", judged.told_with(outdating("b", &[ended(0, "")])));
    let perhaps = "ended with 0: its disk may be Outdated now";
    assert!(told(Judged::InDoubt("x".into())).contains(perhaps));
    assert!(told(Judged::PeerHasMore("x".into())).contains(perhaps));
    let established = told(Judged::Established(4, "x".into()));
    assert!(established.contains("ended with 0") && !established.contains("may be"), "{established}");
}

#[test]
fn what_a_program_answers() {
    for (exit, believed, answer) in [
        (3, None, 3),
        (4, None, 4),
        (5, None, 1),
        (5, Some("the cluster knows"), 5),
        (6, None, 6),
        (7, None, 7),
        (0, None, 1),
        (1, Some("x"), 1),
        (2, None, 1),
        (8, None, 1),
        (20, None, 1),
        (127, None, 1),
        (-1, None, 1),
    ] {
        let judged = of_program("/sbin/stonith", &Ok(exit), believed);
        assert_eq!(code(&judged), answer, "{exit} {believed:?}");
    }
    assert_eq!(code(&of_program("/sbin/stonith", &Err("killed".into()), Some("x"))), 1);
    assert_eq!(code(&of_assumption("a switched outlet")), 5);
}
