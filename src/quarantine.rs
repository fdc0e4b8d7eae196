//! `block-drbd quarantine`: what handlers of DRBD have set aside, and giving it back.

use crate::config::Settings;
use crate::facts::{Known, Quarantine};
use crate::handlers::{Plan, Step};
use crate::host::own::Unusable;
use crate::host::syslog::{self, Level};
use crate::host::{Deadline, Host, lock, output};
use crate::printable::Text;
use crate::target::Target;
use crate::{act, gather, hotplug, report};
use anyhow::{Context, Result, anyhow};
use serde_json::json;
use std::time::Duration;

/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A resource with its record, or why that cannot be believed.
type Entry = (String, Result<Quarantine, String>);

/// Prints every record; 3 when one cannot be believed.
pub fn list(host: &mut Host, json: bool) -> Result<i32> {
    host.set_deadline(Deadline::after(PATIENCE));
    let mut entries: Vec<Entry> = Vec::new();
    for resource in gather::quarantine::resources(host)? {
        match gather::quarantine::read(host, &resource) {
            // It has just been given back.
            Ok(None) => {}
            Ok(Some(entry)) => entries.push((resource, Ok(entry))),
            Err(unusable) => entries.push((resource, Err(unusable.to_string()))),
        }
    }
    let text = if json { json_of(&entries)? } else { text(&entries) };
    output::answer(&text)?;
    Ok(if entries.iter().all(|(_, entry)| entry.is_ok()) { 0 } else { 3 })
}

fn text(entries: &[Entry]) -> Text {
    let line = |(resource, entry): &Entry| {
        let line = match entry {
            Ok(entry) => format!("{resource}: {}", entry.story()),
            Err(why) => format!("{resource}: {why}"),
        };
        Text::from(report::one_line(&line)).to_string()
    };
    match entries.is_empty() {
        true => Text::of("nothing is in quarantine\n"),
        false => Text::of(&entries.iter().map(line).collect::<String>()),
    }
}

/// What cannot be believed is `{"unknown": why}` in place of `{"is": …}`.
fn json_of(entries: &[Entry]) -> Result<Text> {
    let one = |(resource, entry): &Entry| {
        let known = match entry {
            Ok(entry) => Known::Is(entry),
            Err(why) => Known::Unknown(why.clone()),
        };
        json!({ "resource": resource, "entry": known })
    };
    let entries: Vec<_> = entries.iter().map(one).collect();
    let text = serde_json::to_string(&json!({ "version": 1, "quarantine": entries }));
    Ok(Text::json(&(text.context("writing the list")? + "\n")))
}

/// Gives a resource back; the exit code, or one with its error.
pub fn clear(host: &mut Host, target: &Target, reason: &str) -> Result<i32, (i32, anyhow::Error)> {
    let (resource, reason) = (&target.resource, reason.trim());
    if target.volume.is_some() {
        return Err((2, anyhow!("a quarantine is of a whole resource; run it with {resource}")));
    }
    if reason.is_empty() {
        return Err((2, anyhow!("the reason is empty: write what was found and done")));
    }
    host.set_deadline(Deadline::after(PATIENCE));
    // A handler does not wait for this lock, but an add that is under way keeps what it has judged.
    let _lock = lock::take(host, &hotplug::lock_path(resource)).map_err(|error| (4, error))?;
    let entry = match gather::quarantine::read(host, resource) {
        Ok(None) => return Err((1, anyhow!("{resource} is not in quarantine"))),
        Ok(Some(entry)) => Known::Is(entry),
        // What cannot be understood may go; what cannot be looked at stays.
        Err(Unusable { is_bad: false, why, .. }) => return Err((3, anyhow!("{why}"))),
        Err(unusable) => Known::Unknown(unusable.why),
    };
    let history = json!({ "version": 1, "resource": resource, "cleared": host.now(), "reason": reason, "entry": entry });
    let step = Step::Unquarantine {
        resource: resource.clone(),
        history: Text::json(&history.to_string()).to_string(),
    };
    let outcome = act::run(host, &Plan::of(vec![step]), &Settings::default(), host.deadline());
    if let Some(error) = outcome.failure {
        return Err((4, error.context(format!("{resource} stays in quarantine"))));
    }
    let line = format!("resource={resource} the quarantine is cleared: {reason}");
    syslog::write(host, Level::Warning, &report::one_line(&line));
    let text = format!("{resource} is not in quarantine any more\n{}", snapshots_left(host, resource));
    output::answer(&Text::of(&text)).map_err(|error| (3, error))?;
    Ok(0)
}

/// A line for each snapshot that was kept as long as the quarantine. It is not removed here: it may be the
/// only copy of what was on the disk, and only an administrator knows that nobody needs it.
fn snapshots_left(host: &Host, resource: &str) -> String {
    let line = |text: String| Text::from(report::one_line(&text)).to_string();
    match gather::snapshots::of(host, resource) {
        Ok(names) => names
            .iter()
            .map(|name| {
                line(format!("{name} holds what was on the disk before a resync, and the next resync replaces it; to keep it run: lvrename {name} {}-kept; when nobody needs it run: lvremove {name}", name.rsplit('/').next().unwrap_or(name)))
            })
            .collect(),
        Err(error) => line(format!("whether a snapshot of {resource} is left is not known: {error:#}; run: lvs")),
    }
}
