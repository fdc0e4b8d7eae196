//! All rules asked, with the severity that the settings give them.

use super::disk_line::DiskLine;
use super::side::{Peer, Side};
use super::{ALL, Check, Found, Heals, Judgement, Rule, Severity};
use crate::config::Settings;
use crate::facts::Facts;
use crate::guest::GuestFacts;
use serde::Serialize;

/// What a rule has found, and how grave it is here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule's id.
    pub rule: &'static str,
    /// How grave it is.
    pub severity: Severity,
    /// The resource or volume that it is about, where it is about one.
    pub resource: Option<String>,
    /// The node that it is about, where it is about one.
    pub node: Option<String>,
    /// What it says.
    #[serde(flatten)]
    pub found: Found,
    /// Why the administrator has lowered the rule, where he has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lowered: Option<String>,
}

/// Whether the guest may have the volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[must_use]
pub struct Verdict {
    /// Everything found, in the order of [`ALL`].
    pub findings: Vec<Finding>,
}

/// Asks every rule about a volume, on this node and on every peer that has told.
pub fn evaluate(facts: &Facts, settings: &Settings) -> Verdict {
    let sides = Side::all(facts);
    let peers = Peer::all(facts, settings);
    let target = facts.target.as_ref().ok();
    let mut findings = Vec::new();
    for rule in ALL {
        let asked: Vec<(Option<&str>, Judgement)> = match rule.check {
            Check::Volume(check) | Check::VolumeAndGuest(check, _) => vec![(None, check(facts))],
            Check::Side(check) => sides.iter().map(|side| (Some(side.name), check(side))).collect(),
            Check::Peer(check) => peers.iter().map(|peer| (Some(peer.name()), check(peer))).collect(),
            Check::Disk(_) | Check::Guest(_) => Vec::new(),
        };
        for (node, judgement) in asked {
            let found = finding(rule, judgement, target.map(|target| target.resource.as_str()), settings);
            let (node, resource) = (node.map(str::to_string), target.map(ToString::to_string));
            findings.extend(found.map(|found| Finding { node, resource, ..found }));
        }
    }
    Verdict { findings }
}

/// Asks every rule about a domain configuration; its volumes are asked about one by one.
pub fn evaluate_guest(guest: &GuestFacts, settings: &Settings) -> Verdict {
    let lines = DiskLine::all(guest);
    let mut findings = Vec::new();
    for rule in ALL {
        match rule.check {
            Check::Disk(check) => {
                let of = |line: &DiskLine| finding(rule, about(line, check(line)), line.resource(), settings);
                findings.extend(lines.iter().filter_map(of));
            }
            Check::Guest(check) | Check::VolumeAndGuest(_, check) => {
                findings.extend(finding(rule, check(guest), None, settings));
            }
            Check::Volume(_) | Check::Side(_) | Check::Peer(_) => {}
        }
    }
    Verdict { findings }
}

fn about(line: &DiskLine, judgement: Judgement) -> Judgement {
    match &line.disk.vdev {
        Some(vdev) => judgement.about(vdev),
        None => judgement,
    }
}

/// Puts the severity to what a rule says of a resource.
fn finding(
    rule: &Rule,
    judgement: Judgement,
    resource: Option<&str>,
    settings: &Settings,
) -> Option<Finding> {
    let Judgement::Found(found) = judgement else { return None };
    let (severity, lowered) = settings.severity(rule, resource);
    let severity = severity.min(found.at_most);
    let resource = resource.map(str::to_string);
    Some(Finding { rule: rule.id, severity, resource, node: None, found, lowered })
}

impl Verdict {
    /// What stands against it, in the order of [`ALL`].
    pub fn refusals(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.severity == Severity::Refuse)
    }

    /// Whether nothing stands against it.
    pub fn allows(&self) -> bool {
        self.refusals().next().is_none()
    }

    /// Whether nothing is known to be wrong, and something could not be found out.
    pub fn is_unknown(&self) -> bool {
        !self.allows() && self.refusals().all(|finding| finding.found.unknown)
    }

    /// How patiently to wait until everything that stands against it has passed by itself; where nothing
    /// does, until what a rule waits for before it allows.
    pub fn heals(&self) -> Heals {
        let refused = self.refusals().map(|finding| finding.found.heals).min();
        // What the settings have lowered is not waited for: the rule itself would refuse it.
        let allowed = self.findings.iter().filter(|finding| finding.found.at_most < Severity::Refuse);
        let awaited = allowed.map(|finding| finding.found.heals).max();
        refused.or(awaited).unwrap_or(Heals::Never)
    }
}
