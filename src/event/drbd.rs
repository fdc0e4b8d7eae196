//! What DRBD says to its handler, out of the environment: drbdadm's variables, and those of the
//! kernel that it passes on.
//!
//! Pure: `event.rs` hands in the variables. What could be anything else than what DRBD writes is
//! refused, because names go into paths and messages, and all of it goes to fencing programs.

use crate::target::Target;
use anyhow::{Context, Result, anyhow, bail, ensure};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

/// The variables that DRBD sets, by name.
pub type Variables = BTreeMap<String, String>;

/// What DRBD calls a handler for: the words of `handlers { }` in drbd.conf(5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventName {
    /// The peer is lost, or unknown at a promotion: see to it that it is no danger.
    FencePeer,
    /// The peer is up to date again: what fenced it may go.
    UnfencePeer,
    /// This node is about to be overwritten with the peer's data.
    BeforeResyncTarget,
    /// The peer is about to be overwritten with this node's data.
    BeforeResyncSource,
    /// This node has been overwritten with the peer's data.
    AfterResyncTarget,
    /// An online verify has found blocks that differ.
    OutOfSync,
    /// Both sides have written apart; DRBD is about to try its after-sb policies.
    InitialSplitBrain,
    /// Both sides have written apart, and DRBD does not mend it.
    SplitBrain,
    /// A Primary whose data is older than the peer's.
    PriLost,
    /// A Primary whose data is discarded after a split brain.
    PriLostAfterSb,
    /// A Primary without access to good data.
    PriOnInconDegr,
    /// The local disk has failed a request.
    LocalIoError,
    /// A Primary has lost its quorum (DRBD 9).
    QuorumLost,
    /// A connection has been closed (DRBD 9).
    Disconnected,
}

/// Each event of DRBD 8.3, 8.4 and 9 by its name in drbd.conf (drbd-utils, drbdadm_main.c: khelper).
pub const NAMES: [(&str, EventName); 15] = [
    ("fence-peer", EventName::FencePeer),
    // The name before 8.3, which drbdadm still takes.
    ("outdate-peer", EventName::FencePeer),
    ("unfence-peer", EventName::UnfencePeer),
    ("before-resync-target", EventName::BeforeResyncTarget),
    ("before-resync-source", EventName::BeforeResyncSource),
    ("after-resync-target", EventName::AfterResyncTarget),
    ("out-of-sync", EventName::OutOfSync),
    ("initial-split-brain", EventName::InitialSplitBrain),
    ("split-brain", EventName::SplitBrain),
    ("pri-lost", EventName::PriLost),
    ("pri-lost-after-sb", EventName::PriLostAfterSb),
    ("pri-on-incon-degr", EventName::PriOnInconDegr),
    ("local-io-error", EventName::LocalIoError),
    ("quorum-lost", EventName::QuorumLost),
    ("disconnected", EventName::Disconnected),
];

impl EventName {
    /// The event of that name.
    pub fn parse(name: &str) -> Option<EventName> {
        NAMES.iter().find(|(known, _)| *known == name).map(|(_, event)| *event)
    }
}

/// The name of today.
impl fmt::Display for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAMES.iter().find(|(_, event)| event == self).map_or("", |(name, _)| name))
    }
}

/// What an event is about, as the environment names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A resource by its name.
    Resource(String),
    /// One volume by its minor: what the kernel of 8.x passes (`minor-N`).
    Minor(u32),
}

/// One call of a handler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrbdEvent {
    /// What happened.
    pub name: EventName,
    /// To what (DRBD_RESOURCE).
    pub subject: Subject,
    /// The minors concerned, where DRBD says so (DRBD_MINOR, a list; 9: DRBD_MINOR_VOLUME).
    pub minors: Vec<u32>,
    /// Their volume numbers (DRBD_VOLUME, a list).
    pub volumes: Vec<u32>,
    /// Their backing devices (DRBD_LL_DISK, a list; 9: DRBD_BACKING_DEV).
    pub disks: Vec<String>,
    /// The peer's host name, where there is one peer (8.x: DRBD_PEERS, DRBD_PEER; 9: DRBD_NODE_ID_N
    /// of DRBD_PEER_NODE_ID).
    pub peer: Option<String>,
    /// The peer's address (DRBD_PEER_ADDRESS).
    pub peer_address: Option<IpAddr>,
    /// The state of the connection (9: DRBD_CSTATE).
    pub cstate: Option<String>,
    /// All of it, for programs that expect what DRBD's own handlers get.
    pub variables: Variables,
}

/// The longest value that DRBD has any use for, in bytes.
const LONGEST: usize = 4096;
/// The largest minor (MINORBITS is 20).
const LAST_MINOR: u32 = (1 << 20) - 1;
/// The largest volume number (DRBD_VOLUME_MAX).
const LAST_VOLUME: u32 = 65_534;

