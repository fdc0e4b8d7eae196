//! Where the lab keeps things, and small helpers for the host's programs.

use anyhow::{Context, Result, bail};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A path below `target/lab`.
pub fn lab(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/lab").join(name)
}

/// Runs a program of the host and returns its output; its complaints go to the terminal.
pub fn output(command: &mut Command) -> Result<Vec<u8>> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("starting {command:?} (`make deps` installs what is missing)"))?;
    if !output.status.success() {
        bail!("{command:?}: {}", output.status);
    }
    Ok(output.stdout)
}

/// Whether the stamp file says that the thing beside it was made from this key.
pub fn is_made_from(stamp: &Path, key: &impl Hash) -> bool {
    fs::read_to_string(stamp).is_ok_and(|made_from| made_from == digest(key))
}

/// Writes the stamp; the last act of making the thing beside it.
pub fn stamp(stamp: &Path, key: &impl Hash) -> Result<()> {
    fs::write(stamp, digest(key)).with_context(|| stamp.display().to_string())
}

fn digest(key: &impl Hash) -> String {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// An empty directory, whatever was there.
pub fn empty_directory(path: &Path) -> Result<()> {
    if path.exists() {
        fs::remove_dir_all(path).with_context(|| path.display().to_string())?;
    }
    fs::create_dir_all(path).with_context(|| path.display().to_string())
}

/// Removes all but the newest entries of a directory whose names sort by age.
pub fn keep_newest(directory: &Path, count: usize) -> Result<()> {
    if !directory.exists() {
        return Ok(());
    }
    let entries = fs::read_dir(directory)?.map(|entry| entry.map(|entry| entry.path()));
    let mut paths = entries.collect::<Result<Vec<_>, _>>()?;
    paths.sort();
    let old = paths.len().saturating_sub(count);
    for path in &paths[..old] {
        fs::remove_dir_all(path).with_context(|| path.display().to_string())?;
    }
    Ok(())
}
