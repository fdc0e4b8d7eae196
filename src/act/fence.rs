//! Tries to establish a fact about a peer, by asking it or by running a program.
//!
//! Nothing here sends DRBD of this host anything: it waits for what comes of this.

use crate::config::AskPeer;
use crate::event::drbd::Variables;
use crate::facts::{Fenced, Known, Resource};
use crate::gather::peers;
use crate::handlers::drbd::Subject;
use crate::handlers::fence_peer::{Judged, Look, OutdateRun, of_peer, outdating};
use crate::host::{Deadline, Host, program};
use anyhow::Result;
use std::time::Duration;

/// The pause between two tries: the peer may still take the connection for alive, and then DRBD
/// there does not outdate its disk.
const AGAIN: Duration = Duration::from_millis(500);

/// How long a program that takes a fence back may take: a cluster answers within minutes.
const UNFENCE: Duration = Duration::from_secs(180);

/// How often a peer is asked that does not answer: ssh may fail once. No more, because DRBD calls the
/// handler up to four times when a guest is to start (drbd_nl.c, drbd_set_role), and Xen waits for that.
const SILENCES: u32 = 3;

/// Asks the peer what it has; where its disks may be outdated, outdates them and asks again; where
/// it is still connected, asks again. Until `deadline`.
pub fn ask_peer(host: &mut Host, peer: &str, how: &AskPeer, subject: &Subject, deadline: Deadline) -> Judged {
    host.set_deadline(deadline);
    let mut runs = Vec::new();
    let judged = ask_until_known(host, peer, how, subject, &mut runs);
    judged.told_with(outdating(peer, &runs))
}

/// Notes in `runs` what each run of outdate-command has come to.
fn ask_until_known(
    host: &Host,
    peer: &str,
    how: &AskPeer,
    subject: &Subject,
    runs: &mut Vec<OutdateRun>,
) -> Judged {
    let (mut doubt, mut silences) = (None, 0);
    loop {
        let (why, next) = match look(host, peer, how, subject) {
            Look::Final(judged) => return judged,
            Look::StillConnected(why) => (why, Some(Next::Ask)),
            Look::MayBeOutdated(why) => match how.outdate_command() {
                Some(command) => (why, Some(Next::Outdate(command))),
                None => (format!("{why}, and [peers.{peer}] has no outdate-command"), None),
            },
            Look::NoAnswer(why) => {
                silences += 1;
                (why, (silences < SILENCES).then_some(Next::Ask))
            }
        };
        let time_is_over = host.deadline().remaining().is_err();
        // That the time was over says less than what was said before.
        let why = if time_is_over { doubt.unwrap_or(why) } else { why };
        let Some(next) = next.filter(|_| !time_is_over) else { return Judged::InDoubt(why) };
        let at_once = runs.is_empty() && matches!(next, Next::Outdate(_));
        if !at_once && host.pause(AGAIN).is_err() {
            return Judged::InDoubt(why);
        }
        if let Next::Outdate(command) = next {
            runs.push(outdate(host, command, subject.resource));
        }
        doubt = Some(why);
    }
}

/// What is done about a peer of which nothing is established yet, before it is asked again.
enum Next<'a> {
    /// Nothing.
    Ask,
    /// Its disks are outdated with this command.
    Outdate(&'a [String]),
}

fn look(host: &Host, peer: &str, how: &AskPeer, subject: &Subject) -> Look {
    let own = match &subject.facts.volumes {
        Known::Is(own) => own,
        Known::Unknown(why) => {
            let why = format!("{peer} cannot be judged: which volumes DRBD asks about is not known: {why}");
            return Look::Final(Judged::InDoubt(why));
        }
    };
    let said = said(host, peer, how, subject.resource).map_err(|error| format!("{error:#}"));
    of_peer(peer, &said, own)
}

/// What the peer says of the resource; `None` when it has none of that name up.
fn said(host: &Host, peer: &str, how: &AskPeer, resource: &str) -> Result<Option<Resource>> {
    let facts = peers::ask_by(host, peer, &program::of_root(host, how.command())?)?;
    match facts.resources {
        Known::Is(resources) => Ok(resources.into_iter().find(|other| other.name == resource)),
        Known::Unknown(why) => Err(anyhow::Error::msg(why)),
    }
}

fn outdate(host: &Host, command: &[String], resource: &str) -> OutdateRun {
    let command = program::of_root(host, &[command, &[resource.to_string()]].concat());
    let exit = command.and_then(|command| program::exit_and_complaint_of(&command, host.deadline()));
    exit.map_err(|error| format!("{error:#}"))
}

/// What a program with DRBD's exit codes answers.
pub fn ask_program(
    host: &Host,
    command: &[String],
    variables: &Variables,
    deadline: Deadline,
) -> Result<i32> {
    program::exit_of(&program::of_root(host, command)?, variables, deadline)
}

/// Keeps what was established, until this host boots again: DRBD itself keeps what it was told.
pub fn record(host: &mut Host, fenced: &Fenced) -> Result<()> {
    host.write_record(&Fenced::path(&fenced.resource), fenced)
}

/// Starts the programs that take it back, all of them, and forgets it.
pub fn unfence(
    host: &mut Host,
    resource: &str,
    commands: &[Vec<String>],
    variables: &Variables,
) -> Result<()> {
    let mut started = Ok(());
    for command in commands {
        let left = program::of_root(host, command).and_then(|command| {
            program::leave(host, &format!("unfencing of {resource}"), &command, variables, UNFENCE)
        });
        started = started.and(left);
    }
    started.and(host.remove(&Fenced::path(resource)))
}