impl DrbdEvent {
    /// Reads an event of this name.
    pub fn read(name: EventName, variables: Variables) -> Result<DrbdEvent> {
        for (variable, value) in &variables {
            let plain = value.len() <= LONGEST && value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
            ensure!(plain, "{variable} is not printable text of at most {LONGEST} bytes");
        }
        let resource = value(&variables, "DRBD_RESOURCE").ok_or_else(|| {
            anyhow!("DRBD_RESOURCE is not set; drbdadm calls the handler {name} with it, from handlers {{ }} in drbd.conf")
        })?;
        Ok(DrbdEvent {
            name,
            subject: subject(resource)?,
            minors: minors(&variables)?,
            volumes: numbers(&variables, "DRBD_VOLUME", LAST_VOLUME)?,
            disks: disks(&variables)?,
            peer: peer(&variables)?,
            peer_address: address(&variables)?,
            cstate: value(&variables, "DRBD_CSTATE").map(word).transpose()?,
            variables,
        })
    }
}

/// A variable that is set to something.
fn value<'a>(variables: &'a Variables, name: &str) -> Option<&'a str> {
    variables.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
}

fn subject(text: &str) -> Result<Subject> {
    if let Some(number) = text.strip_prefix("minor-") {
        let minor = self::number(number, LAST_MINOR);
        return minor.map(Subject::Minor).with_context(|| format!("DRBD_RESOURCE {text:?} names no minor"));
    }
    match Target::parse(text.as_bytes()) {
        Ok(target) if target.resource == text => Ok(Subject::Resource(target.resource)),
        Ok(_) => bail!("DRBD_RESOURCE {text:?} is not the name of a resource alone"),
        Err(why) => bail!("DRBD_RESOURCE {text:?} is not the name of a resource: {why}"),
    }
}

fn minors(variables: &Variables) -> Result<Vec<u32>> {
    let mut minors = numbers(variables, "DRBD_MINOR", LAST_MINOR)?;
    let numbered = |name: &&String| {
        name.strip_prefix("DRBD_MINOR_").is_some_and(|volume| number(volume, LAST_VOLUME).is_some())
    };
    for name in variables.keys().filter(numbered) {
        for minor in numbers(variables, name, LAST_MINOR)? {
            // In drbdadm's order: the backing devices are listed in the same.
            if !minors.contains(&minor) {
                minors.push(minor);
            }
        }
    }
    Ok(minors)
}

/// A list of numbers separated by spaces.
fn numbers(variables: &Variables, name: &str, last: u32) -> Result<Vec<u32>> {
    let words = value(variables, name).unwrap_or_default().split_whitespace();
    words
        .map(|word| number(word, last).with_context(|| format!("{name} has {word:?}, which is none")))
        .collect()
}

fn number(text: &str, last: u32) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| digits && *number <= last)
}

/// The backing devices; a volume without one is an empty word or `none`.
fn disks(variables: &Variables) -> Result<Vec<String>> {
    let listed = value(variables, "DRBD_LL_DISK").or_else(|| value(variables, "DRBD_BACKING_DEV"));
    let words = listed.unwrap_or_default().split_whitespace().filter(|word| *word != "none");
    let check = |word: &str| {
        ensure!(
            word.starts_with("/dev/") && !word.split('/').any(|part| part == ".."),
            "the backing device {word:?} is not below /dev"
        );
        Ok(word.to_string())
    };
    words.map(check).collect()
}

fn peer(variables: &Variables) -> Result<Option<String>> {
    let by_node_id = || {
        let id = number(value(variables, "DRBD_PEER_NODE_ID")?, 31)?;
        value(variables, &format!("DRBD_NODE_ID_{id}"))
    };
    let by_name = || value(variables, "DRBD_PEERS").or_else(|| value(variables, "DRBD_PEER"));
    let named = by_node_id().or_else(by_name).unwrap_or_default();
    let [name] = named.split_whitespace().collect::<Vec<_>>()[..] else { return Ok(None) };
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte));
    ensure!(
        plain && !name.starts_with(['-', '.']) && name.len() <= 255,
        "DRBD_PEERS {name:?} is no host name"
    );
    Ok(Some(name.to_string()))
}

fn address(variables: &Variables) -> Result<Option<IpAddr>> {
    let Some(text) = value(variables, "DRBD_PEER_ADDRESS") else { return Ok(None) };
    let parsed = text.parse().with_context(|| format!("DRBD_PEER_ADDRESS {text:?} is no address"));
    parsed.map(Some)
}

