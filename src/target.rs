//! `target=` of a disk line, which is the node `params`: which resource and volume is meant.
//!
//! Pure. Whatever passes here is the name of a single resource and of nothing
//! else: no word that drbdadm reads as an option or as every resource.

use serde::Serialize;
use std::fmt;

/// The volume that a disk line names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Target {
    /// The resource.
    pub resource: String,
    /// Its volume, where one is named (`RES/VOL`).
    pub volume: Option<u32>,
}

/// RES_NAME_MAX of drbd-utils is 127 with its closing zero byte (ctx_resource_name is 128 long).
const LONGEST_NAME: usize = 127;

impl Target {
    /// Reads `RES`, `RES/VOL`, or either behind the legacy prefix `drbd:`.
    ///
    /// The error is a clause that says what is wrong with the value.
    pub fn parse(params: &[u8]) -> Result<Target, String> {
        let text = std::str::from_utf8(params).map_err(|_| "it is not UTF-8 text".to_string())?;
        // libxl strips the prefix, xend's protocol and hand-written nodes do
        // not; leaving it on at remove kept the resource Primary (drbd-utils deb3b38c).
        let text = text.strip_prefix("drbd:").unwrap_or(text);
        let (name, number) = match text.split_once('/') {
            Some((name, number)) => (name, Some(number)),
            None => (text, None),
        };
        check_name(name)?;
        let volume = number.map(volume_number).transpose()?;
        Ok(Target { resource: name.to_string(), volume })
    }
}

fn volume_number(text: &str) -> Result<u32, String> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // DRBD_VOLUME_MAX is 65534 (drbd_limits.h).
    match text.parse() {
        Ok(number) if digits && number <= 65_534 => Ok(number),
        _ => Err("what follows the / is not a volume number".to_string()),
    }
}

fn check_name(name: &str) -> Result<(), String> {
    let wrong = if name.is_empty() {
        "it names no resource (a path is not a name)"
    } else if name.len() > LONGEST_NAME {
        "it is longer than 127 bytes"
    } else if name == "all" {
        "\"all\" stands for every resource"
    } else if name.starts_with(['-', '.']) {
        "a name must begin with a letter or digit"
    } else if name.contains(',') || name.contains('=') {
        "something follows the name: target= must be the last word of the disk line"
    } else if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.+-".contains(&byte)) {
        "a name has only letters, digits and _ . + -"
    } else {
        return Ok(());
    };
    Err(wrong.to_string())
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.volume {
            Some(volume) => write!(f, "{}/{volume}", self.resource),
            None => f.write_str(&self.resource),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_one_volume_passes() {
        for (text, resource, volume) in [
            ("r0", "r0", None),
            ("r0/1", "r0", Some(1)),
            ("drbd:r0", "r0", None),
            ("drbd:r0/65534", "r0", Some(65_534)),
            ("vm-1.root_disk", "vm-1.root_disk", None),
        ] {
            let target = Target { resource: resource.into(), volume };
            assert_eq!(Target::parse(text.as_bytes()), Ok(target), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused_with_its_reason() {
        let long = "x".repeat(4096);
        for (text, reason) in [
            ("", "names no resource"),
            ("drbd:", "names no resource"),
            ("all", "every resource"),
            ("drbd:all", "every resource"),
            ("all/0", "every resource"),
            ("-r0", "begin with"),
            ("--config-file=/tmp/x", "begin with"),
            ("r0,vdev=xvda", "last word"),
            ("r0 r1", "only letters"),
            ("r0;reboot", "only letters"),
            ("$(reboot)", "only letters"),
            ("r0\n", "only letters"),
            ("r0\0", "only letters"),
            ("r0/", "volume number"),
            ("r0/+1", "volume number"),
            ("r0/1/2", "volume number"),
            ("r0/99999", "volume number"),
            ("/dev/drbd0", "a path is not a name"),
            (long.as_str(), "longer than"),
        ] {
            let error = Target::parse(text.as_bytes()).unwrap_err();
            assert!(error.contains(reason), "{text:?}: {error}");
        }
        assert!(Target::parse(b"r\xff0").unwrap_err().contains("UTF-8"));
    }
}
