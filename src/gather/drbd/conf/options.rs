//! drbd.conf's options: one value each, out of the most special section that has it.
//!
//! Every spelling of 8.3, 8.4 and 9 is understood, whichever DRBD runs: the
//! tools of a newer one read the older ones too. The defaults are those of the
//! DRBD that runs (drbd_limits.h of each; reference: HDR, D83).

use super::Conf;
use super::tree::{Node, Word};
use crate::facts::{DiskOptions, Fencing, OnIoError, OnNoData, Protocol};
use crate::gather::drbd::proc::Version;
use crate::place::{Error, File, Place};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

/// The statements of one section's sections, by section and name; its own are under `""`.
/// The last of a name counts. `no-X` is under `X`.
pub(super) type Table<'a> = HashMap<(&'a str, &'a str), &'a Node>;

/// Sections whose statements are options.
const SECTIONS: [&str; 7] = ["disk", "net", "options", "syncer", "handlers", "startup", "proxy"];

pub(super) fn table(body: &[Node]) -> Table<'_> {
    let mut table = Table::new();
    for node in body {
        let name = node.name.text.as_str();
        match &node.body {
            None => drop(table.insert(("", name), node)),
            Some(inner) if node.values.is_empty() && SECTIONS.contains(&name) => {
                let statements = inner.iter().filter(|node| node.body.is_none());
                table.extend(statements.map(|node| ((name, key(name, node)), node)));
            }
            Some(_) => {}
        }
    }
    table
}

/// The option that a statement of a section sets.
fn key<'a>(section: &str, node: &'a Node) -> &'a str {
    match (section, node.name.text.as_str()) {
        // The old name (drbd-utils, drbdadm_parser.c, check_deprecated_alias).
        ("handlers", "outdate-peer") => "fence-peer",
        (_, name) => name.strip_prefix("no-").unwrap_or(name),
    }
}

/// What is configured for one volume, connection or resource.
#[derive(Debug, Clone)]
pub struct Options<'a> {
    conf: &'a Conf,
    /// The most special first.
    chain: Vec<Rc<Table<'a>>>,
}

/// One line of a `handlers` section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handler {
    /// The event, such as `fence-peer`, also where its old name `outdate-peer` stands.
    pub name: String,
    /// What the shell is given.
    pub text: String,
    /// The file.
    pub file: String,
    /// Where in the file.
    pub place: Place,
}

impl<'a> Options<'a> {
    pub(super) fn new(conf: &'a Conf, chain: Vec<Rc<Table<'a>>>) -> Self {
        Options { conf, chain }
    }

    /// The disk section, with the defaults of this DRBD.
    pub fn disk(&self, version: Version) -> Result<DiskOptions, Error> {
        let flag = |name, default| self.flag("disk", name, default);
        Ok(DiskOptions {
            // Off since 8.4.2, where it went out of use.
            disk_barrier: flag("disk-barrier", version < Version::new(8, 4, 2))?,
            disk_flushes: flag("disk-flushes", true)?,
            disk_drain: flag("disk-drain", true)?,
            md_flushes: flag("md-flushes", true)?,
            al_updates: flag("al-updates", true)?,
            on_io_error: self.on_io_error(version)?,
            disk_timeout: self.number("disk", "disk-timeout")?,
        })
    }

    fn on_io_error(&self, version: Version) -> Result<OnIoError, Error> {
        Ok(match self.word(&["disk"], "on-io-error")? {
            None if version < Version::new(8, 4, 0) => OnIoError::PassOn,
            None | Some("detach") => OnIoError::Detach,
            Some("pass_on") => OnIoError::PassOn,
            Some("call-local-io-error") => OnIoError::CallLocalIoError,
            Some(other) => OnIoError::Other(other.into()),
        })
    }

    /// What is done without data: in `options`, on 8.3 in `disk` (drbd-utils take it in `syncer` too).
    pub fn on_no_data(&self) -> Result<OnNoData, Error> {
        Ok(match self.word(&["options", "disk", "syncer"], "on-no-data-accessible")? {
            None | Some("io-error") => OnNoData::IoError,
            Some("suspend-io") => OnNoData::SuspendIo,
            Some(other) => OnNoData::Other(other.into()),
        })
    }

