//! The peer is lost, or unknown when this node is to be promoted. DRBD freezes or refuses until it
//! is told a fact about the peer, and believes what it is told (drbd_nl.c, conn_try_outdate_peer).
//!
//! So an answer is only ever what has been established, by the first method that establishes
//! anything. Where none does, the answer is 1: nothing is promoted, what is frozen stays frozen,
//! and nothing is lost.

use super::Plan;
use super::drbd::{Answer, Decision, Subject};
use crate::config::handlers::Policy;
use crate::facts::{DiskState, Resource, Role, Source};

/// The peer's disk is Inconsistent (P_INCONSISTENT).
const INCONSISTENT: i32 = 3;
/// The peer's disk is Outdated (P_OUTDATED).
const OUTDATED: i32 = 4;
/// The peer is down (P_DOWN).
const DOWN: i32 = 5;
/// The peer is Primary: this node's own disk becomes Outdated (P_PRIMARY).
const PRIMARY: i32 = 6;
/// The peer has been powered off (P_FENCING).
const FENCED: i32 = 7;

/// What one method has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judged {
    /// A fact: DRBD's code, and how it is known, as a clause.
    Established(i32, String),
    /// None: why, as a clause.
    InDoubt(String),
}

/// What to do.
pub fn plan(subject: &Subject, policy: &Policy) -> Decision {
    if policy.methods.is_empty() {
        let why = "no method is set: write methods for it under [fencing] in /etc/xen/block-drbd.toml";
        let plan = Plan::nothing(in_doubt(subject.resource, &[why.into()]));
        return Decision { plan, answer: Answer::Exit(1), urgent: true };
    }
    Decision { plan: Plan::nothing(String::new()), answer: Answer::Fence, urgent: true }
}

/// What the log says when no method has established anything.
pub fn in_doubt(resource: &str, doubts: &[String]) -> String {
    format!(
        "nothing is known of the peer of {resource}, so it is not promoted and what is frozen stays frozen; bring the link to the peer back, and DRBD goes on by itself; or, when the peer is certainly off and stays so: drbdadm resume-io {resource}; tried: {}",
        doubts.join("; ")
    )
}

/// The sentence about what was established.
pub fn established(code: i32, resource: &str, how: &str) -> String {
    let means = match code {
        INCONSISTENT => "the peer's disk is Inconsistent",
        OUTDATED => "the peer's disk is Outdated",
        DOWN => "the peer is down",
        PRIMARY => "the peer is Primary, and the disk here becomes Outdated",
        FENCED => "the peer has been powered off",
        _ => "nothing is known",
    };
    format!("{resource}: {means}: {how}")
}

/// What the peer says of the resource itself: `None` when it does not have it up, or why it did
/// not say anything.
pub fn of_peer(peer: &str, said: &Result<Option<Resource>, String>) -> Judged {
    let resource = match said {
        Err(why) => return Judged::InDoubt(format!("{peer} did not answer: {why}")),
        Ok(None) => {
            return Judged::InDoubt(format!("{peer} does not have it up, and may bring it up as it was"));
        }
        Ok(Some(resource)) => resource,
    };
    // What stands in files was true when they were made.
    if resource.source == Source::Drbdsetup {
        return Judged::InDoubt(format!("{peer} answers out of files and not of its DRBD"));
    }
    let is_primary =
        resource.role == Role::Primary || resource.volumes.iter().any(|volume| volume.role == Role::Primary);
    let is_secondary = resource.role == Role::Secondary
        && resource.volumes.iter().all(|volume| volume.role == Role::Secondary);
    let disks: Vec<&DiskState> = resource.volumes.iter().map(|volume| &volume.disk).collect();
    let all = |wanted: &[DiskState]| !disks.is_empty() && disks.iter().all(|disk| wanted.contains(disk));
    let says = |what: &str| format!("{peer} says that it is {what}");
    match () {
        () if is_primary => Judged::Established(PRIMARY, says("Primary")),
        () if !is_secondary => Judged::InDoubt(says(&format!("{}", resource.role))),
        () if all(&[DiskState::Inconsistent]) => Judged::Established(INCONSISTENT, says("Inconsistent")),
        () if all(&[DiskState::Inconsistent, DiskState::Outdated]) => {
            Judged::Established(OUTDATED, says("Outdated"))
        }
        () => {
            let words: Vec<String> = disks.iter().map(ToString::to_string).collect();
            Judged::InDoubt(says(&format!("Secondary with its disk {}", words.join(", "))))
        }
    }
}

