//! One call of the hotplug script, from its lock to its exit code: the program on a page.

use crate::act::{self, Outcome};
use crate::config::Settings;
use crate::event::{Action, Caller, Hotplug};
use crate::facts::{Facts, Known};
use crate::handlers::{Plan, Step, add, remove};
use crate::host::lock::{self, Lock};
use crate::host::syslog::{self, Level};
use crate::host::{Deadline, Host, output};
use crate::rules::{self, Heals, Severity, Verdict};
use crate::target::Target;
use crate::{gather, report, sweep};
use anyhow::{Result, anyhow};
use std::time::Duration;

/// The first and the longest pause between two looks at it.
const LOOK_AGAIN: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(250));

/// What waiting leaves of the time for work: to promote and to flush, or to say why not.
const REST: Duration = Duration::from_secs(3);

/// What waiting leaves where DRBD may ask the fence-peer handler before it promotes, up to four times
/// (drbd_nl.c, drbd_set_role). Before Xen 4.6 that is more than all the time, and nothing is waited for.
const REST_FOR_FENCING: Duration = Duration::from_secs(10);

/// How much longer the second of two nodes waits for its peer. When both promote in the same moment,
/// each one's outdate-command waits in the other's promotion (DRBD's state mutex), until neither has
/// time left. Within this time the first has outdated the second.
const SECOND_TURN: Duration = Duration::from_secs(3);

/// What came of one event.
struct Handled {
    verdict: Verdict,
    plan: Plan,
    outcome: Outcome,
    /// What a failure of the outcome exits with.
    exit_code: i32,
}

/// Handles one event and returns the exit code.
pub fn run(host: &mut Host, event: &Hotplug, settings: Result<Settings>, verbose: bool) -> i32 {
    let (work, whole) = patience(&Known::from(gather::node::xen_version(host)));
    let undo_by = Deadline::after(whole);
    host.set_deadline(Deadline::after(work));
    let target = gather::target(host, event);
    let handled = match (settings_for(event.action, settings), lock(host, &target)) {
        (Ok(settings), Ok(_lock)) => handle(host, event, &target, &settings, undo_by),
        (Err(error), _) => Handled::failed(error, 2),
        (_, Err(error)) => Handled::failed(error, 4),
    };
    if let (Action::Add, Some(error)) = (event.action, &handled.outcome.failure) {
        explain_to_toolstack(host, event, error, undo_by);
    }
    tell(host, event, &handled, verbose);
    sweep::windows(host, undo_by);
    exit_code(event, &handled)
}

/// What cannot be understood gives no guest a disk, and keeps none from being released.
fn settings_for(action: Action, settings: Result<Settings>) -> Result<Settings> {
    match action {
        Action::Add => settings,
        Action::Remove => Ok(settings.unwrap_or_default()),
    }
}

/// Gathers, judges, plans, acts.
fn handle(
    host: &mut Host,
    event: &Hotplug,
    target: &Result<Target, String>,
    settings: &Settings,
    undo_by: Deadline,
) -> Handled {
    let before = host.elapsed();
    let (facts, verdict) = judge(host, event, target, settings);
    host.note("gather", before);
    // Nothing is demoted on a record that cannot be believed.
    if let (Action::Remove, Ok(target), Known::Unknown(why)) = (event.action, target, &facts.claim) {
        return Handled::failed(anyhow!("{target} stays as it is: {why}"), 3);
    }
    let plan = match event.action {
        Action::Add => add::plan(&event.vbd, &facts, &verdict, settings),
        Action::Remove => remove::plan(&event.vbd, &facts),
    };
    let outcome = act::run(host, &plan, settings, undo_by);
    Handled { verdict, plan, outcome, exit_code: 4 }
}

/// Looks again as long as everything that stands against an add may pass by itself, and as long as a rule
/// waits for the peer before it allows.
fn judge(
    host: &Host,
    event: &Hotplug,
    target: &Result<Target, String>,
    settings: &Settings,
) -> (Facts, Verdict) {
    let until = Until::new(host.deadline(), settings);
    let mut pause = LOOK_AGAIN.0;
    let mut at_source = None;
    loop {
        let mut facts = gather::facts(host, event, target, settings);
        if event.action == Action::Add {
            gather::look_for_openers(host, &mut facts);
        }
        if let Some(peer) = facts.source() {
            let by = host.deadline().earlier_by(REST).at_most(settings.incoming());
            let ask = || host.timed("source", || gather::source::ask(host, &facts, peer, settings, by));
            facts.at_source = at_source.get_or_insert_with(ask).clone();
        }
        let verdict = rules::evaluate(&facts, settings);
        let until = until.passed(&verdict, turn(&facts));
        let wait = event.action == Action::Add && until.is_some_and(|until| until.remaining().is_ok());
        if !wait || host.pause(pause).is_err() {
            return (facts, verdict);
        }
        pause = (pause * 2).min(LOOK_AGAIN.1);
    }
}

