//! What an administrator asks for: status, release, rules.

use crate::config::Settings;
use crate::facts::{Known, Volume};
use crate::gather::drbd::Purpose;
use crate::handlers::release;
use crate::host::{Deadline, Host, lock, output};
use crate::report;
use crate::report::status::{self, Line};
use crate::target::Target;
use crate::{act, gather, hotplug, rules};
use anyhow::{Context, Result, anyhow};
use std::time::Duration;

/// How long one look or one try may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long one try of a release that waits may keep the resource's lock from an add.
const TRY: Duration = Duration::from_secs(1);

/// The pause between two tries of a release that waits.
const AGAIN: Duration = Duration::from_millis(500);

/// Prints every resource with its guests and records.
pub fn status(host: &mut Host) -> Result<i32> {
    host.set_deadline(Deadline::after(PATIENCE));
    let resources = gather::resources(host, None, Purpose::Look);
    let mut resources = resources.context("asking DRBD for its resources")?;
    gather::name_peers(host, &mut resources);
    let lines: Vec<Line> = resources
        .into_iter()
        .map(|resource| {
            let facts = gather::of_resource(host, &resource.name);
            let claim = match facts.claim {
                Known::Is(claim) => Ok(claim),
                Known::Unknown(why) => Err(anyhow!(why)),
            };
            let last =
                |volume: &Volume| Known::from(gather::probes::last(host, &resource.name, volume.minor));
            let flushes = resource.volumes.iter().map(last).collect();
            Line { users: facts.users, resource, claim, flushes }
        })
        .collect();
    output::answer(&status::table(&lines, host.now()))?;
    Ok(0)
}

/// Demotes what is recorded and unused; tries again until `wait` is over.
pub fn release(host: &mut Host, resource: Option<Target>, wait: Duration) -> Result<i32> {
    let (resources, unreadable) = match resource {
        Some(target) => (vec![target.resource], Vec::new()),
        None => recorded(host)?,
    };
    let until = Deadline::after(wait.max(PATIENCE));
    let mut worst = if unreadable.is_empty() { 0 } else { 3 };
    unreadable.iter().for_each(|error| output::say(&report::one_line(&format!("{error:#}"))));
    for name in &resources {
        worst = worst.max(release_one(host, name, until, wait)?);
    }
    Ok(worst)
}

/// The resources with a record or a window, and what is wrong with the records that cannot be read.
fn recorded(host: &Host) -> Result<(Vec<String>, Vec<anyhow::Error>)> {
    let (mut resources, mut unreadable) = (gather::windows::resources(host)?, Vec::new());
    for claim in gather::claims::all(host)? {
        match claim {
            Ok(claim) if resources.contains(&claim.resource) => {}
            Ok(claim) => resources.push(claim.resource),
            Err(error) => unreadable.push(error),
        }
    }
    Ok((resources, unreadable))
}

fn release_one(host: &mut Host, name: &str, until: Deadline, wait: Duration) -> Result<i32> {
    loop {
        let tried = match wait.is_zero() {
            true => try_release(host, name, PATIENCE),
            // Whatever stands in the way now, such as an add that has the lock, may be gone later.
            false => try_release(host, name, TRY).or_else(|error| Ok(Some(format!("{error:#}")))),
        };
        let pending: Option<String> = tried?;
        let Some(pending) = pending else { return Ok(0) };
        host.set_deadline(until);
        if wait.is_zero() || host.pause(AGAIN).is_err() {
            output::say(&report::one_line(&pending));
            return Ok(4);
        }
    }
}

/// One try under the resource's lock, which an add that comes in between gets.
/// Says what is left to do.
fn try_release(host: &mut Host, name: &str, patience: Duration) -> Result<Option<String>> {
    host.set_deadline(Deadline::after(PATIENCE));
    let _lock = lock::take(host, &hotplug::lock_path(name))?;
    let facts = gather::of_resource(host, name);
    let plan = release::plan(&facts);
    if plan.steps.is_empty() {
        output::answer(&format!("{name}: {}\n", plan.summary))?;
        return Ok(None);
    }
    host.set_deadline(Deadline::after(patience));
    let outcome = act::run(host, &plan, &Settings::default(), Deadline::after(PATIENCE));
    match outcome.failure {
        Some(error) => Err(error),
        None if outcome.pending.is_none() => {
            output::answer(&format!("{}\n", plan.summary))?;
            Ok(None)
        }
        None => Ok(outcome.pending),
    }
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
    output::answer(&text)?;
    Ok(0)
}
