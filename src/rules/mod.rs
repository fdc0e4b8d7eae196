//! When a guest may have a volume, and why not.
//!
//! Pure: a rule reads [`Facts`] and nothing else. To add a rule: a file
//! `src/rules/its_id.rs` with its reason, its remedy, its check and its rows in
//! `tests/`, its line in [`ALL`], its row in the README, and one scenario in
//! which it fires and one in which it does not.

mod al_updates_off;
mod backend;
mod barrier_era;
mod bypass;
mod cache_view;
mod data_integrity_alg;
pub mod disk_line;
mod disk_state;
mod disk_timeout;
mod diskless;
mod fencing_handler;
mod flush_probe;
mod guest_barrier_off;
mod handler_broken;
mod handler_entry;
mod handler_one_node;
pub mod held;
mod hvm_era;
pub mod incoming;
pub mod incoming_unproven;
mod io_suspended;
mod md_flushes_off;
mod mounted;
mod no_quorum;
mod on_io_error;
mod on_no_data;
mod other_guest;
mod peer_durability_unknown;
mod peer_newer;
mod peer_primary;
mod peer_unfenced;
mod protocol;
mod pygrub_era;
mod quarantined;
mod resource_name;
pub mod resource_shared;
mod resource_unknown;
mod resync_target;
mod same_uuid;
mod script;
mod sendpage;
mod shared_between_configs;
pub mod side;
mod standalone;
mod swap;
mod target_options;
#[cfg(test)]
pub(crate) mod tests;
mod two_primaries;
mod unreplicated_disk;
mod usermode_helper;
mod verdict;
mod volume;
mod write_order_downgraded;
mod write_order_drain;
mod write_order_none;

pub use verdict::{Finding, Verdict, evaluate, evaluate_guest};

use crate::facts::Facts;
use crate::guest::GuestFacts;
use disk_line::DiskLine;
use serde::{Deserialize, Serialize};
use side::{Peer, Side};

/// One thing that can stand against giving a volume to a guest.
pub struct Rule {
    /// Its name, which never changes.
    pub id: &'static str,
    /// What it protects.
    pub group: Group,
    /// How grave it is, unless the settings say otherwise.
    pub severity: Severity,
    /// Which settings can make it less grave.
    pub lowering: Lowering,
    /// Why it exists, in one sentence.
    pub reason: &'static str,
    /// What to do when it fires, in general.
    pub remedy: &'static str,
    /// Looks at the facts.
    pub check: Check,
}

/// What a rule protects; the parts of design.md section 6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Group {
    /// The device is free for one guest.
    Use,
    /// One writer, on the newest data.
    Replication,
    /// A flush means something, on both nodes.
    Durability,
    /// The guest's configuration goes through this gate at all.
    Configuration,
}

/// Which settings can make a rule less grave than it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lowering {
    /// None: what it refuses destroys data for certain.
    Never,
    /// Only those of one resource: each is a risk of its own, to be taken with open eyes.
    ForOneResource,
    /// Those of one resource, and those for all.
    Anywhere,
}

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// To know.
    Info,
    /// To mend; the guest starts.
    Warn,
    /// The guest does not start.
    Refuse,
}

/// What a rule looks at, each time it is asked.
#[derive(Clone, Copy)]
pub enum Check {
    /// The volume and everything around it, once.
    Volume(fn(&Facts) -> Judgement),
    /// One node's half of the volume: this node's, and each peer's as it last told. Roles swap.
    Side(fn(&Side) -> Judgement),
    /// One connection and what its peer last said.
    Peer(fn(&Peer) -> Judgement),
    /// One disk of a domain configuration.
    Disk(fn(&DiskLine) -> Judgement),
    /// A domain configuration, once.
    Guest(fn(&GuestFacts) -> Judgement),
    /// The volume and everything around it, and a domain configuration: what guests of this host do,
    /// and what the configuration would have them do.
    VolumeAndGuest(fn(&Facts) -> Judgement, fn(&GuestFacts) -> Judgement),
}

/// What a rule says of some facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// There is nothing against it, or the rule has nothing to look at
    /// because an earlier one refuses already.
    Pass,
    /// Something stands against it.
    Found(Found),
}

/// What a rule has found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Found {
    /// What is wrong: a clause with the names, lower case.
    pub message: String,
    /// What to do about it: a clause with the command.
    pub remedy: String,
    /// The device that it is about, where it is about one: on a node by kernel name, of a
    /// domain configuration by `vdev`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Whether it could not be found out, rather than being known to be wrong.
    pub unknown: bool,
    /// Whether it may pass by itself, so that waiting is worth it.
    #[serde(skip)]
    pub heals: Heals,
    /// How grave this case can be at most, whatever the rule's severity.
    #[serde(skip)]
    pub at_most: Severity,
}

