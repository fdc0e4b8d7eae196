//! Another guest of this host has the volume, or the same guest by another of its disks.

use super::disk_line::DiskLine;
use super::{
    Check, Group, Judgement, Lowering, Rule, Severity, refuse, refuse_for_now, unknown, unknown_for_now,
};
use crate::facts::{Facts, Known, LowerUser, User, Volume};
use crate::guest::GuestFacts;
use std::collections::BTreeMap;

/// The rule.
pub const RULE: Rule = Rule {
    id: "other-guest",
    group: Group::Use,
    severity: Severity::Refuse,
    lowering: Lowering::Never,
    reason: "two guests on one volume, or two disks of one guest, destroy each other's data; Xen's own check for it does nothing in Xen 4.7 to 4.16",
    remedy: "shut the other guest down, or give this guest another resource",
    check: Check::VolumeAndGuest(check, check_guest),
};

fn check(facts: &Facts) -> Judgement {
    let Some(volume) = facts.volume() else { return Judgement::Pass };
    let users = match &facts.users {
        Known::Is(users) => users,
        Known::Unknown(why) => {
            return unknown(
                "which guests have it",
                why,
                "see that xenstored runs, then start the guest again".into(),
            );
        }
    };
    let other = |user: &&User| user.minor == volume.minor && user.live && !facts.has_our_disk(user);
    match users.iter().find(other) {
        Some(user) => taken(facts, user),
        None => below(facts, volume),
    }
}

/// A guest with a device that the volume stands on writes behind DRBD's back.
fn below(facts: &Facts, volume: &Volume) -> Judgement {
    let drbd = format!("/dev/drbd{}", volume.minor);
    let users = match &facts.lower_users {
        Known::Is(users) => users,
        Known::Unknown(why) => {
            return unknown(
                &format!("whether a guest has a device below {drbd}"),
                why,
                "make /sys and /dev readable, then start the guest again".into(),
            );
        }
    };
    let live = users.iter().filter(|user| user.live);
    // Whoever stays comes before whoever is leaving.
    let Some(LowerUser { domid, device, leaving, .. }) = live.min_by_key(|user| user.leaving) else {
        return Judgement::Pass;
    };
    let wait = format!("wait until domain {domid} is gone, see: xl list");
    let device = match device {
        Known::Is(device) => device,
        Known::Unknown(why) => {
            return unknown_for_now(&format!("whether a guest has a device below {drbd}"), why, wait);
        }
    };
    let message = format!("{drbd} stands on {device}, which domain {domid} has as a disk");
    match leaving {
        true => refuse_for_now(message, wait),
        false => refuse(
            message,
            format!("shut that domain down with: xl shutdown {domid}, and give it a disk of its own"),
        ),
    }
}

/// Two disk lines of one guest on one volume: its second disk would be refused at the start.
fn check_guest(guest: &GuestFacts) -> Judgement {
    let lines = DiskLine::all(guest);
    let mut seen: BTreeMap<&str, Vec<&DiskLine>> = BTreeMap::new();
    for line in &lines {
        let Some(resource) = line.resource() else { continue };
        let earlier = seen.entry(resource).or_default();
        if let Some(other) = earlier.iter().find(|other| other.leads_to.is_same_volume(&line.leads_to)) {
            return refuse(
                format!("{} and {} lead to one volume of {resource}", other.name(), line.name()),
                "leave one of the two lines out".into(),
            );
        }
        earlier.push(line);
    }
    Judgement::Pass
}

fn taken(facts: &Facts, user: &User) -> Judgement {
    let (device, guest) = (format!("/dev/drbd{}", user.minor), user.called());
    let own = facts.backend.value().and_then(|backend| Some(backend.as_ref()?.domid));
    let (message, remedy) = match own == Some(user.domid) {
        true => (
            format!("{device} is the disk {} of this guest already", user.vdev()),
            "leave one of the two disk lines out of its configuration".to_string(),
        ),
        false => (
            format!("{device} belongs to {guest}"),
            format!("shut it down with: xl shutdown {}, or give this guest another resource", user.domid),
        ),
    };
    if user.domain_is_gone() {
        let (domid, devid) = (user.domid, user.devid);
        let message =
            format!("{device} belongs to domain {domid}, which is no more; its device is left over");
        let remedy = format!(
            "see with xl list that domain {domid} is gone, then run: xenstore-rm /local/domain/0/backend/vbd/{domid}/{devid}"
        );
        return if user.leaving { refuse_for_now(message, remedy) } else { refuse(message, remedy) };
    }
    match user.leaving {
        true => refuse_for_now(message, format!("wait until {guest} is gone, see: xl list")),
        false => refuse(message, remedy),
    }
}
