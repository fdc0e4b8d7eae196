//! /proc/drbd of DRBD 8.3 and 8.4: the states of every minor, and no option.
//!
//! Pure. As `drbd_seq_show` prints it (drbd_proc.c of 8.3.16 and of Linux 6.1):
//!
//! ```text
//! version: 8.4.11 (api:1/proto:86-101)
//! srcversion: F73C670A7EC572DB9CF3E5B
//!
//!  3: cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate C r-----
//!     ns:0 nr:0 dw:0 dr:0 al:8 bm:0 lo:0 pe:0 ua:0 ap:0 ep:1 wo:f oos:0
//! ```
//!
//! An empty line stands for a gap between minors, and what begins with a tab
//! tells how far a resync is. DRBD 9 prints the version and no minors.

use super::state84;
use crate::facts::{ConnectionState, DiskState, Known, ReplicationState, Role, WriteOrdering};
use crate::place::{Error, Place};
use crate::report::one_line;

const PATH: &str = "/proc/drbd";

/// Larger numbers the kernel does not give to a device (MINORBITS is 20).
const LAST_MINOR: u32 = (1 << 20) - 1;

/// DRBD's version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(u32, u32, u32);

/// The whole file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcDrbd {
    /// From its first line.
    pub version: Version,
    /// Its minors in the order of the file.
    pub minors: Vec<Minor>,
}

/// One minor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Minor {
    /// N of `/dev/drbdN`.
    pub number: u32,
    /// Its states; those of [`unconfigured`] for `cs:Unconfigured`.
    pub states: States,
}

/// The states of one minor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct States {
    /// cs: `enum drbd_conns`.
    pub conn: Conn,
    /// ro: its role here.
    pub role: Role,
    /// ro: its role on the peer.
    pub peer_role: Role,
    /// ds: its disk here.
    pub disk: DiskState,
    /// ds: its disk on the peer.
    pub peer_disk: DiskState,
    /// The protocol's letter; None without a network configuration.
    pub protocol: Option<char>,
    /// The letters after that.
    pub flags: Flags,
    /// wo:, of the next line. 8.3 has one for each minor, 8.4 shows the resource's with each.
    pub write_ordering: Known<WriteOrdering>,
}

/// A state of the connection, which 8.x mixes with the replication's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Conn {
    /// A word of a newer DRBD: it sorts before all others, as the worst.
    Other(String),
    /// Its number in `enum drbd_conns`.
    Listed(u32),
}

/// The letters after the protocol; `-` where there is nothing to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flags {
    /// `s` for `r`: I/O is frozen, for whatever reason (drbd_suspended).
    pub suspended: bool,
    /// `a`: resync waits for another resource's (aftr_isp).
    pub after_other: bool,
    /// `p`: the peer has paused resync (peer_isp).
    pub peer_paused: bool,
    /// `u`: resync was paused here (user_isp). It is not about I/O.
    pub user_paused: bool,
    /// Why it is congested, as `n` for the network.
    pub congestion: Option<char>,
    /// `s`: the activity log is not written now. 8.3.7 does not tell.
    pub log_suspended: bool,
}

const CONNS: [&str; 24] = [
    "StandAlone",
    "Disconnecting",
    "Unconnected",
    "Timeout",
    "BrokenPipe",
    "NetworkFailure",
    "ProtocolError",
    "TearDown",
    "WFConnection",
    "WFReportParams",
    "Connected",
    "StartingSyncS",
    "StartingSyncT",
    "WFBitMapS",
    "WFBitMapT",
    "WFSyncUUID",
    "SyncSource",
    "SyncTarget",
    "VerifyS",
    "VerifyT",
    "PausedSyncS",
    "PausedSyncT",
    "Ahead",
    "Behind",
];

