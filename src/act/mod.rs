//! Changes the machine, step by step, and undoes what was done when a step fails.
//!
//! Decides nothing: what it repeats under Xen's lock is the same judgement that
//! made the plan.

mod ask;
mod attach;
pub mod fence;
mod flush;
mod guests;
mod quarantine;
mod role;
mod snapshot;
mod window;

use crate::config::Settings;
use crate::facts::{Claim, Expected, Lone};
use crate::handlers::{Plan, Step};
use crate::host::{Deadline, Host, program};
use anyhow::{Context, Result};
use std::collections::BTreeMap;

/// What came of a plan.
#[derive(Debug)]
#[must_use]
pub struct Outcome {
    /// The step that failed and why; the steps before it have been undone.
    pub failure: Option<anyhow::Error>,
    /// What could neither be done nor undone and is now recorded: one sentence.
    pub pending: Option<String>,
}

/// Runs the plan; after a failure undoes, until `undo_by`, what was done.
pub fn run(host: &mut Host, plan: &Plan, settings: &Settings, undo_by: Deadline) -> Outcome {
    let mut outcome = Outcome { failure: None, pending: None };
    for (done, step) in plan.steps.iter().enumerate() {
        let before = host.elapsed();
        let result = take(host, step, settings, &mut outcome.pending);
        host.note(name(step), before);
        if let Err(error) = result {
            host.set_deadline(undo_by.despite_signals());
            // The failed step comes first: a refused request may have changed something. A role that
            // another program has given is not undone.
            let undone = done + usize::from(!error.is::<role::Overtaken>());
            undo(host, &plan.steps[..undone], &mut outcome.pending);
            outcome.failure = Some(error);
            break;
        }
    }
    outcome
}

fn take(host: &mut Host, step: &Step, settings: &Settings, pending: &mut Option<String>) -> Result<()> {
    match step {
        Step::OpenWindow { window } => window::open(host, window),
        Step::Record { after, .. } => record(host, after),
        Step::RecordLone { resource, after, .. } => {
            if let Err(error) = record_lone(host, resource, after.as_ref()) {
                *pending = Some(format!(
                    "what {resource} has written without its peer is not recorded ({error:#}): before the peer is back a guest may be refused"
                ));
            }
            Ok(())
        }
        Step::HandBack { resource, device, within } => role::hand_back(host, resource, *device, *within),
        Step::Promote { resource, minor } => role::promote(host, resource, *minor),
        Step::ProveFlush { resource, device, within } => flush::prove(host, resource, *device, *within),
        Step::StrikeExpected { resource, left } => record_expected(host, resource, left.as_ref()),
        Step::Attach { vbd, device, at_source } => attach::attach(host, vbd, *device, at_source, settings),
        Step::Release { claim, hand_over } => {
            let left = release(host, claim, *hand_over)?;
            *pending = left.or(pending.take());
            Ok(())
        }
        Step::Demote { resource, minor } => {
            role::demote(host, resource, *minor).with_context(|| format!("{resource} stays Primary"))
        }
        Step::CloseWindow { resource, alone, kept, hand_over } => {
            let left = close_window(host, resource, *alone, kept.as_deref(), *hand_over)?;
            *pending = pending.take().or(left);
            Ok(())
        }
        Step::Refuse { vbd, sentence } => attach::refuse(host, vbd, sentence),
        Step::Guests { act, domids } => guests::act(host, settings.xl(), *act, domids),
        Step::Quarantine { entry } => quarantine::set(host, entry),
        Step::Unquarantine { resource, history } => quarantine::clear(host, resource, history),
        Step::Snapshot { snapshots, percent } => snapshot::take(host, snapshots, *percent),
        Step::DropSnapshot { names } => snapshot::drop(host, names),
        Step::AskPeers { resource } => ask_peers(host, resource, settings),
        Step::RecordFenced { fenced } => fence::record(host, fenced),
        Step::Unfence { resource, commands, variables } => {
            fence::unfence(host, resource, commands, variables)
        }
        Step::Notify { command, within } => {
            let command = program::of_root(host, command)?;
            program::leave(host, "notification", &command, &BTreeMap::new(), *within)
        }
    }
}

