//! `block-drbd status`: who has what on this host, and what needs somebody. Changes nothing.

pub mod judge;
#[cfg(test)]
mod tests;

use crate::gather;
use crate::host::{Deadline, Host, output};
use crate::report;
use anyhow::Result;
use judge::Judged;
use std::io::IsTerminal;
use std::time::Duration;

/// How long the look may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Prints it and returns the exit code: 0 all is well, 1 something needs an administrator, 3
/// something could not be found out.
pub fn run(host: &mut Host, json: bool) -> Result<i32> {
    host.set_deadline(Deadline::after(PATIENCE));
    let status = gather::status::look(host)?;
    let judged = Judged::new(&status);
    let text = match json {
        true => report::status_json::json(&judged)?,
        false => report::status::text(&judged, std::io::stdout().is_terminal()),
    };
    output::answer(&text)?;
    Ok(judged.exit_code())
}
