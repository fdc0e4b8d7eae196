//! Has cargo build what runs inside the machines, and finds it.

use crate::image::Programs;
use crate::node::Node;
use crate::paths;
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The agent, built now, and the binary under test, as it is.
pub fn build() -> Result<Programs> {
    Ok(Programs {
        agent: executable(&["build", "--example"], "lab-agent")?,
        binary: Some(binary_under_test()).filter(|path| path.exists()),
    })
}

/// Where the binary under test is expected.
pub fn binary_under_test() -> PathBuf {
    std::env::var_os("LAB_BINARY").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/x86_64-unknown-linux-gnu/release/block-drbd"),
        PathBuf::from,
    )
}

/// The program of a test target, to be run inside a node.
fn test(name: &str) -> Result<PathBuf> {
    executable(&["test", "--no-run", "--test"], name)
        .with_context(|| format!("building the test target {name}"))
}

/// Runs the program of a test target in a node; it must have run tests, and all must pass.
pub fn run_suite(node: &Node, name: &str, environment: &str) -> Result<()> {
    let program = std::fs::read(test(name)?)?;
    node.put("/run/lab-suite", &program)?;
    let said = node.ok(&format!("{environment} /run/lab-suite --test-threads=1"))?;
    ensure!(
        said.contains("test result: ok.") && !said.contains("running 0 tests"),
        "{name} ran nothing: {said}"
    );
    Ok(())
}

/// Has cargo build a target and returns its program.
///
/// Cargo also tells of the package's own binary, which an integration test needs, before it or after it.
fn executable(arguments: &[&str], target: &str) -> Result<PathBuf> {
    let messages = paths::output(
        Command::new(env!("CARGO"))
            .args(arguments)
            .args([target, "--release", "--quiet", "--message-format=json"])
            .current_dir(env!("CARGO_MANIFEST_DIR")),
    )?;
    String::from_utf8(messages)?
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["name"] == target)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .with_context(|| format!("cargo built no program for the target {target}"))
}
