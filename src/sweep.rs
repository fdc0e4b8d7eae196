//! Ends the migration windows that can be ended, whoever opened them: he may be dead.
//!
//! Each run of the hotplug script does so at its end, and so does `release`. It waits for nothing:
//! what another process holds is being looked after, and the next run looks again.

use crate::config::Settings;
use crate::handlers::{Plan, window};
use crate::host::syslog::{self, Level};
use crate::host::{Deadline, Host, lock};
use crate::{act, gather, hotplug, report};
use anyhow::Result;
use std::time::Duration;

/// Looks at each window of this node, until `by`.
pub fn windows(host: &mut Host, by: Deadline) {
    let Ok(resources) = gather::windows::resources(host) else { return };
    for resource in resources {
        let ended = window(host, &resource, by);
        let Err(error) = ended else { continue };
        let line = format!("the migration window of {resource} was not ended: {error:#}");
        syslog::write(host, Level::Warning, &report::one_line(&line));
    }
}

fn window(host: &mut Host, resource: &str, by: Deadline) -> Result<()> {
    host.set_deadline(by.at_most(Duration::ZERO));
    let Ok(_lock) = lock::take(host, &hotplug::lock_path(resource)) else { return Ok(()) };
    host.set_deadline(by);
    let facts = gather::of_resource(host, resource);
    let steps: Vec<_> = window::close(&facts, false, false).into_iter().collect();
    let plan = Plan { steps, summary: String::new() };
    match act::run(host, &plan, &Settings::default(), by).failure {
        Some(error) => Err(error),
        None => Ok(()),
    }
}