impl Version {
    /// `Version::new(8, 4, 11)`
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Version(major, minor, patch)
    }

    /// `8.4.11`, `8.3.9rc1`, `9.2.19-1`; a third number that is missing is 0.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '.');
        let number = |part: Option<&str>| {
            let digits = part?.split(|sign: char| !sign.is_ascii_digit()).next()?;
            digits.parse().ok()
        };
        let (major, minor) = (number(parts.next())?, number(parts.next())?);
        Some(Version(major, minor, number(parts.next()).unwrap_or(0)))
    }

    /// Whether this is 8.3, which has one volume a resource and no generic netlink.
    pub fn is_83(self) -> bool {
        (self.0, self.1) == (8, 3)
    }

    /// Whether this is 9 or newer, whose /proc/drbd tells no states.
    pub fn is_9(self) -> bool {
        self.0 >= 9
    }
}

impl Conn {
    /// The state of the connection.
    pub fn connection(&self) -> ConnectionState {
        match self {
            Conn::Listed(number) => state84::connection(*number),
            Conn::Other(word) => ConnectionState::Other(word.clone()),
        }
    }

    /// The state of replication.
    pub fn replication(&self) -> ReplicationState {
        match self {
            Conn::Listed(number) => state84::replication(*number),
            Conn::Other(word) => ReplicationState::Other(word.clone()),
        }
    }
}

/// The version of the first line, if that is what it is.
pub fn version(text: &str) -> Option<Version> {
    Version::parse(text.strip_prefix("version: ")?.split_whitespace().next()?)
}

/// Parses the whole file.
pub fn parse(text: &str) -> Result<ProcDrbd, Error> {
    let Some(version) = version(text) else {
        return Err(wrong(text, text, "this does not begin with a version"));
    };
    let mut minors: Vec<Minor> = Vec::new();
    for line in text.split('\n').skip(1) {
        let words = line.trim();
        if begins_a_minor(words) {
            let minor = minor(text, words)?;
            if minors.last().is_some_and(|last| last.number >= minor.number) {
                return Err(wrong(text, words, "minors are told in order, and each once"));
            }
            minors.push(minor);
        } else if let (Some(last), true) = (minors.last_mut(), words.starts_with("ns:")) {
            counters(words, &mut last.states);
        } else if !(minors.is_empty() || words.is_empty() || is_progress(line)) {
            return Err(wrong(text, words, "this is neither a minor nor its counters"));
        }
    }
    Ok(ProcDrbd { version, minors })
}

/// ` 3: cs:…`. Of the lines before the first minor, none begins with a number.
fn begins_a_minor(words: &str) -> bool {
    words.starts_with(|sign: char| sign.is_ascii_digit()) && words.contains(": cs:")
}

/// A resync's progress, or details that the parameter proc_details asked for.
fn is_progress(line: &str) -> bool {
    let line = line.trim_start_matches(' ');
    line.starts_with(['\t', '[']) || line.starts_with("finish:")
}

fn minor(text: &str, words: &str) -> Result<Minor, Error> {
    let (number, rest) = words.split_once(':').unwrap_or((words, ""));
    let number = number.parse().ok().filter(|&number: &u32| number <= LAST_MINOR);
    let number = number.ok_or_else(|| wrong(text, words, "this is not the number of a minor"))?;
    let mut fields = rest.split_whitespace();
    let mut field = |key: &str| {
        let field = fields.next().unwrap_or(&words[words.len()..]);
        let value = field.strip_prefix(key).filter(|value| is_value(value));
        value.ok_or_else(|| wrong(text, field, &format!("there is no {key} here")))
    };
    let cs = field("cs:")?;
    if cs == "Unconfigured" {
        return Ok(Minor { number, states: unconfigured(number) });
    }
    let (role, peer_role) = pair(text, field("ro:")?)?;
    let (disk, peer_disk) = pair(text, field("ds:")?)?;
    let (protocol, flags) = match (fields.next(), fields.next()) {
        (Some(letter), Some(flags)) => (Some(protocol(text, letter)?), flags),
        (Some(flags), None) => (None, flags),
        _ => (None, &words[words.len()..]),
    };
    let states = States {
        conn: conn(cs),
        role: role_of(role),
        peer_role: role_of(peer_role),
        disk: disk_of(disk),
        peer_disk: disk_of(peer_disk),
        protocol,
        flags: flags_of(flags).ok_or_else(|| wrong(text, flags, "these are not the flags of a minor"))?,
        write_ordering: Known::Unknown(format!("{PATH} has no wo: for minor {number}")),
    };
    Ok(Minor { number, states })
}