/// Until when an add waits.
struct Until {
    /// For what passes within seconds.
    soon: Deadline,
    /// For the peer, without which the guest does not start.
    connected: Deadline,
    /// For the peer, without which DRBD asks the fence-peer handler.
    fenced: Deadline,
    /// The same on the node that takes the second turn.
    fenced_second: Deadline,
}

/// Which of two nodes that have lost each other asks DRBD for its promotion first.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    First,
    Second,
}

/// The second turn is that of the node whose name comes after its peer's. Where drbd.conf does not name
/// the peer, both take the first.
fn turn(facts: &Facts) -> Turn {
    let connections = facts.resource.value().and_then(Option::as_ref).map(|resource| &resource.connections);
    let mut lost = connections.into_iter().flatten().filter(|connection| !connection.is_connected());
    let own = facts.node.host.value();
    // An address has a colon, and a host name has none.
    let is_before = |peer: &str| !peer.contains(':') && own.is_some_and(|own| peer < own.as_str());
    match lost.any(|connection| is_before(&connection.peer)) {
        true => Turn::Second,
        false => Turn::First,
    }
}

impl Until {
    fn new(deadline: Deadline, settings: &Settings) -> Until {
        let latest = deadline.earlier_by(REST);
        Until {
            soon: latest.at_most(settings.healing()),
            connected: latest.at_most(settings.connecting()),
            fenced: deadline.earlier_by(REST_FOR_FENCING).at_most(settings.connecting()),
            fenced_second: deadline
                .earlier_by(REST_FOR_FENCING.saturating_sub(SECOND_TURN))
                .at_most(settings.connecting() + SECOND_TURN),
        }
    }

    /// Until when to wait for everything that this verdict waits for; `None` where it waits for nothing.
    fn passed(&self, verdict: &Verdict, turn: Turn) -> Option<Deadline> {
        match (verdict.heals(), verdict.allows(), turn) {
            (Heals::Never, ..) => None,
            (Heals::Soon, ..) => Some(self.soon),
            (Heals::Connecting, false, _) => Some(self.connected),
            (Heals::Connecting, true, Turn::First) => Some(self.fenced),
            (Heals::Connecting, true, Turn::Second) => Some(self.fenced_second),
        }
    }
}

/// Holds off every other event of the same resource. An event that names no
/// resource changes none, and needs no lock.
fn lock(host: &Host, target: &Result<Target, String>) -> Result<Option<Lock>> {
    match target {
        Ok(target) => lock::take(host, &lock_path(&target.resource)).map(Some),
        Err(_) => Ok(None),
    }
}

/// The lock of one resource. The name has been checked.
pub fn lock_path(resource: &str) -> String {
    format!("/run/block-drbd/lock/{resource}")
}

/// What the caller's patience leaves: until when to work, and until when to undo.
///
/// libxl kills after 40 s from Xen 4.6 on and after 10 s before
/// (LIBXL_HOTPLUG_TIMEOUT, libxl_internal.h); an unknown version gets the
/// shorter time.
fn patience(xen_version: &Known<(u32, u32)>) -> (Duration, Duration) {
    match xen_version {
        Known::Is(version) if *version >= (4, 6) => (Duration::from_secs(24), Duration::from_secs(30)),
        _ => (Duration::from_secs(6), Duration::from_secs(8)),
    }
}

impl Handled {
    /// Whether a rule stood against it.
    fn refused(&self) -> bool {
        self.plan.steps.iter().any(|step| matches!(step, Step::Refuse { .. }))
    }

    /// Nothing was begun.
    fn failed(error: anyhow::Error, exit_code: i32) -> Handled {
        Handled {
            exit_code,
            verdict: Verdict { findings: Vec::new() },
            plan: Plan::of(Vec::new()),
            outcome: Outcome { failure: Some(error), pending: None },
        }
    }
}

