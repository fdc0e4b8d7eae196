//! The peer is lost, or unknown when this node is to be promoted. DRBD freezes or refuses until it
//! is told a fact about the peer, and believes what it is told (drbd_nl.c, conn_try_outdate_peer).
//!
//! So an answer is only ever what has been established, by the first method that establishes
//! anything. Where none does, the answer is 1: nothing is promoted, what is frozen stays frozen,
//! and nothing is lost.
//!
//! Whose data is newer is decided by the generations of the peer's disks. The state Outdated does not
//! decide it: an earlier call of this handler may have made it. So a peer that has written what this
//! node lacks is neither outdated nor reported as fenced, whatever its disks are called.

use super::Plan;
use super::drbd::{Answer, Decision, Subject};
use crate::config::handlers::Policy;
use crate::facts::{ConnectionState, DiskState, Known, OwnVolume, Resource, Role, Source, Standing, Volume};

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
    /// None: why, as a clause. The next method may know more.
    InDoubt(String),
    /// The peer has, or may have, data that this node lacks: which, as a clause with what to do. No
    /// other method may make this node's data the newest.
    PeerHasMore(String),
}

/// What one look at the peer has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// A method's answer.
    Final(Judged),
    /// The peer did not answer: why.
    NoAnswer(String),
    /// The peer has not noticed yet that it has lost this node: what it says.
    StillConnected(String),
    /// The peer is Secondary, has lost this node too, and has nothing that this node lacks: its disks
    /// may be outdated. What it says.
    MayBeOutdated(String),
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
        "{}; so nothing is known of the peer of {resource}: it is not promoted and what is frozen stays frozen; bring the peer or the link to it back, and DRBD goes on by itself, see: drbdadm cstate {resource}",
        doubts.join("; ")
    )
}

/// What the log says when the peer has, or may have, newer data.
pub fn peer_has_more(resource: &str, why: &str) -> String {
    format!("{resource} is not promoted and what is frozen stays frozen: {why}")
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
/// not say anything. `own` are the volumes that DRBD asks about.
pub fn of_peer(peer: &str, said: &Result<Option<Resource>, String>, own: &[OwnVolume]) -> Look {
    let resource = match said {
        Err(why) => return Look::NoAnswer(format!("{peer} did not answer: {why}")),
        Ok(None) => return doubt(format!("{peer} does not have it up, and may bring it up as it was")),
        // What stands in files was true when they were made.
        Ok(Some(resource)) if resource.source == Source::Drbdsetup => {
            return doubt(format!("{peer} answers out of files and not of its DRBD"));
        }
        Ok(Some(resource)) => resource,
    };
    match pairs(resource, own) {
        Ok(pairs) => of_volumes(peer, resource, &pairs),
        Err(why) => doubt(format!("{peer} {why}")),
    }
}

/// One of this node's volumes, and the peer's half of it.
type Pair<'a> = (&'a OwnVolume, &'a Volume);

/// The peer's half of each of this node's volumes; or, as the end of a clause, why there is no such.
fn pairs<'a>(resource: &'a Resource, own: &'a [OwnVolume]) -> Result<Vec<Pair<'a>>, String> {
    if own.is_empty() {
        return Err("cannot be judged: DRBD names no volume".into());
    }
    let pair = |own: &'a OwnVolume| {
        let mut halves = resource.volumes.iter().filter(|volume| volume.number == own.number);
        match (halves.next(), halves.next()) {
            (Some(half), None) => Ok((own, half)),
            (None, _) => {
                Err(format!("does not have volume {} up, and may bring it up as it was", own.number))
            }
            (Some(_), Some(_)) => Err(format!("lists volume {} twice", own.number)),
        }
    };
    if let Some(twice) = own.iter().enumerate().find(|(index, volume)| asked(&own[..*index], volume.number)) {
        return Err(format!("cannot be judged: DRBD names volume {} twice", twice.1.number));
    }
    // What DRBD is answered holds for the whole resource.
    if let Some(other) = resource.volumes.iter().find(|volume| !asked(own, volume.number)) {
        return Err(format!("has volume {}, which DRBD here does not ask about", other.number));
    }
    own.iter().map(pair).collect()
}

/// Whether the volume of that number is among those that DRBD asks about.
fn asked(own: &[OwnVolume], number: u32) -> bool {
    own.iter().any(|volume| volume.number == number)
}

fn of_volumes(peer: &str, resource: &Resource, pairs: &[Pair]) -> Look {
    let says = |what: &str| format!("{peer} says that it is {what}");
    // 8.4 promotes volumes one by one.
    if pairs.iter().any(|(_, volume)| volume.role == Role::Primary) {
        return Look::Final(Judged::Established(PRIMARY, says("Primary")));
    }
    let roles = pairs.iter().map(|(_, volume)| &volume.role).chain([&resource.role]);
    if let Some(role) = roles.into_iter().find(|role| **role != Role::Secondary) {
        return doubt(says(&role.to_string()));
    }
    match has_lost_us(resource) {
        None => return doubt(format!("{peer} does not say whether it is connected to this node")),
        Some(false) => return Look::StillConnected(says("still connected to this node")),
        Some(true) => {}
    }
    if let Some(judged) = of_generations(peer, &resource.name, pairs) {
        return Look::Final(judged);
    }
    of_disks(peer, pairs)
}