/// What stands behind `cs:Unconfigured`, and what netlink tells of such a minor:
/// no disk, no network, and Secondary (drbd_proc.c).
pub fn unconfigured(number: u32) -> States {
    States {
        conn: Conn::Listed(0),
        role: Role::Secondary,
        peer_role: Role::Unknown,
        disk: DiskState::Diskless,
        peer_disk: DiskState::DUnknown,
        protocol: None,
        flags: Flags {
            suspended: false,
            after_other: false,
            peer_paused: false,
            user_paused: false,
            congestion: None,
            log_suspended: false,
        },
        write_ordering: Known::Unknown(format!("minor {number} is not configured")),
    }
}

/// A word of states, as the kernel writes them: nothing else comes near a message.
fn is_value(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-_".contains(&byte))
}

fn pair<'a>(text: &str, value: &'a str) -> Result<(&'a str, &'a str), Error> {
    let both = value.split_once('/').filter(|(one, other)| !one.is_empty() && !other.is_empty());
    both.ok_or_else(|| wrong(text, value, "here are not two states"))
}

fn conn(word: &str) -> Conn {
    match CONNS.iter().position(|known| *known == word) {
        Some(number) => Conn::Listed(number as u32),
        None => Conn::Other(word.into()),
    }
}

fn role_of(word: &str) -> Role {
    let known = (0..3).map(state84::role).find(|role| role.to_string() == word);
    known.unwrap_or_else(|| Role::Other(word.into()))
}

fn disk_of(word: &str) -> DiskState {
    let known = (0..9).map(state84::disk).find(|disk| disk.to_string() == word);
    known.unwrap_or_else(|| DiskState::Other(word.into()))
}

fn protocol(text: &str, letter: &str) -> Result<char, Error> {
    match letter.as_bytes() {
        [letter] if letter.is_ascii_alphabetic() => Ok(char::from(*letter)),
        _ => Err(wrong(text, letter, "this is not the letter of a protocol")),
    }
}

/// Six letters; 8.3.7 has five.
fn flags_of(word: &str) -> Option<Flags> {
    let letters: Vec<char> = word.chars().take(7).collect();
    let set = |at: usize, on: char, off: char| match letters.get(at) {
        Some(&letter) if letter == on => Some(true),
        Some(&letter) if letter == off => Some(false),
        _ => None,
    };
    let congestion = letters.get(4).copied().filter(char::is_ascii_graphic)?;
    Some(Flags {
        suspended: set(0, 's', 'r')?,
        after_other: set(1, 'a', '-')?,
        peer_paused: set(2, 'p', '-')?,
        user_paused: set(3, 'u', '-')?,
        congestion: Some(congestion).filter(|&letter| letter != '-'),
        log_suspended: letters.len() > 5 && set(5, 's', '-')?,
    })
    .filter(|_| letters.len() < 7)
}

/// `ns:0 nr:0 … wo:f oos:0`: how writes are ordered.
fn counters(words: &str, states: &mut States) {
    let letter = words.split_whitespace().find_map(|word| word.strip_prefix("wo:"));
    let Some(letter) = letter else { return };
    states.write_ordering = match letter {
        "n" => Known::Is(WriteOrdering::None),
        "d" => Known::Is(WriteOrdering::Drain),
        "f" => Known::Is(WriteOrdering::Flush),
        "b" => Known::Is(WriteOrdering::Barrier),
        other => Known::Unknown(format!("{PATH} tells wo:{}, known are n, d, f, b", one_line(other))),
    };
}

/// An error at `part`, which is a piece of `text`.
fn wrong(text: &str, part: &str, what: &str) -> Error {
    let offset = (part.as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
    Error::at(PATH, text, Place::of(text, offset), what)
}

#[cfg(test)]
#[path = "proc_tests.rs"]
mod tests;