    /// The fencing policy: in `net` (9) or `disk` (8.x).
    pub fn fencing(&self) -> Result<Fencing, Error> {
        Ok(match self.word(&["net", "disk"], "fencing")? {
            None | Some("dont-care") => Fencing::DontCare,
            Some("resource-only") => Fencing::ResourceOnly,
            Some("resource-and-stonith") => Fencing::ResourceAndStonith,
            Some(other) => Fencing::Other(other.into()),
        })
    }

    /// The protocol: in `net`, on 8.3 in the resource itself. C where there is none.
    pub fn protocol(&self) -> Result<Protocol, Error> {
        let Some(node) = self.last(&["net", ""], "protocol") else { return Ok(Protocol::C) };
        match self.value(node)?.text.as_str() {
            "A" | "a" => Ok(Protocol::A),
            "B" | "b" => Ok(Protocol::B),
            "C" | "c" => Ok(Protocol::C),
            _ => Err(self.conf.error(node, self.value(node)?, "protocols are A, B and C")),
        }
    }

    /// Whether two Primaries are allowed.
    pub fn two_primaries(&self) -> Result<bool, Error> {
        self.flag("net", "allow-two-primaries", false)
    }

    /// The checksum that every write carries, if any.
    pub fn data_integrity(&self) -> Result<Option<String>, Error> {
        let name = self.word(&["net"], "data-integrity-alg")?;
        Ok(name.filter(|name| !name.is_empty()).map(str::to_string))
    }

    /// Every handler, by name.
    pub fn handlers(&self) -> Vec<Handler> {
        let mut handlers = BTreeMap::new();
        let all = self.chain.iter().rev().flat_map(|table| table.iter());
        for (&(_, name), node) in all.filter(|((section, _), _)| *section == "handlers") {
            handlers.insert(name, self.handler(name, node));
        }
        handlers.into_values().collect()
    }

    fn handler(&self, name: &str, node: &Node) -> Handler {
        let words: Vec<&str> = node.texts().collect();
        Handler {
            name: name.into(),
            text: words.join(" "),
            file: self.conf.files.get(node.file).map_or("", File::path).into(),
            place: node.name.place,
        }
    }

    /// The statement that counts: of the most special section, in one of the sections of these names.
    fn last(&self, sections: &[&str], name: &str) -> Option<&'a Node> {
        let of =
            |table: &Rc<Table<'a>>| sections.iter().find_map(|section| table.get(&(*section, name)).copied());
        self.chain.iter().find_map(of)
    }

    fn word(&self, sections: &[&str], name: &str) -> Result<Option<&'a str>, Error> {
        let node = self.last(sections, name);
        node.map(|node| self.value(node).map(|word| word.text.as_str())).transpose()
    }

    fn value(&self, node: &'a Node) -> Result<&'a Word, Error> {
        match &node.values[..] {
            [value] => Ok(value),
            _ => Err(self.conf.error(node, &node.name, "this takes one value")),
        }
    }

    /// `X;` and `X yes;` are yes, `no-X;` and `X no;` are no.
    fn flag(&self, section: &str, name: &str, default: bool) -> Result<bool, Error> {
        let Some(node) = self.last(&[section], name) else { return Ok(default) };
        let plain = node.name.text == name;
        match (plain, &node.values[..]) {
            (plain, []) => Ok(plain),
            (true, [word]) if word.text == "yes" => Ok(true),
            (true, [word]) if word.text == "no" => Ok(false),
            (_, [word, ..]) => Err(self.conf.error(node, word, "this takes yes or no")),
        }
    }

    fn number(&self, section: &str, name: &str) -> Result<u32, Error> {
        let Some(node) = self.last(&[section], name) else { return Ok(0) };
        let word = self.value(node)?;
        word.text.parse().map_err(|_| self.conf.error(node, word, "this is not a number"))
    }
}
