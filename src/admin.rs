//! What an administrator asks for: release, rules.

use crate::config::Settings;
use crate::facts::Known;
use crate::handlers::release;
use crate::host::syslog::{self, Level};
use crate::host::{Deadline, Host, lock, output};
use crate::printable::Text;
use crate::report;
use crate::{act, gather, hotplug, rules};
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::time::Duration;

/// How long one look or one try may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long one try of a release that waits may keep the resource's lock from an add.
const TRY: Duration = Duration::from_secs(1);

/// The pause between two tries of a release that waits.
const AGAIN: Duration = Duration::from_millis(500);

/// What is to be released.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// Every resource with a record.
    Recorded,
    /// This one, if it has a record.
    IfRecorded(String),
    /// This one, whoever promoted it.
    Named(String),
}

/// What came of one try to release.
enum Tried {
    /// Nothing is left to do: one line.
    Done(String),
    /// It is still Primary: why.
    Left(String),
}

/// Demotes what nobody uses any more; tries again until `wait` is over. What goes wrong with one
/// resource stops no other.
pub fn release(host: &mut Host, which: Which, wait: Duration) -> Result<i32> {
    host.set_deadline(Deadline::after(PATIENCE));
    let (resources, named) = match which {
        Which::Recorded => (recorded(host)?, false),
        Which::IfRecorded(resource) => (BTreeSet::from([resource]), false),
        Which::Named(resource) => (BTreeSet::from([resource]), true),
    };
    let until = Deadline::after(wait.max(PATIENCE));
    let mut worst = 0;
    for name in &resources {
        let code = match release_one(host, name, named, until, wait) {
            Ok(Tried::Done(line)) => {
                output::answer(&report::one_line(&line).into())?;
                0
            }
            Ok(Tried::Left(why)) => complain(host, &why, 4),
            Err(error) => complain(host, &format!("{error:#}"), 3),
        };
        worst = worst.max(code);
    }
    Ok(worst)
}

/// The resources with a record or a window, whether it can be believed or not.
fn recorded(host: &Host) -> Result<BTreeSet<String>> {
    let windows = gather::windows::resources(host)?;
    Ok(gather::claims::resources(host)?.into_iter().chain(windows).collect())
}

/// Says what went wrong, also to the log: nobody listens to a timer. Returns `code`.
fn complain(host: &Host, why: &str, code: i32) -> i32 {
    let line = report::one_line(why);
    syslog::write(host, Level::Error, &line);
    output::say(&line);
    code
}

fn release_one(host: &mut Host, name: &str, named: bool, until: Deadline, wait: Duration) -> Result<Tried> {
    loop {
        let patience = if wait.is_zero() { PATIENCE } else { TRY };
        let tried = try_release(host, name, named, patience);
        host.set_deadline(until);
        // Whatever stands in the way now, such as an add that has the lock, may be gone later.
        if matches!(tried, Ok(Tried::Done(_))) || wait.is_zero() || host.pause(AGAIN).is_err() {
            return tried;
        }
    }
}

/// One try under the resource's lock, which an add that comes in between gets.
fn try_release(host: &mut Host, name: &str, named: bool, patience: Duration) -> Result<Tried> {
    host.set_deadline(Deadline::after(PATIENCE));
    let _lock = lock::take(host, &hotplug::lock_path(name))?;
    let facts = gather::of_resource(host, name);
    let unknown = release::cannot_tell(&facts, named);
    let plan = if named && unknown.is_none() { release::by_name(&facts) } else { release::plan(&facts) };
    // A device that stays open while nothing of ours is closing it is somebody's.
    let unrecorded = facts.claim == Known::Is(None);
    host.set_deadline(Deadline::after(if unrecorded { TRY } else { patience }));
    let outcome = act::run(host, &plan, &Settings::default(), Deadline::after(PATIENCE));
    if let Some(why) = unknown {
        bail!("{name} stays as it is: {why}");
    }
    Ok(match (outcome.failure, outcome.pending) {
        (Some(error), _) => Tried::Left(format!("{error:#}")),
        (None, Some(pending)) => Tried::Left(pending),
        (None, None) if plan.steps.is_empty() => Tried::Done(format!("{name}: {}", plan.summary)),
        (None, None) => Tried::Done(plan.summary),
    })
}

/// Prints the rules with the severity in force, or one with its reason and its remedy.
pub fn rules(id: Option<&str>, settings: &Settings) -> Result<i32> {
    let text = match id {
        None => rules::ALL.iter().map(|rule| report::rules::line(rule, settings) + "\n").collect(),
        Some(id) => {
            let unknown = || format!("there is no rule {}; run: block-drbd rules", report::one_line(id));
            report::rules::explained(rules::find(id).with_context(unknown)?, settings)
        }
    };
    output::answer(&Text::of(&text))?;
    Ok(0)
}
