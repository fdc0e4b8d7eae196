//! The rules for people: the list, and one explained.

use super::one_line;
use crate::config::Settings;
use crate::rules::{Group, Lowering, Rule, Severity};

/// One line of the list: the id, how grave it is here, why it exists.
pub fn line(rule: &Rule, settings: &Settings) -> String {
    format!("{:<24} {:<7} {}", rule.id, word(settings.severity(rule, None).0), rule.reason)
}

/// A rule with everything that is to be known of it.
pub fn explained(rule: &Rule, settings: &Settings) -> String {
    let (severity, lowered) = settings.severity(rule, None);
    let changed = match (severity == rule.severity, lowered) {
        (true, _) => String::new(),
        (false, Some(reason)) => {
            format!(" (by default {}; lowered: {})", word(rule.severity), one_line(&reason))
        }
        (false, None) => format!(" (by default {})", word(rule.severity)),
    };
    let lowering = match rule.lowering {
        Lowering::Never => "\nno setting can lower it",
        Lowering::ForOneResource => "\nonly the settings of one resource can lower it",
        Lowering::Anywhere => "",
    };
    format!(
        "{}: {}{changed}, about {}{lowering}\nwhy: {}\ndo:  {}\n",
        rule.id,
        word(severity),
        about(rule.group),
        rule.reason,
        rule.remedy
    )
}

/// As settings and JSON have it, too.
pub(super) fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Warn => "warn",
        Severity::Refuse => "refuse",
    }
}

fn about(group: Group) -> &'static str {
    match group {
        Group::Use => "who uses the device",
        Group::Replication => "one writer on the newest data",
        Group::Durability => "what a flush means",
        Group::Configuration => "the guest's configuration",
    }
}
