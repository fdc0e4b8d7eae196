//! The only program of ours inside the lab's machines, under four names.
//!
//! In a node (dom0) it serves the harness's commands, or, where a scenario calls it
//! with words, writes and finds records or computes; as a guest's first process it
//! is the guest; as `/sbin/poweroff` it is what the guest's kernel runs when Xen
//! asks for a shutdown; as `ssh` it runs a command on the other node. It asserts
//! nothing: scenarios do.
#![allow(clippy::disallowed_methods)]

mod guest;
#[path = "../record.rs"]
mod record;
mod records;
mod registers;
mod remote;
mod serve;
#[path = "../wire.rs"]
mod wire;

use std::process::ExitCode;

fn main() -> ExitCode {
    let name = std::env::args().next().unwrap_or_default();
    if name.ends_with("poweroff") {
        return guest::power_off();
    }
    let words: Vec<String> = std::env::args().skip(1).collect();
    if name.ends_with("ssh") {
        std::process::exit(remote::ssh(&words));
    }
    if std::process::id() == 1 {
        return guest::run();
    }
    let done = match words.first().map(String::as_str) {
        None => serve::run(),
        Some("listen") => remote::listen(),
        Some("registers") => registers::run(words.get(1).map_or("", String::as_str)),
        Some(_) => records::run(&words),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lab-agent: {error:#}");
            ExitCode::FAILURE
        }
    }
}