/// What a program has answered: its exit code, or why it has none. `believe_down` is why its 5 is a fact.
pub fn of_program(name: &str, exit: &Result<i32, String>, believe_down: Option<&str>) -> Judged {
    match (exit, believe_down) {
        (Ok(code @ (INCONSISTENT | OUTDATED | PRIMARY | FENCED)), _) => {
            Judged::Established(*code, format!("{name} answers {code}"))
        }
        (Ok(DOWN), Some(reason)) => {
            Judged::Established(DOWN, format!("{name} answers {DOWN}, which is believed because: {reason}"))
        }
        (Ok(DOWN), None) => Judged::InDoubt(format!(
            "{name} answers {DOWN} (the peer is down), and believe-down does not say why that is a fact"
        )),
        (Ok(code), _) => Judged::InDoubt(format!("{name} answers {code}, which says nothing")),
        (Err(why), _) => Judged::InDoubt(format!("{name}: {why}")),
    }
}

/// What the administrator has written.
pub fn of_assumption(reason: &str) -> Judged {
    Judged::Established(DOWN, format!("it is assumed, because: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Volume;
    use crate::rules::tests::healthy;

    fn resource(role: Role, disks: &[(Role, DiskState)]) -> Resource {
        let healthy = healthy();
        let volume = |(role, disk): &(Role, DiskState)| Volume {
            role: role.clone(),
            disk: disk.clone(),
            ..healthy.volumes[0].clone()
        };
        Resource { role, volumes: disks.iter().map(volume).collect(), ..healthy.clone() }
    }

    fn code(judged: &Judged) -> i32 {
        match judged {
            Judged::Established(code, how) => {
                assert!(!how.is_empty());
                *code
            }
            Judged::InDoubt(why) => {
                assert!(!why.is_empty());
                1
            }
        }
    }

    #[test]
    fn what_the_peer_says() {
        use DiskState::*;
        use Role::{Primary, Secondary, Unknown};
        let odd = || DiskState::Other("Molten".into());
        for (role, disks, answer) in [
            (Primary, vec![(Primary, UpToDate)], 6),
            (Primary, vec![(Primary, Outdated)], 6),
            (Primary, vec![], 6),
            // 8.4 promotes volumes one by one.
            (Secondary, vec![(Secondary, Outdated), (Primary, Outdated)], 6),
            (Secondary, vec![(Secondary, Inconsistent)], 3),
            (Secondary, vec![(Secondary, Inconsistent), (Secondary, Inconsistent)], 3),
            (Secondary, vec![(Secondary, Outdated)], 4),
            (Secondary, vec![(Secondary, Outdated), (Secondary, Inconsistent)], 4),
            (Secondary, vec![(Secondary, Outdated), (Secondary, UpToDate)], 1),
            (Secondary, vec![(Secondary, UpToDate)], 1),
            (Secondary, vec![(Secondary, Consistent)], 1),
            // Its disk may be attached again, as good as it was.
            (Secondary, vec![(Secondary, Diskless)], 1),
            (Secondary, vec![(Secondary, Failed)], 1),
            (Secondary, vec![(Secondary, Attaching)], 1),
            (Secondary, vec![(Secondary, Negotiating)], 1),
            (Secondary, vec![(Secondary, DUnknown)], 1),
            (Secondary, vec![(Secondary, odd())], 1),
            (Secondary, vec![], 1),
            (Unknown, vec![(Secondary, Outdated)], 1),
            (Secondary, vec![(Unknown, Outdated)], 1),
            (Role::Other("Tertiary".into()), vec![(Secondary, Outdated)], 1),
        ] {
            let said = Ok(Some(resource(role.clone(), &disks)));
            assert_eq!(code(&of_peer("b", &said)), answer, "{role} {disks:?}");
        }
        let filed = Resource { source: Source::Drbdsetup, ..resource(Primary, &[(Primary, UpToDate)]) };
        assert_eq!(code(&of_peer("b", &Ok(Some(filed)))), 1);
        assert_eq!(code(&of_peer("b", &Ok(None))), 1);
        assert_eq!(code(&of_peer("b", &Err("no route".into()))), 1);
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
            assert_eq!(
                code(&of_program("/sbin/stonith", &Ok(exit), believed)),
                answer,
                "{exit} {believed:?}"
            );
        }
        assert_eq!(code(&of_program("/sbin/stonith", &Err("killed".into()), Some("x"))), 1);
        assert_eq!(code(&of_assumption("a switched outlet")), 5);
    }
}
