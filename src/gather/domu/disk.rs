//! One element of `disk` (xl-disk-configuration(5), libxlu_disk_l.l).
//!
//! Pure. Takes what xl takes, and of xm's lines `w!` and a fourth and fifth
//! word. What xl refuses is a mistake, with two exceptions that a rule can say
//! more about: a line of which `target=` swallowed the vdev, and an unknown
//! `backendtype`.

use super::lexer::Text;
use crate::guest::{Access, BackendType, ConfigDisk, Format};
use crate::place::{Mistake, Place, quoted};

/// Prefixes of xend that xl takes off and ignores.
const IGNORED_PREFIXES: [&str; 7] = ["phy", "file", "aio", "tap", "tap2", "tapdisk", "ioemu"];
/// Prefixes that xl reads as a format.
const FORMAT_PREFIXES: [&str; 4] = ["raw", "qcow", "qcow2", "vhd"];
/// Prefixes that xl reads as `script=block-PREFIX`.
const SCRIPT_PREFIXES: [&str; 4] = ["drbd", "iscsi", "nbd", "enbd"];

/// Words that say nothing a rule asks for.
const IGNORED_WORDS: [&str; 9] = [
    "direct-io-safe",
    "discard",
    "no-discard",
    "trusted",
    "untrusted",
    "specification=xen",
    "specification=virtio",
    "grant_usage=0",
    "grant_usage=1",
];
/// Keys whose value says nothing a rule asks for.
const IGNORED_KEYS: [&str; 5] = ["colo-host", "colo-port", "colo-export", "active-disk", "hidden-disk"];

/// Reads one element.
pub fn disk(text: &Text) -> Result<ConfigDisk, Mistake> {
    let line = &text.value;
    let mut disk = Draft::default();
    let mut at = 0;
    while at < line.len() {
        let rest = line[at..].trim_start_matches([' ', '\t', '\n']);
        if rest.is_empty() {
            break;
        }
        at = line.len() - rest.len();
        let place = || text.place_of(at);
        if let Some(target) = rest.strip_prefix("target=") {
            disk.target(target.strip_suffix(',').unwrap_or(target), place)?;
            break;
        }
        at += match prefix(rest) {
            Some(prefix) => disk.prefix(prefix, place)?,
            None => disk.word(rest.split(',').next().unwrap_or(rest), place)?,
        };
    }
    disk.finished(text)
}

/// `NAME` of `NAME:` at the beginning. A colon that a letter or digit follows
/// makes a prefix of the known names alone: `xvda:cdrom` is none.
fn prefix(rest: &str) -> Option<&str> {
    let name = &rest[..rest.find(|c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit())?];
    let behind = rest[name.len()..].strip_prefix(':')?;
    let lists = [&IGNORED_PREFIXES[..], &FORMAT_PREFIXES, &SCRIPT_PREFIXES];
    let known = lists.iter().any(|prefixes| prefixes.contains(&name));
    let named = name.starts_with(|c: char| c.is_ascii_lowercase());
    let alone = !behind.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    (known || (named && alone)).then_some(name)
}

/// What has been read of a line.
#[derive(Default)]
struct Draft {
    target: Option<String>,
    format: Option<Format>,
    vdev: Option<String>,
    access: Option<Access>,
    /// Whether `access` was given by its position.
    access_given: bool,
    script: Option<String>,
    backend: Option<String>,
    backendtype: Option<BackendType>,
    protocol_given: bool,
    cdrom: bool,
    colo: bool,
    prefix: String,
}

impl Draft {
    fn target(&mut self, value: &str, place: impl Fn() -> Place) -> Result<(), Mistake> {
        set("target", &mut self.target, value, place)
    }

    /// Takes a prefix; gives the length of what is passed.
    fn prefix(&mut self, name: &str, place: impl Fn() -> Place) -> Result<usize, Mistake> {
        if FORMAT_PREFIXES.contains(&name) {
            self.format(name, place)?;
        } else if SCRIPT_PREFIXES.contains(&name) {
            set("script", &mut self.script, &format!("block-{name}"), place)?;
        } else if !IGNORED_PREFIXES.contains(&name) {
            return Err(Mistake::at(place(), format!("unknown prefix {}", quoted(&format!("{name}:")))));
        }
        self.prefix.push_str(name);
        self.prefix.push(':');
        Ok(name.len() + 1)
    }

    /// Takes what stands before a comma; gives the length of what is passed.
    fn word(&mut self, word: &str, place: impl Fn() -> Place) -> Result<usize, Mistake> {
        match word {
            "cdrom" | "devtype=cdrom" => self.cdrom = true,
            "devtype=disk" => self.cdrom = false,
            "colo" => self.colo = true,
            "no-colo" => self.colo = false,
            _ if IGNORED_WORDS.contains(&word) => (),
            _ => match word.split_once('=') {
                Some((key, value)) => self.key(key, value, place)?,
                None => self.positional(word, place)?,
            },
        }
        Ok(word.len() + 1)
    }

    fn key(&mut self, key: &str, value: &str, place: impl Fn() -> Place) -> Result<(), Mistake> {
        match key {
            "vdev" => set(key, &mut self.vdev, value, place),
            "script" => set(key, &mut self.script, value, place),
            "backend" => set(key, &mut self.backend, value, place),
            "format" => self.format(value, place),
            "access" => self.access(value, place),
            "backendtype" => same(key, &mut self.backendtype, backend_type(value), place),
            "devtype" | "specification" | "grant_usage" => Err(unknown_value(key, value, place())),
            _ if IGNORED_KEYS.contains(&key) => Ok(()),
            _ => Err(Mistake::at(place(), format!("unknown key {}", quoted(key)))),
        }
    }

