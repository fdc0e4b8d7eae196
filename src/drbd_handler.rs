//! One call of a handler by DRBD, from its environment to its exit code: the program on a page.
//!
//! DRBD waits for the exit code, and with fence-peer a guest's I/O may. So the work is done by a
//! child, and this process answers for it: with what the child says, or, when it dies, hangs or
//! talks nonsense, with the code that loses nothing. Either way the log says why.

mod said;

use crate::act::{self, fence};
use crate::config::Settings;
use crate::config::handlers::Method;
use crate::event::drbd::{DrbdEvent, EventName};
use crate::facts::{Fenced, Known};
use crate::gather;
use crate::handlers::drbd::{self, Answer, Decision, Handler, Subject};
use crate::handlers::fence_peer::{self, Judged};
use crate::handlers::{Plan, Step};
use crate::host::supervised::{self, Limit};
use crate::host::syslog::{self, Level};
use crate::host::{Deadline, Host, output, program};
use crate::printable::Line;
use crate::{event, report};
use anyhow::Result;
use said::Said;
use std::time::Duration;

/// Handles one event and returns the exit code.
pub fn run(
    host: &mut Host,
    name: EventName,
    settings: impl FnOnce(&Host) -> Result<Settings>,
    verbose: bool,
) -> i32 {
    let handler = drbd::of(name);
    let ended = supervised::run(handler.patience, |limit| {
        let said = work(host, handler, settings, limit);
        if verbose {
            output::say(&report::times(&host.times(), host.elapsed()));
        }
        said.encode()
    });
    let said = Said::of(handler, ended);
    tell(host, &said, verbose);
    said.code
}

/// What of the whole time is left to those who wait: for ending what hangs, and for the log, on a
/// host that may be busy with what has gone wrong.
fn margin(whole: Duration) -> Duration {
    (whole / 4).min(Duration::from_secs(2))
}

/// The work of the child.
fn work(
    host: &mut Host,
    handler: &Handler,
    settings: impl FnOnce(&Host) -> Result<Settings>,
    limit: &mut Limit,
) -> Said {
    host.set_deadline(limit.left(handler.patience, margin(handler.patience)));
    let event = match DrbdEvent::from_environment(handler.event) {
        Ok(event) => event,
        Err(error) => return Said::failed(handler, &format!("{error:#}")),
    };
    let (settings, wrong) = match settings(host) {
        Ok(settings) => (settings, None),
        // Where something can be refused, it is: the settings might forbid it.
        Err(error) if handler.safe != 0 => return Said::failed(handler, &format!("{error:#}")),
        Err(error) => (Settings::default(), Some(format!("{error:#}; everything is at its default"))),
    };
    host.set_deadline(limit.left(handler.patience, margin(handler.patience)).at_most(handler.look));
    let facts = gather::handler::facts(host, &event);
    host.set_deadline(limit.left(handler.patience, margin(handler.patience)));
    let resource = match &facts.resource {
        Known::Is(resource) => resource.clone(),
        Known::Unknown(why) => return Said::failed(handler, why),
    };
    let subject = Subject { resource: &resource, event: &event, facts: &facts };
    let mut said = handle(host, handler, &subject, &settings, limit);
    if let Some(wrong) = wrong {
        let line = report::one_line(&format!("{}; {wrong}", said.line));
        said = Said { level: Level::Error, line, ..said };
    }
    notify(host, &subject, &settings, &said);
    said
}

/// Decides and acts.
fn handle(
    host: &mut Host,
    handler: &Handler,
    subject: &Subject,
    settings: &Settings,
    limit: &mut Limit,
) -> Said {
    let policy = settings.handling(Some(subject.resource));
    let Decision { plan, answer, urgent } = (handler.plan)(subject, &policy);
    let planned = match answer {
        Answer::Exit(code) => code,
        Answer::Fence => {
            limit.set(policy.budget);
            return fence(host, handler, subject, settings, limit);
        }
    };
    let failed = steps(host, &plan.steps, settings);
    let code = if failed.is_empty() { planned } else { handler.safe };
    let acts: Vec<String> = plan.steps.iter().map(word).collect();
    let (level, summary) = match (failed.is_empty(), urgent) {
        (true, false) => (Level::Info, plan.summary),
        (true, true) => (Level::Warning, plan.summary),
        (false, _) => (Level::Error, drbd::failed(subject, &plan.summary, &failed.join("; "))),
    };
    let line = line(handler, subject, &acts.join(","), code, &summary);
    Said { code, level, line }
}

/// Takes each step, whatever became of those before it; says what failed.
fn steps(host: &mut Host, steps: &[Step], settings: &Settings) -> Vec<String> {
    let mut failed = Vec::new();
    let deadline = host.deadline();
    for step in steps {
        let outcome = act::run(host, &Plan::of(vec![step.clone()]), settings, deadline);
        failed.extend(outcome.failure.map(|error| format!("{error:#}")));
        failed.extend(outcome.pending);
        host.set_deadline(deadline);
    }
    failed
}