/// Whether something passes by itself, and how patiently to wait for that. The later, the longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Heals {
    /// It does not.
    Never,
    /// Within seconds: somebody is just closing or demoting it.
    Soon,
    /// When the peer is reached, which may just be booting, or has sent what is missing here.
    Connecting,
}

/// Every rule; a rule may rely on those before it.
pub const ALL: &[Rule] = &[
    resource_name::RULE,
    resource_unknown::RULE,
    volume::RULE,
    peer_primary::RULE,
    incoming::RULE,
    incoming_unproven::RULE,
    two_primaries::RULE,
    peer_newer::RULE,
    disk_state::RULE,
    resync_target::RULE,
    no_quorum::RULE,
    standalone::RULE,
    peer_unfenced::RULE,
    io_suspended::RULE,
    quarantined::RULE,
    fencing_handler::RULE,
    usermode_helper::RULE,
    handler_broken::RULE,
    handler_one_node::RULE,
    mounted::RULE,
    swap::RULE,
    held::RULE,
    other_guest::RULE,
    resource_shared::RULE,
    barrier_era::RULE,
    diskless::RULE,
    write_order_none::RULE,
    write_order_downgraded::RULE,
    write_order_drain::RULE,
    md_flushes_off::RULE,
    al_updates_off::RULE,
    cache_view::RULE,
    protocol::RULE,
    flush_probe::RULE,
    peer_durability_unknown::RULE,
    disk_timeout::RULE,
    data_integrity_alg::RULE,
    sendpage::RULE,
    on_io_error::RULE,
    on_no_data::RULE,
    bypass::RULE,
    target_options::RULE,
    backend::RULE,
    script::RULE,
    pygrub_era::RULE,
    hvm_era::RULE,
    guest_barrier_off::RULE,
    unreplicated_disk::RULE,
    shared_between_configs::RULE,
    same_uuid::RULE,
];

/// The rule of that name.
pub fn find(id: &str) -> Option<&'static Rule> {
    ALL.iter().find(|rule| rule.id == id)
}

impl Judgement {
    /// The same, about one device of the node.
    fn about(self, device: &str) -> Judgement {
        match self {
            Judgement::Found(found) => Judgement::Found(Found { device: Some(device.into()), ..found }),
            Judgement::Pass => Judgement::Pass,
        }
    }

    /// The same, as no more than `severity`.
    fn at_most(self, severity: Severity) -> Judgement {
        match self {
            Judgement::Found(found) => Judgement::Found(Found { at_most: severity, ..found }),
            Judgement::Pass => Judgement::Pass,
        }
    }
}

fn found(message: String, remedy: String) -> Found {
    Found { message, remedy, device: None, unknown: false, heals: Heals::Never, at_most: Severity::Refuse }
}

/// A finding of what is known to be wrong.
fn refuse(message: String, remedy: String) -> Judgement {
    Judgement::Found(found(message, remedy))
}

/// A finding of what may pass by itself within seconds.
fn refuse_for_now(message: String, remedy: String) -> Judgement {
    Judgement::Found(Found { heals: Heals::Soon, ..found(message, remedy) })
}

/// A finding of what may pass when the peer is reached.
fn refuse_while_connecting(message: String, remedy: String) -> Judgement {
    Judgement::Found(Found { heals: Heals::Connecting, ..found(message, remedy) })
}

/// A finding that is waited for and then stands against nothing: with the peer connected DRBD knows whose
/// data is newer, and without it DRBD asks the fence-peer handler.
fn wait_then_allow(message: String, remedy: String) -> Judgement {
    refuse_while_connecting(message, remedy).at_most(Severity::Info)
}

/// A finding of what could not be found out yet, and may be known within seconds.
fn unknown_for_now(what: &str, why: &str, remedy: String) -> Judgement {
    match unknown(what, why, remedy) {
        Judgement::Found(found) => Judgement::Found(Found { heals: Heals::Soon, ..found }),
        Judgement::Pass => Judgement::Pass,
    }
}

/// A finding of what could not be found out.
fn unknown(what: &str, why: &str, remedy: String) -> Judgement {
    Judgement::Found(Found { unknown: true, ..found(format!("{what} is unknown: {why}"), remedy) })
}