/// A dry run keeps what the peers say (see `check`).
fn ask_peers(host: &Host, resource: &str, settings: &Settings) -> Result<()> {
    if settings.peers().is_empty() {
        return Ok(());
    }
    let root = host.root().to_string_lossy();
    program::detach(&["--sysroot", &root, "check", resource]).context("starting the detached check")
}

/// The step's name, as the log has it.
pub fn name(step: &Step) -> &'static str {
    match step {
        Step::OpenWindow { .. } => "open",
        Step::Record { .. } => "record",
        Step::RecordLone { .. } => "lone",
        Step::HandBack { .. } => "hand-back",
        Step::Promote { .. } => "promote",
        Step::ProveFlush { .. } => "flush",
        Step::StrikeExpected { .. } => "expected",
        Step::Attach { .. } => "attach",
        Step::Release { .. } => "release",
        Step::Demote { .. } => "demote",
        Step::CloseWindow { .. } => "close",
        Step::Refuse { .. } => "refuse",
        Step::Guests { .. } => "guests",
        Step::Quarantine { .. } | Step::Unquarantine { .. } => "quarantine",
        Step::Snapshot { .. } | Step::DropSnapshot { .. } => "snapshot",
        Step::AskPeers { .. } | Step::Notify { .. } => "leave",
        Step::RecordFenced { .. } | Step::Unfence { .. } => "fenced",
    }
}

/// Undoes `steps`, the last first. What cannot be undone is recorded and goes on by itself.
fn undo(host: &mut Host, steps: &[Step], pending: &mut Option<String>) {
    let mut primary = Vec::new();
    // Only for a guest: a release that failed goes on itself, and each that started another at
    // each of its tries would fill the host with them.
    let gives = steps.iter().any(|step| matches!(step, Step::Promote { .. } | Step::ProveFlush { .. }));
    for step in steps.iter().rev() {
        match step {
            Step::Promote { resource, minor } => {
                if let Err(error) = role::demote(host, resource, *minor) {
                    also(
                        pending,
                        format!(
                            "{resource} could not be demoted ({error:#}) and is released as soon as it can be"
                        ),
                    );
                    primary.push(*minor);
                }
            }
            Step::Record { before, after } => match unrecord(host, before.as_ref(), after, &primary, gives) {
                Ok(left) => *pending = pending.take().or(left),
                Err(error) => also(pending, format!("{error:#}")),
            },
            Step::RecordLone { resource, before, .. } => {
                if let Err(error) = record_lone(host, resource, before.as_ref()) {
                    also(pending, format!("the record of {resource} without its peer is wrong: {error:#}"));
                }
            }
            // Not on this node alone: a link that was lost meanwhile had better find both nodes alike.
            Step::OpenWindow { window } => match close_window(host, &window.resource, false, None, true) {
                Ok(left) => *pending = pending.take().or(left),
                Err(error) => {
                    also(pending, format!("two nodes may still have {} Primary: {error:#}", window.resource));
                }
            },
            Step::Snapshot { snapshots, .. } => {
                *pending = pending
                    .take()
                    .or(snapshot::undo(host, snapshots).err().map(|error| format!("{error:#}")));
            }
            Step::HandBack { .. }
            | Step::ProveFlush { .. }
            | Step::StrikeExpected { .. }
            | Step::Attach { .. }
            | Step::Release { .. }
            | Step::Demote { .. }
            | Step::CloseWindow { .. }
            | Step::Refuse { .. }
            | Step::Guests { .. }
            | Step::Quarantine { .. }
            | Step::Unquarantine { .. }
            | Step::DropSnapshot { .. }
            | Step::AskPeers { .. }
            | Step::RecordFenced { .. }
            | Step::Unfence { .. }
            | Step::Notify { .. } => {}
        }
    }
}

