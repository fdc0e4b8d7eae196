//! The administrator's settings: a TOML file, checked, and nothing else.
//!
//! A word that is not known is an error: a mistyped option must not silently
//! mean its default. Reads no file itself.

use anyhow::{Result, anyhow, ensure};
use serde::Deserialize;
use std::time::Duration;

/// Where the file is, unless `--config` says otherwise.
pub const PATH: &str = "/etc/xen/block-drbd.toml";

/// What can be set. The shipped `etc/block-drbd.toml` holds every option at its default.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Settings {
    /// Seconds for which an add waits for what heals by itself, at most 20.
    pub healing_seconds: u64,
    /// Seconds that a flush may take before it proves nothing, 1 to 20.
    pub flush_seconds: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { healing_seconds: 3, flush_seconds: 5 }
    }
}

impl Settings {
    /// Reads the text of `path`; the error names the line and the column, and shows them.
    pub fn parse(path: &str, text: &str) -> Result<Settings> {
        let settings: Settings = toml::from_str(text).map_err(|error| anyhow!("{path}: {error}"))?;
        ensure!(settings.healing_seconds <= 20, "{path}: healing-seconds is at most 20");
        ensure!((1..=20).contains(&settings.flush_seconds), "{path}: flush-seconds is 1 to 20");
        Ok(settings)
    }

    /// How long what heals by itself is waited for.
    pub fn healing(&self) -> Duration {
        Duration::from_secs(self.healing_seconds)
    }

    /// How long a flush may take.
    pub fn flush(&self) -> Duration {
        Duration::from_secs(self.flush_seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_file_holds_the_defaults() {
        let shipped = include_str!("../etc/block-drbd.toml");
        assert_eq!(Settings::parse(PATH, shipped).unwrap(), Settings::default());
        let active: String = shipped
            .lines()
            .map(|line| line.strip_prefix("#:").unwrap_or(line))
            .collect::<Vec<_>>()
            .join("\n");
        assert_eq!(Settings::parse(PATH, &active).unwrap(), Settings::default());
        for option in ["healing-seconds", "flush-seconds"] {
            assert!(active.contains(&format!("\n{option} = ")), "{option} is not in the shipped file");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        for (text, words) in [
            ("flush-second = 3", "unknown field `flush-second`"),
            ("a = 1\nflush-seconds = \"x\"", "line"),
            ("flush-seconds = 0", "flush-seconds is 1 to 20"),
            ("healing-seconds = 21", "at most 20"),
            ("[", "line 1, column"),
        ] {
            let error = Settings::parse(PATH, text).unwrap_err().to_string();
            assert!(error.contains(words) && error.contains(PATH), "{text}: {error}");
        }
    }
}