/// Whether the peer takes its connection for lost; `None` where that is not known. 8.4 has one
/// connection for each resource.
fn has_lost_us(resource: &Resource) -> Option<bool> {
    use ConnectionState as S;
    let lost = |state: &ConnectionState| match state {
        S::Connected => Some(false),
        S::StandAlone
        | S::Disconnecting
        | S::Unconnected
        | S::Timeout
        | S::BrokenPipe
        | S::NetworkFailure
        | S::ProtocolError
        | S::TearDown
        | S::Connecting => Some(true),
        S::Other(_) => None,
    };
    match &resource.connections[..] {
        [only] => lost(&only.state),
        _ => None,
    }
}

/// What stands against calling the data here the newest, by the generations of the peer's disks.
fn of_generations(peer: &str, resource: &str, pairs: &[Pair]) -> Option<Judged> {
    let (standing, shown) = match worst(pairs) {
        Ok(worst) => worst,
        Err(why) => {
            let what = format!("whether {peer} has written without this node is not known");
            return Some(Judged::InDoubt(format!("{what}: {why}")));
        }
    };
    let connect = format!("run on both nodes: drbdadm connect {resource}");
    let why = match standing {
        Standing::Included => return None,
        Standing::Unsettled => format!(
            "whether {peer} has newer data is not certain, by its generations ({shown}); let DRBD decide, {connect}"
        ),
        Standing::PeerWroteAlone => format!(
            "{peer} has the newer data, it has written without this node ({shown}); start the guest on {peer}, or let a resync bring the data here first, {connect}"
        ),
        Standing::PeerWroteAtLeast => format!(
            "{peer} has newer data, it has written without this node ({shown}); connect first, {connect}; or start the guest on {peer}, unless this node has written too, which is not known here, see: block-drbd check {resource}"
        ),
        Standing::BothWroteAlone => format!(
            "split brain: this node and {peer} have both written without the other ({shown}); start the guest on neither and decide which copy stays, see: man drbdadm, connect --discard-my-data"
        ),
    };
    Some(Judged::PeerHasMore(why))
}

/// The worst that the data of the peer's volumes is to the data here, with the volume's generations;
/// an error where those of a volume are not known.
fn worst(pairs: &[Pair]) -> Result<(Standing, String), String> {
    let mut worst = (Standing::Included, String::new());
    for (own, volume) in pairs {
        let number = volume.number;
        let told = match &volume.generations {
            Known::Is(generations) => generations,
            Known::Unknown(why) => return Err(format!("the generations of its volume {number}: {why}")),
        };
        let known = match &own.generations {
            Known::Is(known) => known.as_ref(),
            Known::Unknown(why) => return Err(format!("the generations of volume {number} here: {why}")),
        };
        let standing = Standing::of(told, known);
        if standing > worst.0 {
            let (current, bitmap) = (told.current_uuid, told.bitmap_uuid);
            worst = (standing, format!("volume {number}: current {current:016X}, bitmap {bitmap:016X}"));
        }
    }
    Ok(worst)
}

/// By the states of the peer's disks, of which this node has everything.
fn of_disks(peer: &str, pairs: &[Pair]) -> Look {
    use DiskState::{Consistent, Inconsistent, Outdated, UpToDate};
    let all = |wanted: &[DiskState]| pairs.iter().all(|(_, volume)| wanted.contains(&volume.disk));
    let says = |what: &str| format!("{peer} says that it is {what}");
    let words: Vec<String> = pairs.iter().map(|(_, volume)| volume.disk.to_string()).collect();
    let secondary = says(&format!("Secondary with its disk {}", words.join(", ")));
    match () {
        () if all(&[Inconsistent]) => Look::Final(Judged::Established(INCONSISTENT, says("Inconsistent"))),
        () if all(&[Inconsistent, Outdated]) => Look::Final(Judged::Established(OUTDATED, says("Outdated"))),
        () if all(&[Inconsistent, Outdated, Consistent, UpToDate]) => Look::MayBeOutdated(secondary),
        () => doubt(secondary),
    }
}

fn doubt(why: String) -> Look {
    Look::Final(Judged::InDoubt(why))
}

/// The exit code of one run of outdate-command and what it complained of; or why it has no exit code.
pub type OutdateRun = Result<(i32, String), String>;

/// What outdate-command has come to on the peer, each time that it was run: a clause for the log,
/// whatever the answer is. Nothing where it was not run.
pub fn outdating(peer: &str, runs: &[OutdateRun]) -> Option<String> {
    let ended = |run: &OutdateRun| match run {
        Ok((code, complaint)) if *code == 0 || complaint.is_empty() => format!("ended with {code}"),
        Ok((code, complaint)) => format!("ended with {code} ({complaint})"),
        Err(why) => format!("failed ({why})"),
    };
    // One that was ended with the time says less than one that has answered.
    let of = |wanted: fn(&OutdateRun) -> bool| runs.iter().rfind(|run| wanted(run));
    let told = of(|run| matches!(run, Ok((0, _)))).or(of(Result::is_ok)).or(runs.last())?;
    let times = if runs.len() == 1 { String::new() } else { format!(" {} times", runs.len()) };
    Some(format!("outdate-command was run on {peer}{times} and {}", ended(told)))
}

impl Judged {
    /// The same, with what outdate-command has come to. Where nothing was established the peer may
    /// be Outdated all the same.
    pub fn told_with(self, outdating: Option<String>) -> Judged {
        let Some(outdating) = outdating else { return self };
        let perhaps = format!("{outdating}: its disk may be Outdated now");
        match self {
            Judged::Established(code, how) => Judged::Established(code, format!("{how}; {outdating}")),
            Judged::InDoubt(why) => Judged::InDoubt(format!("{why}; {perhaps}")),
            Judged::PeerHasMore(why) => Judged::PeerHasMore(format!("{why}; {perhaps}")),
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
#[path = "fence_peer_tests.rs"]
mod tests;
