//! What the handlers of DRBD do: `[handlers]` and `[fencing]`, and the same for one resource.
//!
//! An option that is not set for a resource is that of all resources, and then its default.

use super::words::{Bounded, Program, Reason};
use crate::event::drbd::EventName;
use crate::facts::Act;
use serde::Deserialize;
use serde::de::{Deserializer, Error};
use std::time::Duration;

/// Whether a resync may overwrite data that a guest of this host uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnderGuest {
    /// No: the handler refuses, and DRBD drops the connection.
    Refuse,
    /// Yes, what is here may go.
    Allow,
}

/// `[handlers]`: each event with its act, snapshots, notification.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Handlers {
    split_brain: Option<Act>,
    pri_lost: Option<Act>,
    pri_lost_after_sb: Option<Act>,
    pri_on_incon_degr: Option<Act>,
    local_io_error: Option<Act>,
    quorum_lost: Option<Act>,
    resync_under_guest: Option<UnderGuest>,
    snapshot_percent: Option<Bounded<0, 100>>,
    notify: Option<Program>,
    notify_seconds: Option<Bounded<1, 600>>,
}

/// `[fencing]`: how fence-peer finds out that the peer is no danger.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Fencing {
    budget_seconds: Option<Bounded<1, 300>>,
    methods: Option<Methods>,
}

/// One way to find out.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "method", deny_unknown_fields, rename_all = "kebab-case")]
pub enum Method {
    /// The peer is asked over `[peers.NAME]`, and outdated there.
    AskPeer {},
    /// A program that answers with DRBD's exit codes.
    #[serde(rename_all = "kebab-case")]
    Program {
        /// The program and its arguments; it gets DRBD's variables.
        command: Program,
        /// Why its answer 5 (the peer is down) is to be believed; without it that is no answer.
        believe_down: Option<Reason>,
        /// What takes back what it has done, run for unfence-peer.
        unfence: Option<Program>,
    },
    /// A peer about which nothing else was found out is taken for down.
    AssumeDown {
        /// Why that may be assumed.
        reason: Reason,
    },
}

/// Methods, in the order in which they are tried.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Methods(Vec<Method>);

impl<'de> Deserialize<'de> for Methods {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let methods = Vec::<Method>::deserialize(deserializer)?;
        let assumed = methods.iter().position(|method| matches!(method, Method::AssumeDown { .. }));
        match assumed.is_some_and(|at| at + 1 < methods.len()) {
            true => Err(Error::custom("assume-down must be the last method: it never fails")),
            false => Ok(Methods(methods)),
        }
    }
}

/// What holds for one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    acts: [Act; 6],
    /// Whether a resync may overwrite data that a guest uses.
    pub resync_under_guest: UnderGuest,
    /// How large a snapshot of a volume is that is taken before a resync, in percent of it; 0: none is taken.
    pub snapshot_percent: u64,
    /// What is run to tell somebody, and how long it may take.
    pub notify: Option<(Vec<String>, Duration)>,
    /// How long fence-peer may take until it answers.
    pub budget: Duration,
    /// What it tries.
    pub methods: Vec<Method>,
}

/// The events on which something can be done to guests, and what is by default: the smallest
/// act that is safe. etc/block-drbd.toml says why.
const DEFAULTS: [(EventName, Act); 6] = [
    (EventName::SplitBrain, Act::Record),
    (EventName::PriLost, Act::Pause),
    (EventName::PriLostAfterSb, Act::Pause),
    (EventName::PriOnInconDegr, Act::Record),
    (EventName::LocalIoError, Act::Record),
    (EventName::QuorumLost, Act::Record),
];

impl Policy {
    /// Out of what is set for one resource and for all.
    pub fn new(handlers: [&Handlers; 2], fencing: [&Fencing; 2]) -> Policy {
        let act = |(event, default): (EventName, Act)| {
            handlers.iter().find_map(|handlers| handlers.act(event)).unwrap_or(default)
        };
        let notify = handlers.iter().find_map(|handlers| handlers.notify.as_ref());
        let seconds = |value: Option<u64>, default| Duration::from_secs(value.unwrap_or(default));
        let notify_seconds =
            handlers.iter().find_map(|handlers| handlers.notify_seconds).map(|seconds| seconds.0);
        Policy {
            acts: DEFAULTS.map(act),
            resync_under_guest: handlers
                .iter()
                .find_map(|handlers| handlers.resync_under_guest)
                .unwrap_or(UnderGuest::Refuse),
            snapshot_percent: handlers
                .iter()
                .find_map(|handlers| handlers.snapshot_percent)
                .map_or(0, |percent| percent.0),
            notify: notify.map(|program| (program.words().to_vec(), seconds(notify_seconds, 60))),
            budget: seconds(
                fencing.iter().find_map(|fencing| fencing.budget_seconds).map(|seconds| seconds.0),
                30,
            ),
            methods: fencing
                .iter()
                .find_map(|fencing| fencing.methods.clone())
                .map_or_else(Vec::new, |methods| methods.0),
        }
    }

    /// What is done to the guests on this event.
    pub fn act(&self, event: EventName) -> Act {
        let place = DEFAULTS.iter().position(|(known, _)| *known == event);
        place.map_or(Act::Record, |place| self.acts[place])
    }
}

impl Handlers {
    fn act(&self, event: EventName) -> Option<Act> {
        match event {
            EventName::SplitBrain => self.split_brain,
            EventName::PriLost => self.pri_lost,
            EventName::PriLostAfterSb => self.pri_lost_after_sb,
            EventName::PriOnInconDegr => self.pri_on_incon_degr,
            EventName::LocalIoError => self.local_io_error,
            EventName::QuorumLost => self.quorum_lost,
            _ => None,
        }
    }
}
