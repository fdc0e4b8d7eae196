//! Tries to establish a fact about a peer, by asking it or by running a program.
//!
//! Nothing here sends DRBD of this host anything: it waits for what comes of this.

use crate::config::AskPeer;
use crate::event::drbd::Variables;
use crate::facts::{Fenced, Known, Resource};
use crate::gather::peers;
use crate::handlers::fence_peer::{Judged, of_peer};
use crate::host::{Deadline, Host, program};
use anyhow::Result;
use std::collections::BTreeMap;
use std::time::Duration;

/// The pause between two tries: the peer may still take the connection for alive, and then DRBD
/// there does not outdate its disk.
const AGAIN: Duration = Duration::from_millis(500);

/// How long a program that takes a fence back may take: a cluster answers within minutes.
const UNFENCE: Duration = Duration::from_secs(180);

/// Asks the peer what it has; where that is not enough, has its disk outdated there and asks
/// again, until `deadline`.
pub fn ask_peer(host: &mut Host, peer: &str, how: &AskPeer, resource: &str, deadline: Deadline) -> Judged {
    host.set_deadline(deadline);
    let (mut doubt, mut failed) = (None, String::new());
    for attempt in 0.. {
        let why = match look(host, peer, how, resource) {
            Judged::InDoubt(why) => format!("{why}{failed}"),
            established => return established,
        };
        let time_is_over = host.deadline().remaining().is_err();
        // That the time was over says less than what was said before.
        doubt = if time_is_over { doubt.or(Some(why)) } else { Some(why) };
        let Some(command) = how.outdate_command().filter(|_| !time_is_over) else { break };
        if attempt > 0 {
            let _ = host.pause(AGAIN);
        }
        failed = match outdate(host, command, resource) {
            // What it has come to, the next look tells.
            Ok(0) => String::new(),
            Ok(code) => format!(", and outdating it there ended with {code}"),
            Err(error) => format!(", and outdating it there failed: {error:#}"),
        };
    }
    Judged::InDoubt(doubt.unwrap_or_default())
}

fn look(host: &Host, peer: &str, how: &AskPeer, resource: &str) -> Judged {
    of_peer(peer, &said(host, peer, how, resource).map_err(|error| format!("{error:#}")))
}

/// What the peer says of the resource; `None` when it has none of that name up.
fn said(host: &Host, peer: &str, how: &AskPeer, resource: &str) -> Result<Option<Resource>> {
    let facts = peers::ask_by(host, peer, &program::of_root(host, how.command())?)?;
    match facts.resources {
        Known::Is(resources) => Ok(resources.into_iter().find(|other| other.name == resource)),
        Known::Unknown(why) => Err(anyhow::Error::msg(why)),
    }
}

fn outdate(host: &Host, command: &[String], resource: &str) -> Result<i32> {
    let command = program::of_root(host, &[command, &[resource.to_string()]].concat())?;
    program::exit_of(&command, &BTreeMap::new(), host.deadline())
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