    /// What has no name: target, format, vdev, access, in this order and as far
    /// as they are not given. Behind a prefix there is no format, and xm reads
    /// the domain of the backend and a protocol at the end (create.py, preprocess_disk).
    fn positional(&mut self, word: &str, place: impl Fn() -> Place) -> Result<(), Mistake> {
        let xm = !self.prefix.is_empty();
        if self.target.is_none() {
            self.target(word, place)
        } else if !xm && self.format.is_none() {
            self.format_or_drive(word, place)
        } else if self.vdev.is_none() {
            self.vdev(word, place)
        } else if !self.access_given {
            self.access_given = true;
            self.access(word, place)
        } else if xm && self.backend.is_none() {
            set("backend", &mut self.backend, word, place)
        } else if xm && !self.protocol_given {
            self.protocol_given = true;
            Ok(())
        } else {
            Err(Mistake::at(place(), format!("{} is one word too many", quoted(word))))
        }
    }

    /// The format; or `VDEV:TYPE` of an empty drive, which xend spelled `,hdc:cdrom,r`.
    fn format_or_drive(&mut self, word: &str, place: impl Fn() -> Place) -> Result<(), Mistake> {
        if self.target.as_deref() == Some("") && word.contains(':') {
            self.format = Some(Format::Empty);
            return self.vdev(word, place);
        }
        self.format(word, place)
    }

    /// `VDEV` or `VDEV:TYPE`.
    fn vdev(&mut self, word: &str, place: impl Fn() -> Place) -> Result<(), Mistake> {
        let (vdev, devtype) = match word.rsplit_once(':') {
            Some((vdev, devtype)) => (vdev, Some(devtype)),
            None => (word, None),
        };
        match devtype {
            Some("cdrom") => self.cdrom = true,
            Some("disk") => self.cdrom = false,
            Some(other) => return Err(unknown_value("devtype", other, place())),
            None => (),
        }
        set("vdev", &mut self.vdev, vdev, place)
    }

    fn format(&mut self, word: &str, place: impl Fn() -> Place) -> Result<(), Mistake> {
        let format = match word {
            "" | "raw" => Format::Raw,
            "qcow" => Format::Qcow,
            "qcow2" => Format::Qcow2,
            "vhd" => Format::Vhd,
            "qed" => Format::Qed,
            "empty" => Format::Empty,
            _ => return Err(unknown_value("format", word, place())),
        };
        same("format", &mut self.format, format, place)
    }

    fn access(&mut self, word: &str, place: impl Fn() -> Place) -> Result<(), Mistake> {
        self.access = Some(match word {
            "r" | "ro" => Access::ReadOnly,
            "w" | "rw" | "" => Access::ReadWrite,
            "w!" => Access::Forced,
            _ => return Err(unknown_value("access", word, place())),
        });
        Ok(())
    }

    fn finished(self, text: &Text) -> Result<ConfigDisk, Mistake> {
        let missing = |what| Mistake::at(text.place, format!("the disk has no {what}"));
        if self.target.is_none() && !self.cdrom {
            return Err(missing("target"));
        }
        let disk = self.with_defaults(text);
        match disk.vdev.is_none() && disk.swallowed().is_empty() {
            true => Err(missing("vdev")),
            false => Ok(disk),
        }
    }

    fn with_defaults(self, text: &Text) -> ConfigDisk {
        let filled = |field: Option<String>| field.filter(|value| !value.is_empty());
        let target = self.target.unwrap_or_default();
        let no_disc = self.cdrom && target.is_empty();
        let access = self.access.unwrap_or(Access::ReadWrite);
        ConfigDisk {
            text: text.value.clone(),
            place: text.place,
            format: if no_disc { Format::Empty } else { self.format.unwrap_or(Format::Raw) },
            target,
            script: filled(self.script),
            vdev: filled(self.vdev),
            access: if self.cdrom { Access::ReadOnly } else { access },
            backend: filled(self.backend),
            backendtype: self.backendtype,
            cdrom: self.cdrom,
            colo: self.colo,
            prefix: filled(Some(self.prefix)),
        }
    }
}

/// Sets what may be given once; an empty value counts as none.
fn set(key: &str, field: &mut Option<String>, value: &str, place: impl Fn() -> Place) -> Result<(), Mistake> {
    match field {
        Some(given) if !given.is_empty() => Err(twice(key, place())),
        _ => {
            *field = Some(value.to_string());
            Ok(())
        }
    }
}

/// Sets what may be given again if it is the same.
fn same<T: PartialEq>(
    key: &str,
    field: &mut Option<T>,
    value: T,
    place: impl Fn() -> Place,
) -> Result<(), Mistake> {
    match field {
        Some(given) if *given != value => Err(twice(key, place())),
        _ => {
            *field = Some(value);
            Ok(())
        }
    }
}

fn backend_type(word: &str) -> BackendType {
    match word {
        "phy" => BackendType::Phy,
        "tap" => BackendType::Tap,
        "qdisk" => BackendType::Qdisk,
        "standalone" => BackendType::Standalone,
        _ => BackendType::Other(word.to_string()),
    }
}

fn twice(key: &str, place: Place) -> Mistake {
    Mistake::at(place, format!("{} is given twice", quoted(key)))
}

fn unknown_value(key: &str, value: &str, place: Place) -> Mistake {
    Mistake::at(place, format!("{} cannot be {}", quoted(key), quoted(value)))
}

#[cfg(test)]
#[path = "disk_tests.rs"]
mod tests;