/// Adds what else could not be undone: one does not hide the other.
fn also(pending: &mut Option<String>, why: String) {
    *pending = Some(pending.take().map_or(why.clone(), |before| format!("{before}; {why}")));
}

/// Puts back the record that was there, with what is still Primary because of us; says what is
/// left to a detached release, where a guest was to be given the resource (`gives`).
fn unrecord(
    host: &mut Host,
    before: Option<&Claim>,
    after: &Claim,
    primary: &[u32],
    gives: bool,
) -> Result<Option<String>> {
    let mut claim = before.cloned().unwrap_or_else(|| Claim::new(&after.resource));
    claim
        .promoted
        .extend(primary.iter().filter(|minor| !before.is_some_and(|before| before.promoted.contains(minor))));
    record(host, &claim).with_context(|| format!("the record of {} is wrong", after.resource))?;
    // Also when it was pending before: the release that waited for it may have given way to this add.
    let pending = claim.users.is_empty() && !claim.promoted.is_empty();
    if !gives || !pending && primary.is_empty() {
        return Ok(None);
    }
    detach(host, &after.resource)?;
    Ok(Some(format!(
        "{} was Primary already, for nobody, and is released as soon as it can be",
        after.resource
    )))
}

fn record(host: &mut Host, claim: &Claim) -> Result<()> {
    let path = Claim::path(&claim.resource);
    if claim.is_empty() {
        return host.remove(&path);
    }
    let text = serde_json::to_string(claim).with_context(|| format!("writing {path}"))?;
    // What says so already stays as it is: its time tells since when a release is pending.
    match host.read_own(&path) {
        Ok(Some(stored)) if stored.text == text => Ok(()),
        _ => host.write(&path, &text),
    }
}

fn record_lone(host: &mut Host, resource: &str, lone: Option<&Lone>) -> Result<()> {
    let path = Lone::path(resource);
    match lone {
        Some(lone) => host.write_record(&path, lone),
        None => host.remove(&path),
    }
}

fn record_expected(host: &mut Host, resource: &str, left: Option<&Expected>) -> Result<()> {
    let path = Expected::path(resource);
    match left {
        Some(expected) => host.write_record(&path, expected),
        None => host.remove(&path),
    }
}

/// Makes the minors Secondary and takes them off the record; says what is left and why.
fn release(host: &mut Host, recorded: &Claim, hand_over: bool) -> Result<Option<String>> {
    let mut claim = recorded.clone();
    let resource = &recorded.resource;
    let mut left = None;
    for minor in &recorded.promoted {
        match role::demote(host, resource, *minor) {
            Ok(()) => claim.promoted.retain(|other| other != minor),
            Err(error) => {
                left = Some(format!(
                    "{resource} is still Primary ({error:#}) and is released as soon as it can be"
                ));
            }
        }
    }
    record(host, &claim)?;
    if left.is_some() && hand_over {
        detach(host, resource)?;
    }
    Ok(left)
}

/// Ends the window; says what keeps it open, which `hand_over` leaves to a detached release. That
/// it could not be ended undoes nothing of what was done before.
fn close_window(
    host: &mut Host,
    resource: &str,
    alone: bool,
    kept: Option<&str>,
    hand_over: bool,
) -> Result<Option<String>> {
    let left = window::close(host, resource, alone, kept).unwrap_or_else(|error| {
        Some(format!("the migration window of {resource} is not known to be closed: {error:#}"))
    });
    if left.is_some() && hand_over {
        detach(host, resource)?;
    }
    Ok(left)
}

/// Starts the detached release of a resource that is recorded as pending, or whose window is open.
fn detach(host: &Host, resource: &str) -> Result<()> {
    let root = host.root().to_string_lossy();
    let arguments = ["--sysroot", &root, "release", "--recorded", "--wait", "3600", resource];
    program::detach(&arguments).context("starting the detached release").with_context(|| {
        format!("{resource} is not looked after; run: block-drbd release --recorded {resource}")
    })
}
