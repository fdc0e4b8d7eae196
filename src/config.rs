//! The administrator's settings: a TOML file, checked, and nothing else.
//!
//! A word that is not known is an error: a mistyped option must not silently
//! mean its default. Reads no file itself.

pub mod handlers;
mod words;

use crate::facts::NodeFacts;
use crate::facts::storage::Devices;
use crate::place::{self, Place};
use crate::rules::{Rule, Severity};
use anyhow::{Result, anyhow};
use handlers::{Fencing, Handlers, Policy};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;
use words::{ALL_RESOURCES, AbsolutePath, Argv, Bounded, Host, Level, ONE_RESOURCE, Reason, RuleLevels};

/// Where the file is, unless `--config` says otherwise.
pub const PATH: &str = "/etc/xen/block-drbd.toml";

/// What can be set. The shipped `etc/block-drbd.toml` holds every option at its default.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Settings {
    /// Seconds for which an add waits for what heals by itself, at most 20.
    healing_seconds: Bounded<0, 20>,
    /// Seconds for which an add waits for a peer that is being connected, at most 20.
    connecting_seconds: Bounded<0, 20>,
    /// Seconds for which the add of a guest that moves in asks the peer who has the disk there, at most 10;
    /// 0 does not ask.
    incoming_seconds: Bounded<0, 10>,
    /// Seconds that a flush may take before it proves nothing, 1 to 20.
    flush_seconds: Bounded<1, 20>,
    /// Whether a peer that is not known to keep what it has been sent refuses.
    strict: bool,
    /// Days after which what a peer said of itself is too old, 1 to 365.
    peer_facts_days: Bounded<1, 365>,
    /// The toolstack's program that acts on guests.
    xl: AbsolutePath,
    /// Severities, by rule.
    rules: RuleLevels<ALL_RESOURCES>,
    /// What the handlers of DRBD do.
    handlers: Handlers,
    /// How fence-peer fences.
    fencing: Fencing,
    /// What is set for one resource, by its name.
    resources: BTreeMap<String, ForResource>,
    /// Caches that survive a power cut.
    non_volatile: Vec<NonVolatile>,
    /// How a peer is asked, by its host name in drbd.conf.
    peers: BTreeMap<String, AskPeer>,
}

/// What is set for one resource.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
struct ForResource {
    /// Severities, by rule.
    rules: RuleLevels<ONE_RESOURCE>,
    /// What the handlers of DRBD do.
    handlers: Handlers,
    /// How fence-peer fences.
    fencing: Fencing,
}

/// A cache that the administrator vouches for: what it has taken survives a power cut.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct NonVolatile {
    /// The host that it is in.
    host: Host,
    /// The device, by a name that stays: device mapper name, serial number, wwid, or the kernel's own name.
    device: String,
    /// Why: what makes it survive.
    reason: Reason,
}

/// How a peer is asked for its facts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct AskPeer {
    /// A program and its arguments, no shell, whose output is that of `block-drbd facts --json` on the peer.
    command: Argv,
    /// The same, for what marks the disk of a resource Outdated on the peer; its name comes last.
    outdate_command: Option<Argv>,
    /// The same, for what notes on the peer that a guest is about to move in; its uuid and volumes come last.
    expect_command: Option<Argv>,
}

impl AskPeer {
    /// The program and its arguments.
    pub fn command(&self) -> &[String] {
        &self.command.0
    }

    /// What outdates a resource on the peer, without the resource.
    pub fn outdate_command(&self) -> Option<&[String]> {
        self.outdate_command.as_ref().map(|command| command.0.as_slice())
    }

    /// What announces a guest on the peer, without the guest.
    pub fn expect_command(&self) -> Option<&[String]> {
        self.expect_command.as_ref().map(|command| command.0.as_slice())
    }
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            healing_seconds: Bounded(3),
            // A peer that boots is tried again each connect-int, 10 s, and then has to answer a ping.
            connecting_seconds: Bounded(12),
            incoming_seconds: Bounded(2),
            flush_seconds: Bounded(5),
            strict: false,
            peer_facts_days: Bounded(7),
            xl: AbsolutePath("/usr/sbin/xl".into()),
            handlers: Handlers::default(),
            fencing: Fencing::default(),
            rules: RuleLevels::default(),
            resources: BTreeMap::new(),
            non_volatile: Vec::new(),
            peers: BTreeMap::new(),
        }
    }
}

impl Settings {
    /// Reads the text of `path`; the error names the line and the column, and shows the line.
    pub fn parse(path: &str, text: &str) -> Result<Settings> {
        toml::from_str(text).map_err(|error| {
            let offset = error.span().map_or(0, |span| span.start);
            anyhow!(place::render(path, text, Place::of(text, offset), error.message()))
        })
    }

    /// How long what heals by itself is waited for.
    pub fn healing(&self) -> Duration {
        Duration::from_secs(self.healing_seconds.0)
    }

    /// How long a peer that is being connected is waited for.
    pub fn connecting(&self) -> Duration {
        Duration::from_secs(self.connecting_seconds.0)
    }

    /// How long the peer is asked about a guest that moves in.
    pub fn incoming(&self) -> Duration {
        Duration::from_secs(self.incoming_seconds.0)
    }

    /// How long a flush may take.
    pub fn flush(&self) -> Duration {
        Duration::from_secs(self.flush_seconds.0)
    }

    /// How old what a peer said may be, in seconds.
    pub fn oldest_peer_facts(&self) -> u64 {
        self.peer_facts_days.0 * 86_400
    }

    /// How each peer is asked, by its host name.
    pub fn peers(&self) -> &BTreeMap<String, AskPeer> {
        &self.peers
    }

    /// The path of xl.
    pub fn xl(&self) -> &str {
        &self.xl.0
    }

    /// What the handlers do for `resource`; for one whose name is not known, what they do for all.
    pub fn handling(&self, resource: Option<&str>) -> Policy {
        let none = ForResource::default();
        let own = resource.and_then(|resource| self.resources.get(resource)).unwrap_or(&none);
        Policy::new([&own.handlers, &self.handlers], [&own.fencing, &self.fencing])
    }

    /// How grave `rule` is for `resource`, and why that was lowered.
    pub fn severity(&self, rule: &Rule, resource: Option<&str>) -> (Severity, Option<String>) {
        let own = resource.and_then(|resource| self.resources.get(resource)).map(|own| &own.rules);
        let level = own.and_then(|levels| levels.get(rule.id)).or_else(|| self.rules.get(rule.id));
        match level {
            Some(Level { severity, reason }) => {
                let lowered = reason.clone().filter(|_| *severity < rule.severity);
                (*severity, lowered.map(|reason| reason.0))
            }
            None if self.strict && rule.id == "peer-durability-unknown" => (Severity::Refuse, None),
            None => (rule.severity, None),
        }
    }

    /// Notes at each device of `host` why its cache survives a power cut, where that is asserted.
    pub fn vouch(&self, host: &str, devices: &mut Devices) {
        for (name, device) in devices {
            let of = |entry: &&NonVolatile| {
                entry.host.0 == host && (entry.device == *name || device.names.contains(&entry.device))
            };
            if let Some(entry) = self.non_volatile.iter().find(of) {
                device.non_volatile = Some(entry.reason.0.clone());
            }
        }
    }

    /// The same for everything that a host has told of itself.
    pub fn vouch_for(&self, facts: &mut NodeFacts) {
        if let Some(host) = facts.node.host.value() {
            self.vouch(host, &mut facts.devices);
        }
    }
}

#[cfg(test)]
mod tests;