/// A failed step, too, must reach the one who types `xl create`.
fn explain_to_toolstack(host: &mut Host, event: &Hotplug, error: &anyhow::Error, by: Deadline) {
    host.set_deadline(by.despite_signals());
    let sentence = report::failure(event, error);
    let step = Step::Refuse { vbd: event.vbd.clone(), sentence: report::one_line(&sentence) };
    let outcome = act::run(host, &Plan { steps: vec![step], summary: sentence }, &Settings::default(), by);
    if let Some(error) = outcome.failure {
        syslog::write(
            host,
            Level::Error,
            &report::one_line(&format!("hotplug-error could not be written: {error:#}")),
        );
    }
}

/// One line to syslog; to stderr too, when it is not good news or was asked for.
fn tell(host: &Host, event: &Hotplug, handled: &Handled, verbose: bool) {
    let Handled { plan, outcome, .. } = handled;
    let (level, text) = match (&outcome.failure, &outcome.pending) {
        (Some(error), None) => (Level::Error, report::failure(event, error)),
        (Some(error), Some(pending)) => {
            (Level::Error, format!("{}; {pending}", report::failure(event, error)))
        }
        (None, Some(pending)) => (Level::Warning, pending.clone()),
        (None, None) if handled.refused() => (Level::Error, plan.summary.clone()),
        (None, None) => (Level::Info, plan.summary.clone()),
    };
    let line = report::one_line(&text);
    let times = report::times(&host.times(), host.elapsed());
    let vbd = &event.vbd;
    if event.action == Action::Add {
        warnings(host, &handled.verdict);
    }
    let call = format!("{} domid={} devid={} {times}: ", event.action, vbd.domid, vbd.devid);
    syslog::write(host, level, &report::one_line(&call).then(&line));
    if level != Level::Info || verbose {
        output::say(&line);
    }
    if verbose {
        output::say(&times);
    }
}

/// What does not stand against an add, one line each. A remove has not asked for what it would be about.
fn warnings(host: &Host, verdict: &Verdict) {
    for finding in verdict.findings.iter().filter(|finding| finding.severity != Severity::Refuse) {
        let level = if finding.severity == Severity::Warn { Level::Warning } else { Level::Info };
        syslog::write(host, level, &report::finding(finding));
    }
}

fn exit_code(event: &Hotplug, handled: &Handled) -> i32 {
    match &handled.outcome.failure {
        _ if event.caller == Caller::Udev => 0,
        _ if handled.refused() && handled.verdict.is_unknown() => 3,
        _ if handled.refused() => 1,
        Some(error) if error.is::<report::Refused>() => 1,
        Some(_) => handled.exit_code,
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_for_the_peer_leaves_the_handler_its_time() {
        let settings = Settings::parse("/x", "connecting-seconds = 20\n").unwrap();
        for (version, first, second) in [((4, 17), 14, 17), ((4, 5), 0, 0)] {
            let (work, _) = patience(&Known::Is(version));
            let until = Until::new(Deadline::after(work), &settings);
            for (deadline, waits) in [(until.fenced, first), (until.fenced_second, second)] {
                let (left, waits) = (deadline.remaining().unwrap_or_default(), Duration::from_secs(waits));
                assert!(left <= waits && left + Duration::from_secs(1) >= waits, "{version:?}: {left:?}");
            }
        }
    }

    #[test]
    fn of_two_nodes_one_takes_the_second_turn() {
        let between = |own: &str, peer: &str| {
            let mut facts = crate::rules::tests::good();
            facts.node.host = Known::Is(own.into());
            let Known::Is(Some(resource)) = &mut facts.resource else { panic!("no resource") };
            resource.connections[0].peer = peer.into();
            resource.connections[0].state = crate::facts::ConnectionState::Connecting;
            turn(&facts) == Turn::Second
        };
        assert!(!between("a", "b") && between("b", "a"));
        assert!(!between("b", "10.0.0.1:7789"), "the peer has no name");
    }

    #[test]
    fn undoing_ends_before_the_caller_kills() {
        for (version, killed_after) in [
            (Known::Is((4, 17)), 40),
            (Known::Is((4, 6)), 40),
            (Known::Is((4, 5)), 10),
            (Known::Unknown("no".into()), 10),
        ] {
            let (work, whole) = patience(&version);
            assert!(work < whole && whole < Duration::from_secs(killed_after), "{version:?}");
        }
    }
}