fn word(text: &str) -> Result<String> {
    ensure!(text.bytes().all(|byte| byte.is_ascii_alphanumeric()), "DRBD_CSTATE {text:?} is no state");
    Ok(text.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: EventName, text: &[(&str, &str)]) -> Result<DrbdEvent> {
        DrbdEvent::read(
            name,
            text.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
        )
    }

    #[test]
    fn a_name_is_an_event_and_back() {
        for (name, event) in NAMES {
            assert_eq!(EventName::parse(name), Some(event));
            assert!(event.to_string() == name || name == "outdate-peer", "{name}");
            assert_eq!(serde_json::to_string(&event).unwrap(), format!("\"{event}\""));
        }
        for name in ["", "fence_peer", "Fence-Peer", "fence-peer ", "reboot"] {
            assert_eq!(EventName::parse(name), None, "{name}");
        }
    }

    #[test]
    fn every_generation_is_understood() {
        let event = read(
            EventName::SplitBrain,
            &[
                ("DRBD_RESOURCE", "r0"),
                ("DRBD_MINOR", "3"),
                ("DRBD_VOLUME", "0"),
                ("DRBD_PEER_ADDRESS", "10.0.0.2"),
                ("DRBD_PEER_AF", "ipv4"),
                ("DRBD_PEERS", "b"),
                ("DRBD_LL_DISK", "/dev/vg/lv"),
            ],
        )
        .unwrap();
        assert_eq!(event.subject, Subject::Resource("r0".into()));
        assert_eq!((event.minors, event.volumes, event.disks), (vec![3], vec![0], vec!["/dev/vg/lv".into()]));
        assert_eq!((event.peer.as_deref(), event.peer_address), (Some("b"), "10.0.0.2".parse().ok()));
        let event = read(
            EventName::Disconnected,
            &[
                ("DRBD_RESOURCE", "r0"),
                ("DRBD_MINOR", " 4 3 "),
                ("DRBD_MINOR_0", "3"),
                ("DRBD_MINOR_7", "5"),
                ("DRBD_PEER_NODE_ID", "1"),
                ("DRBD_NODE_ID_0", "a"),
                ("DRBD_NODE_ID_1", "b.example"),
                ("DRBD_CSTATE", "NetworkFailure"),
                ("DRBD_PEER_ADDRESS", "fe80:0000:0000:0000:0000:0000:0000:0001"),
            ],
        )
        .unwrap();
        assert_eq!((event.minors, event.peer.as_deref()), (vec![4, 3, 5], Some("b.example")));
        assert_eq!(event.cstate.as_deref(), Some("NetworkFailure"));
        let old =
            read(EventName::LocalIoError, &[("DRBD_RESOURCE", "minor-3"), ("DRBD_PEERS", "b c")]).unwrap();
        assert_eq!((old.subject, old.peer), (Subject::Minor(3), None));
        let bare = read(
            EventName::PriLost,
            &[("DRBD_RESOURCE", "r0"), ("DRBD_MINOR", ""), ("DRBD_LL_DISK", "none")],
        );
        let bare = bare.unwrap();
        assert!(bare.minors.is_empty() && bare.disks.is_empty() && bare.peer.is_none());
    }

    #[test]
    fn everything_else_is_refused_with_its_reason() {
        for (name, value, reason) in [
            ("DRBD_RESOURCE", "", "DRBD_RESOURCE is not set"),
            ("DRBD_RESOURCE", "all", "every resource"),
            ("DRBD_RESOURCE", "-r0", "must begin with"),
            ("DRBD_RESOURCE", "../r0", "must begin with"),
            ("DRBD_RESOURCE", "r0/0", "alone"),
            ("DRBD_RESOURCE", "drbd:r0", "alone"),
            ("DRBD_RESOURCE", "r0;reboot", "only letters"),
            ("DRBD_RESOURCE", "r\u{1b}[2J", "printable"),
            ("DRBD_RESOURCE", "minor-", "names no minor"),
            ("DRBD_RESOURCE", "minor-1048576", "names no minor"),
            ("DRBD_MINOR", "3 x", "has \"x\""),
            ("DRBD_MINOR", "-1", "has \"-1\""),
            ("DRBD_MINOR", "+1", "has \"+1\""),
            ("DRBD_MINOR_0", "1048576", "has \"1048576\""),
            ("DRBD_VOLUME", "65535", "has \"65535\""),
            ("DRBD_LL_DISK", "/etc/passwd", "not below /dev"),
            ("DRBD_LL_DISK", "/dev/../etc/passwd", "not below /dev"),
            ("DRBD_PEERS", "-oProxyCommand=x", "no host name"),
            ("DRBD_PEERS", "b;x", "no host name"),
            ("DRBD_PEER_ADDRESS", "10.0.0", "no address"),
            ("DRBD_CSTATE", "a b", "no state"),
            ("DRBD_CONF", "/etc/drbd.conf\n", "printable"),
            ("UP_TO_DATE_NODES", &"0".repeat(4097), "printable"),
        ] {
            let mut all = vec![("DRBD_RESOURCE", "r0")];
            all.retain(|(other, _)| *other != name);
            all.push((name, value));
            let error = read(EventName::FencePeer, &all).unwrap_err().to_string();
            assert!(error.contains(reason), "{name}={value:?}: {error}");
        }
    }
}
