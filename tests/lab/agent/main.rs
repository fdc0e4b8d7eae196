//! The only program of ours inside the lab's machines, under three names.
//!
//! In a node (dom0) it serves the harness's commands, or writes and finds
//! records where a scenario calls it with words; as a guest's first process it
//! is the guest; as `/sbin/poweroff` it is what the guest's kernel runs when Xen
//! asks for a shutdown. It asserts nothing: scenarios do.
#![allow(clippy::disallowed_methods)]

mod guest;
#[path = "../record.rs"]
mod record;
mod records;
mod serve;
#[path = "../wire.rs"]
mod wire;

use std::process::ExitCode;

fn main() -> ExitCode {
    let name = std::env::args().next().unwrap_or_default();
    if name.ends_with("poweroff") {
        return guest::power_off();
    }
    if std::process::id() == 1 {
        return guest::run();
    }
    let words: Vec<String> = std::env::args().skip(1).collect();
    let done = if words.is_empty() { serve::run() } else { records::run(&words) };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lab-agent: {error:#}");
            ExitCode::FAILURE
        }
    }
}