/// Tries the methods in their order, until one has established something, or that the peer has more.
fn fence(host: &mut Host, handler: &Handler, subject: &Subject, settings: &Settings, limit: &Limit) -> Said {
    let policy = settings.handling(Some(subject.resource));
    let mut doubts = Vec::new();
    let refused = |summary: &str| {
        let line = line(handler, subject, "none", handler.safe, summary);
        Said { code: handler.safe, level: Level::Error, line }
    };
    for (tried, method) in policy.methods.iter().enumerate() {
        let left = limit.left(policy.budget, margin(policy.budget));
        let deadline = left.share(slow(&policy.methods[tried..]));
        match one_method(host, method, subject, settings, deadline) {
            Judged::InDoubt(why) => doubts.push(why),
            Judged::PeerHasMore(why) => {
                // What the peer says is kept, so that peer-newer refuses the next start with the same reason.
                let failed = steps(host, &[Step::AskPeers { resource: subject.resource.into() }], settings);
                let why = [vec![why], failed].concat().join("; but ");
                return refused(&fence_peer::peer_has_more(subject.resource, &why));
            }
            Judged::Established(code, how) => {
                host.set_deadline(limit.left(policy.budget, margin(policy.budget) / 2));
                return established(host, handler, subject, settings, (code, &how));
            }
        }
    }
    refused(&fence_peer::in_doubt(subject.resource, &doubts))
}

/// How many of the methods take time.
fn slow(methods: &[Method]) -> u32 {
    let slow = methods.iter().filter(|method| !matches!(method, Method::AssumeDown { .. })).count();
    u32::try_from(slow).unwrap_or(u32::MAX).max(1)
}

/// One method, until `deadline`.
fn one_method(
    host: &mut Host,
    method: &Method,
    subject: &Subject,
    settings: &Settings,
    deadline: Deadline,
) -> Judged {
    match method {
        Method::AskPeer {} => {
            let Some(peer) = &subject.event.peer else {
                return Judged::InDoubt("DRBD does not say what the peer is called".into());
            };
            match settings.peers().get(peer) {
                Some(how) => fence::ask_peer(host, peer, how, subject, deadline),
                None => {
                    Judged::InDoubt(format!("{peer} cannot be asked: the settings have no [peers.{peer}]"))
                }
            }
        }
        Method::Program { command, believe_down, .. } => {
            let words = command.words();
            let exit = fence::ask_program(host, words, &subject.event.variables, deadline);
            let exit = exit.map_err(|error| format!("{error:#}"));
            let believed = believe_down.as_ref().map(|reason| reason.0.as_str());
            fence_peer::of_program(&words[0], &exit, believed)
        }
        Method::AssumeDown { reason } => fence_peer::of_assumption(&reason.0),
    }
}

/// Records what was established, and says it.
fn established(
    host: &mut Host,
    handler: &Handler,
    subject: &Subject,
    settings: &Settings,
    (code, how): (i32, &str),
) -> Said {
    let resource = subject.resource.to_string();
    let summary = fence_peer::established(code, &resource, how);
    let (peer, when) = (subject.event.peer.clone(), subject.facts.now);
    let fenced = Fenced { version: 1, resource, peer, code, how: how.into(), when };
    // A record that cannot be written changes no fact.
    let failed = steps(host, &[Step::RecordFenced { fenced }], settings);
    let line = line(handler, subject, "fenced", code, &summary);
    let but = if failed.is_empty() { String::new() } else { format!("; but {}", failed.join("; ")) };
    Said { code, level: Level::Warning, line: report::one_line(&format!("{line}{but}")) }
}

/// Tells somebody, where the settings say how, of all that is not routine.
fn notify(host: &mut Host, subject: &Subject, settings: &Settings, said: &Said) {
    let policy = settings.handling(Some(subject.resource));
    let (Some((mut command, within)), true) = (policy.notify, said.level != Level::Info) else { return };
    command.extend([subject.event.name.to_string(), subject.resource.into(), said.line.to_string()]);
    for why in steps(host, &[Step::Notify { command, within }], settings) {
        let line =
            format!("handler={} resource={}: nobody is told: {why}", subject.event.name, subject.resource);
        syslog::write(host, Level::Error, &report::one_line(&line));
    }
}

/// One line of the log.
fn line(handler: &Handler, subject: &Subject, acts: &str, code: i32, summary: &str) -> Line {
    let acts = if acts.is_empty() { "none" } else { acts };
    let guests = drbd::used_by(subject.facts);
    report::one_line(&format!(
        "handler={} resource={} guests={guests:?} act={acts} exit={code}: {summary}",
        handler.event, subject.resource
    ))
}

/// What a step does, in a word.
fn word(step: &Step) -> String {
    match step {
        Step::Guests { act, .. } => act.to_string(),
        other => act::name(other).to_string(),
    }
}

/// To syslog; to stderr too, when it is not good news or was asked for.
fn tell(host: &Host, said: &Said, verbose: bool) {
    let total = report::times(&[], host.elapsed());
    syslog::write(host, said.level, &total.clone().then(&report::one_line(" ")).then(&said.line));
    if said.level != Level::Info || verbose {
        output::say(&said.line);
    }
    if verbose {
        output::say(&total);
    }
}

/// Runs a program that a handler has started and does not wait for; what comes of it is in the log.
pub fn detached(host: &mut Host, seconds: u64, what: &str, command: &[String]) -> Result<i32> {
    host.set_deadline(Deadline::after(Duration::from_secs(seconds)));
    let exit = program::exit_of(command, &event::drbd_variables()?, host.deadline());
    let (level, how) = match exit {
        Ok(0) => (Level::Info, "is done".to_string()),
        Ok(code) => (Level::Error, format!("has failed: {} ended with {code}", command.join(" "))),
        Err(error) => (Level::Error, format!("has failed: {}: {error:#}", command.join(" "))),
    };
    syslog::write(host, level, &report::one_line(&format!("the {what} {how}")));
    Ok(if level == Level::Info { 0 } else { 4 })
}
