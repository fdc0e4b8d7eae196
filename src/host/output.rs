//! What is said on stdout and stderr.
//!
//! SIGPIPE is ignored (see `signals`), and std's own macros panic where nobody
//! reads any more: an add would end so after it has attached the disk.

use crate::printable::{Line, Text};
use anyhow::{Context, Result};
use std::io::{self, Write};

/// Prints `text`: the answer to a question, which has failed when it cannot be printed.
pub fn answer(text: &Text) -> Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).context("writing to stdout")
}

/// Says one line of a message on stderr; where nobody listens, it is lost.
pub fn say(line: &Line) {
    let _ = io::stderr().lock().write_all(format!("block-drbd: {line}\n").as_bytes());
}
