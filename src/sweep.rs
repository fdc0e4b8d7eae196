//! Ends the migration windows that can be ended, whoever opened them: he may be dead.
//!
//! Each run of the hotplug script does so at its end. It waits for nothing: what another process
//! holds is being looked after, and the next run looks again.

use crate::config::Settings;
use crate::handlers::{Plan, window};
use crate::host::syslog::{self, Level};
use crate::host::{Deadline, Host, lock};
use crate::{act, gather, hotplug, report};
use std::time::Duration;

/// Looks at each window of this node, until `by`.
pub fn windows(host: &mut Host, by: Deadline) {
    let Ok(resources) = gather::windows::resources(host) else { return };
    for resource in resources {
        if let Some(left) = window(host, &resource, by) {
            syslog::write(host, Level::Info, &report::one_line(&left));
        }
    }
}

/// Says what keeps the window open.
fn window(host: &mut Host, resource: &str, by: Deadline) -> Option<String> {
    host.set_deadline(by.at_most(Duration::ZERO));
    let _lock = lock::take(host, &hotplug::lock_path(resource)).ok()?;
    host.set_deadline(by);
    let facts = gather::of_resource(host, resource);
    let plan = Plan::of(window::close(&facts, false, false).into_iter().collect());
    let outcome = act::run(host, &plan, &Settings::default(), by);
    outcome.failure.map(|error| format!("{error:#}")).or(outcome.pending)
}
