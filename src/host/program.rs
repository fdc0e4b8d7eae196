//! This very program, started to go on after this process has ended.

#![allow(clippy::disallowed_methods)]

use anyhow::{Context, Result};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// Starts this program with `arguments`, in a session of its own, with no
/// environment and no descriptors: nothing that ends the caller ends it.
pub fn detach(arguments: &[&str]) -> Result<()> {
    Command::new("/proc/self/exe")
        .args(arguments)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .context("starting the detached release")?;
    Ok(())
}
