//! Domain configurations: the files that `xl create` and `xm create` are given; and of xl.conf one word.
//!
//! Reads and judges nothing of what they say. Values given on xl's command
//! line are not in the file.

mod config;
mod disk;
mod lexer;

use crate::facts::Known;
use crate::guest::{ConfigDisk, GuestConfig, GuestKind, NotEvaluated};
use crate::host::Host;
use crate::place::{Mistake, Place};
use anyhow::{Result, anyhow, bail};
use config::{Settings, Value};

/// Where xl's own settings stand.
pub const XL_CONF: &str = "/etc/xen/xl.conf";

/// What to say of libvirt's XML: libxlMakeDisk passes no script (libxl_conf.c), and only Qubes' patches add one.
const LIBVIRT: &str = "this is XML of libvirt, whose disks name no script: block-drbd would not be called; \
     start the guest with xl and script=block-drbd";

/// Reads the domain configuration at `path`, absolute on the machine.
pub fn read(host: &Host, path: &str) -> Result<GuestConfig> {
    parse(path, &host.read_text(path)?)
}

/// The domain configuration that is `text`; `path` is for the messages.
///
/// The error shows the place and the line of what neither xl nor xm would take.
pub fn parse(path: &str, text: &str) -> Result<GuestConfig> {
    let read = || {
        if text.trim_start().starts_with('<') {
            return Err(Mistake::at(Place::of(text, 0), LIBVIRT));
        }
        let file = File { path, settings: config::settings(text)? };
        Ok(GuestConfig {
            path: path.to_string(),
            name: file.string("name"),
            uuid: file.string("uuid"),
            kind: file.kind(),
            bootloader: file.string("bootloader"),
            kernel: file.string("kernel"),
            cmdline: file.string("cmdline"),
            root: file.string("root"),
            extra: file.string("extra"),
            stubdomain: file.flag("device_model_stubdomain_override"),
            disks: file.disks()?,
            not_evaluated: file.settings.not_evaluated,
        })
    };
    read().map_err(|mistake: Mistake| mistake.in_file(path, text))
}

/// `run_hotplug_scripts` of xl.conf(5), `None` where it is not set: whether
/// libxl (1, the default) or udev (0) runs the scripts.
///
/// xl takes a number, quoted or not, and falls back to its default on anything
/// else (xl.c, xlu_cfg_get_long). A word such as `"false"` is an error here.
pub fn run_hotplug_scripts(text: &str) -> Result<Option<bool>> {
    let settings = config::settings(text).map_err(|mistake| mistake.in_file(XL_CONF, text))?;
    match (File { path: XL_CONF, settings }).flag("run_hotplug_scripts") {
        Known::Is(flag) => Ok(flag),
        Known::Unknown(reason) => bail!(reason),
    }
}

struct File<'a> {
    path: &'a str,
    settings: Settings,
}

impl File<'_> {
    /// A setting, or why it is unknown.
    fn get(&self, name: &str) -> Result<Option<&Value>> {
        self.settings
            .get(name)
            .map_err(|NotEvaluated { place, what }| anyhow!("{name} of {}:{place}: {what}", self.path))
    }

    fn wrong<T>(&self, value: &Value, what: &str) -> Result<T> {
        bail!("{}:{}: {what}", self.path, value.place())
    }

    /// A string, or a number as written: xl makes no difference.
    fn word(&self, name: &str) -> Result<Option<&str>> {
        match self.get(name)? {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(&text.value)),
            Some(Value::Number(number, _)) => Ok(Some(number)),
            Some(list) => self.wrong(list, &format!("{name} is a list, which xl ignores")),
        }
    }

    fn string(&self, name: &str) -> Known<Option<String>> {
        Known::from(self.word(name).map(|word| word.map(String::from)))
    }

    fn flag(&self, name: &str) -> Known<Option<bool>> {
        let flag = |word: &str| match number(word) {
            Some(number) => Ok(number != 0),
            None => bail!("{name} of {} is not a number, so that xl ignores it; write 0 or 1", self.path),
        };
        Known::from(self.word(name).and_then(|word| word.map(flag).transpose()))
    }

    /// xl: `type`, or the older `builder`, which must agree (xl_parse.c); xm: `builder`.
    fn kind(&self) -> Known<GuestKind> {
        let kind = || {
            let by_type = self.word("type")?.map(kind_of_type);
            let by_builder = self.word("builder")?.map(kind_of_builder);
            match (by_type, by_builder) {
                (Some(one), Some(other)) if one != other => {
                    bail!("type and builder of {} contradict each other; leave builder out", self.path)
                }
                (one, other) => Ok(one.or(other).unwrap_or(GuestKind::Pv)),
            }
        };
        Known::from(kind())
    }

    fn disks(&self) -> Result<Known<Vec<ConfigDisk>>, Mistake> {
        let elements = match self.get("disk") {
            Ok(None) => return Ok(Known::Is(Vec::new())),
            Ok(Some(Value::List(elements, _))) => elements,
            Ok(Some(other)) => {
                return Ok(Known::from(self.wrong(other, "disk is not a list, so that xl ignores it")));
            }
            Err(reason) => return Ok(Known::Unknown(format!("{reason:#}"))),
        };
        let one = |element: &Value| match element {
            Value::Text(text) => disk::disk(text),
            other => Err(Mistake::at(other.place(), "an element of `disk` is not a string")),
        };
        Ok(Known::Is(elements.iter().map(one).collect::<Result<_, _>>()?))
    }
}

fn kind_of_type(word: &str) -> GuestKind {
    match word {
        "pv" => GuestKind::Pv,
        "pvh" => GuestKind::Pvh,
        "hvm" => GuestKind::Hvm,
        _ => GuestKind::Other(word.to_string()),
    }
}

fn kind_of_builder(word: &str) -> GuestKind {
    match word {
        // xl's word and xm's.
        "generic" | "linux" => GuestKind::Pv,
        "hvm" => GuestKind::Hvm,
        _ => GuestKind::Other(word.to_string()),
    }
}

/// A number in C's notation, which xl reads with strtol(3) and base 0.
fn number(word: &str) -> Option<u64> {
    match word.strip_prefix("0x").or(word.strip_prefix("0X")) {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None if word.len() > 1 && word.starts_with('0') => u64::from_str_radix(word, 8).ok(),
        None => word.parse().ok(),
    }
}

#[cfg(test)]
mod tests;
