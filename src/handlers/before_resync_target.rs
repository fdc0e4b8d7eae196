//! This node is about to be overwritten with the peer's data. While that lasts neither what was
//! there nor what comes is whole, so a guest must not be on it, and what was there may be kept.
//!
//! A disk that is Inconsistent already is another matter: it was attached below a guest that runs
//! on the peer's data, and to refuse would cut the guest off from that. DRBD shows which it is: one whose
//! good data it is about to throw away it calls Outdated here (drbd_state.c, sanitize_state: C_WF_BITMAP_T).

use super::drbd::{Answer, Decision, Subject, guests};
use super::{Plan, Step, snapshot};
use crate::config::handlers::{Policy, UnderGuest};
use crate::facts::{DiskState, Known};

/// What to do.
pub fn plan(subject: &Subject, policy: &Policy) -> Decision {
    match obstacle(subject, policy) {
        Some(why) => refuse(subject, &why),
        None => allow(subject, policy),
    }
}

/// What stands against the resync.
fn obstacle(subject: &Subject, policy: &Policy) -> Option<String> {
    let users = guests(subject.facts.guests());
    match &subject.facts.users {
        _ if policy.resync_under_guest == UnderGuest::Allow => None,
        Known::Unknown(why) => Some(format!("who uses it is not known: {why}")),
        _ if has_nothing_to_lose(subject) => None,
        Known::Is(_) if users.is_empty() => None,
        Known::Is(_) => Some(format!("{} uses it", users.join(", "))),
    }
    .or_else(|| {
        let unnamed = policy.snapshot_percent > 0 && snapshot::of(subject).is_none();
        unnamed.then(|| "a snapshot is to be taken, and DRBD does not say of which device".into())
    })
}

/// Whether no guest can have seen what is overwritten.
fn has_nothing_to_lose(subject: &Subject) -> bool {
    let disks = subject.facts.disks.value();
    disks.is_some_and(|disks| disks.values().all(|disk| *disk == DiskState::Inconsistent))
}

fn refuse(subject: &Subject, why: &str) -> Decision {
    let (resource, peer) = (subject.resource, subject.peer());
    let summary = format!(
        "refused: {resource} is not overwritten with the data of {peer}: {why}; DRBD drops the connection and calls the disk here Outdated, so that the guest's I/O fails; nothing is lost yet: shut the guest down, decide which copy stays, and when it is that of {peer} run: drbdadm connect {resource}"
    );
    Decision { plan: Plan { steps: Vec::new(), summary }, answer: Answer::Exit(1), urgent: true }
}

/// What the log says when a snapshot could not be taken, and why.
pub fn unkept(subject: &Subject, why: &str) -> String {
    let (resource, peer) = (subject.resource, subject.peer());
    format!(
        "refused: {resource} is not overwritten with the data of {peer}: {why}; free space in the volume group or lower snapshot-percent, then run: drbdadm connect {resource}"
    )
}

fn allow(subject: &Subject, policy: &Policy) -> Decision {
    let (resource, peer, percent) = (subject.resource, subject.peer(), policy.snapshot_percent);
    let overwritten = format!("{resource} is overwritten with the data of {peer}");
    let Some(snapshots) = snapshot::of(subject).filter(|_| percent > 0) else {
        return Decision::goes_on(Vec::new(), false, overwritten);
    };
    if snapshots.is_empty() {
        let summary = format!(
            "{overwritten}; the disk here is Inconsistent already, so no snapshot is taken, and an earlier one stays"
        );
        return Decision::goes_on(Vec::new(), false, summary);
    }
    let names: Vec<&str> = snapshots.iter().map(|snapshot| snapshot.name.as_str()).collect();
    let summary = format!("{overwritten}; what it was is kept in {}", names.join(" "));
    Decision::goes_on(vec![Step::Snapshot { snapshots, percent }], false, summary)
}
