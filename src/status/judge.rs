//! What a look at the host means: what each resource is in, and what needs somebody.
//!
//! Pure. A state that passes by itself within [`PATIENCE`] needs nobody before that.

use crate::facts::{
    HostStatus, INCOMING, Incoming, Known, Record, ResourceStatus, Role, User, names_are_dom0s,
};
use serde::Serialize;
use std::collections::BTreeSet;

/// After how many seconds what should pass by itself needs somebody: longer than a remove and
/// its detached release need for a device that can be closed, and than the last steps of a
/// live migration take.
const PATIENCE: u64 = 60;

/// What a resource is in on this host; the more urgent, the earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Two guests have one volume, or one guest has it by two of its disks.
    TwoGuests,
    /// A guest that a migration brought here was left paused, with the resource Primary.
    IncomingLeft,
    /// Primary, and nobody has it: no guest, nothing in this domain, no record.
    Orphan,
    /// Was to be released long ago, and is still Primary.
    ReleaseStuck,
    /// Two Primaries have been allowed for a migration for too long.
    WindowLeft,
    /// A handler of DRBD has set it aside, and nobody has looked at it yet.
    Quarantined,
    /// A record of it is there that cannot be relied on.
    BadRecord,
    /// What would have to be known is not.
    Unknown,
    /// Is being released.
    ReleasePending,
    /// A guest is arriving by a live migration.
    Incoming,
    /// A guest has it.
    InUse,
    /// Primary, and this domain itself has it.
    Dom0,
    /// Secondary, and nobody has it.
    Idle,
    /// DRBD does not have it up; only a record is left.
    Down,
}

/// Something that an administrator has to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Need {
    /// What it is.
    pub what: State,
    /// The resource, where it is about one.
    pub resource: Option<String>,
    /// One clause.
    pub message: String,
    /// One clause with the commands.
    pub remedy: String,
}

/// The host, judged.
pub struct Judged<'a> {
    /// What was looked at.
    pub status: &'a HostStatus,
    /// Each resource with what it is in; what needs somebody comes first.
    pub resources: Vec<(State, &'a ResourceStatus)>,
    /// What needs somebody, the most urgent first.
    pub needs: Vec<Need>,
    /// What could not be found out, each once.
    pub unknown: BTreeSet<String>,
}

impl<'a> Judged<'a> {
    /// Judges what was looked at.
    pub fn new(status: &'a HostStatus) -> Self {
        let (mut needs, mut unknown) = (Vec::new(), BTreeSet::new());
        for listed in &status.listed {
            record(None, listed, &mut needs, &mut unknown);
        }
        let mut resources: Vec<_> = status
            .resources
            .iter()
            .map(|resource| {
                let (own_needs, own_unknown) = judge(resource, status);
                let state = own_needs.iter().map(|need| need.what).min();
                let otherwise = if own_unknown.is_empty() { calm(resource) } else { State::Unknown };
                needs.extend(own_needs);
                unknown.extend(own_unknown);
                (state.unwrap_or(otherwise), resource)
            })
            .collect();
        resources.sort_by(|a, b| urgency(a).cmp(&urgency(b)));
        needs.sort_by_key(|need| need.what);
        // One directory that is not to be trusted spoils the record of every resource.
        let mut said = BTreeSet::new();
        needs.retain(|need| said.insert(need.message.clone()));
        Judged { status, resources, needs, unknown }
    }

    /// 0 all is well, 1 something needs an administrator, 3 something could not be found out.
    pub fn exit_code(&self) -> i32 {
        match (self.needs.is_empty(), self.unknown.is_empty()) {
            (false, _) => 1,
            (true, false) => 3,
            (true, true) => 0,
        }
    }
}

/// What is in order is sorted by name alone.
fn urgency<'a>((state, resource): &(State, &'a ResourceStatus)) -> (State, &'a str) {
    ((*state).min(State::ReleasePending), &resource.name)
}

/// What a resource needs, and what could not be found out of it.
fn judge(resource: &ResourceStatus, host: &HostStatus) -> (Vec<Need>, BTreeSet<String>) {
    let (mut needs, mut unknown) = (Vec::new(), BTreeSet::new());
    let now = host.at;
    needs.extend(resource.incoming.iter().filter_map(|incoming| left_behind(resource, incoming, now)));
    // That half keeps the window, or its record.
    if needs.is_empty() {
        needs.extend(window_left(resource, now));
    }
    needs.extend(two_guests(resource, names_are_dom0s(&host.xen)));
    needs.extend(stuck(resource, now));
    needs.extend(orphan(resource));
    needs.extend(quarantined(resource));
    record(Some(&resource.name), &resource.window, &mut needs, &mut unknown);
    record(Some(&resource.name), &resource.lone, &mut needs, &mut unknown);
    record(Some(&resource.name), &resource.quarantine, &mut needs, &mut unknown);
    record(Some(&resource.name), &resource.claim, &mut needs, &mut unknown);
    for volume in &resource.volumes {
        record(Some(&resource.name), &volume.flush, &mut needs, &mut unknown);
        if let (Known::Unknown(why), true) = (&volume.dom0, nobody(resource)) {
            unknown.insert(format!("what has {} in this domain: {why}", resource.name));
        }
    }
    if let Known::Unknown(why) = &resource.users {
        unknown.insert(format!("which guests have what: {why}"));
    }
    (needs, unknown)
}

/// A record that cannot be relied on needs somebody; one that cannot be read is not known.
fn record<T>(
    resource: Option<&str>,
    record: &Record<T>,
    needs: &mut Vec<Need>,
    unknown: &mut BTreeSet<String>,
) {
    match record {
        Record::Is(_) => {}
        Record::Bad { why, remedy } => needs.push(Need {
            what: State::BadRecord,
            resource: resource.map(str::to_string),
            message: why.clone(),
            remedy: remedy.clone(),
        }),
        Record::Unknown(why) => drop(unknown.insert(why.clone())),
    }
}

/// Whether it is certain that no guest has it.
fn nobody(resource: &ResourceStatus) -> bool {
    resource.users.value().is_some() && resource.live().next().is_none()
}

fn calm(resource: &ResourceStatus) -> State {
    let in_dom0 = |volume: &crate::facts::VolumeStatus| volume.dom0.value().is_some_and(|by| !by.is_empty());
    match &resource.resource {
        None => State::Down,
        _ if !resource.incoming.is_empty() => State::Incoming,
        _ if resource.live().next().is_some() => State::InUse,
        _ if !resource.pending().is_empty() => State::ReleasePending,
        _ if resource.volumes.iter().any(in_dom0) => State::Dom0,
        _ => State::Idle,
    }
}

/// Two devices that write to one volume. Halves of one guest do so in turn, and a stub domain does
/// so for its guest: `names_are_dom0s` tells whether what says so can be believed.
fn two_guests(resource: &ResourceStatus, names_are_dom0s: bool) -> Option<Need> {
    let in_turn = |one: &User, other: &User| {
        let is_one_disk = one.devid == other.devid;
        let (one, other) = (one.identity(), other.identity());
        names_are_dom0s && is_one_disk && (one.is_half_of(&other) || one.is_stub_of(&other))
    };
    let mut users: Vec<&User> = resource.live().filter(|user| !user.leaving).collect();
    users.sort_by_key(|user| (user.domid, user.devid));
    let mut pairs = users.iter().enumerate().flat_map(|(at, one)| {
        let others = users[at + 1..].iter().filter(|other| other.minor == one.minor);
        others.map(move |other| (*one, *other))
    });
    let (one, other) = pairs.find(|(one, other)| !in_turn(one, other))?;
    let (first, second) = (one.called(), other.called());
    Some(Need {
        what: State::TwoGuests,
        resource: Some(resource.name.clone()),
        message: format!(
            "{first} has /dev/drbd{} of {} as {}, and {second} has it as {}: both write to it",
            one.minor,
            resource.name,
            one.vdev(),
            other.vdev()
        ),
        remedy: match one.domid == other.domid {
            true => format!("take one away with: xl block-detach {} {}", other.domid, other.devid),
            false => format!(
                "stop the guest that came last with: xl pause {}; what both have written is mixed, so look at the data before either goes on",
                other.domid
            ),
        },
    })
}

/// Primary, with no guest, nothing in this domain, and no record that says why.
fn orphan(resource: &ResourceStatus) -> Option<Need> {
    let no_record = matches!(resource.claim, Record::Is(_)) && resource.pending().is_empty();
    let in_dom0 = resource.volumes.iter().any(|volume| volume.dom0 != Known::Is(Vec::new()));
    if resource.primary().is_empty() || !nobody(resource) || !no_record || in_dom0 {
        return None;
    }
    let name = &resource.name;
    Some(Need {
        what: State::Orphan,
        resource: Some(name.clone()),
        message: format!("{name} is Primary here, and no guest, nothing in this domain and no record has it"),
        remedy: format!("if nobody needs it run: block-drbd release {name}"),
    })
}

/// A release that has been pending for too long.
fn stuck(resource: &ResourceStatus, now: u64) -> Option<Need> {
    let minors = resource.pending();
    let age = age(resource.claimed, now);
    if minors.is_empty() || age.is_some_and(|age| age < PATIENCE) {
        return None;
    }
    let name = &resource.name;
    let since =
        age.map_or("at a time that this clock cannot tell".into(), |age| format!("{} ago", span(age)));
    let devices: Vec<String> = minors.iter().map(|minor| format!("/dev/drbd{minor}")).collect();
    let devices = devices.join(" ");
    let held: Vec<&str> = resource
        .volumes
        .iter()
        .filter_map(|volume| volume.dom0.value())
        .flatten()
        .map(String::as_str)
        .collect();
    let held = if held.is_empty() { String::new() } else { format!(", {}", held.join(", ")) };
    Some(Need {
        what: State::ReleaseStuck,
        resource: Some(name.clone()),
        message: format!("{name} was to be released {since} and is still Primary{held}"),
        remedy: format!(
            "see who has it open with: fuser -v {devices}, and then run: block-drbd release {name}"
        ),
    })
}

/// A window that nobody has closed: with neither node demoted, or with nobody left to look.
fn window_left(resource: &ResourceStatus, now: u64) -> Option<Need> {
    let age = resource.window.value()?.age(now);
    if age.is_some_and(|age| age < PATIENCE) {
        return None;
    }
    let name = &resource.name;
    let since =
        age.map_or("at a time that this clock cannot tell".into(), |age| format!("{} ago", span(age)));
    Some(Need {
        what: State::WindowLeft,
        resource: Some(name.clone()),
        message: format!(
            "two Primaries of {name} were allowed {since} for a migration, and that is still on record"
        ),
        remedy: format!(
            "see on both nodes who has it with: block-drbd status; when one is Secondary run here: block-drbd release {name}"
        ),
    })
}

/// Something that happened to its data, and that nobody has looked at yet.
fn quarantined(resource: &ResourceStatus) -> Option<Need> {
    let entry = resource.quarantine.value()?;
    let name = &resource.name;
    Some(Need {
        what: State::Quarantined,
        resource: Some(name.clone()),
        message: format!("{name} is in quarantine, and no guest is given it: {}", entry.story()),
        remedy: format!("mend that, and then run: block-drbd quarantine clear {name} --reason \"...\""),
    })
}

/// A guest that was to be started here by a migration, or destroyed again, and was not.
fn left_behind(resource: &ResourceStatus, incoming: &Incoming, now: u64) -> Option<Need> {
    let user = resource.live().find(|user| user.domid == incoming.domid)?;
    let age = age(incoming.since.value().copied(), now);
    if resource.primary().is_empty() || age.is_some_and(|age| age < PATIENCE) {
        return None;
    }
    let (name, domid) = (&resource.name, user.domid);
    let guest = user.guest.as_deref().unwrap_or_default();
    let since = match age {
        Some(age) => format!("for {}", span(age)),
        None => "since nobody knows when".into(),
    };
    let also = if peer_is_primary(resource) { ", which is Primary on the peer, too" } else { "" };
    Some(Need {
        what: State::IncomingLeft,
        resource: Some(name.clone()),
        message: format!(
            "guest {guest} (domain {domid}) has stood paused here {since}, with {name} Primary{also}: its migration did not end"
        ),
        remedy: end_of_migration(resource, user),
    })
}

/// What to run where: the guest may go on at its source, or there may be nothing left of it
/// there but its suspended half (xl_migrate.c: failed_badly). Never both.
fn end_of_migration(resource: &ResourceStatus, user: &User) -> String {
    let (domid, guest) = (user.domid, user.guest.as_deref().unwrap_or_default());
    let name = guest.strip_suffix(INCOMING).unwrap_or(guest);
    let away = format!("{name}--migratedaway");
    let here_too = |user: &User| user.guest.as_deref().is_some_and(|other| other == name || other == away);
    let source = match resource.resource.iter().flat_map(|resource| &resource.connections).next() {
        // A migration from this host to itself.
        _ if resource.live().any(here_too) => "here".to_string(),
        Some(connection) => format!("on {}", connection.peer),
        None => "on the host that it came from".to_string(),
    };
    format!(
        "{source} run: xl list; if {name} is there run here: xl destroy {domid}; if only {away} is there run {source}: xl destroy {away}, and then here: xl rename {domid} {name} && xl unpause {domid}"
    )
}

fn peer_is_primary(resource: &ResourceStatus) -> bool {
    let mut connections = resource.resource.iter().flat_map(|resource| &resource.connections);
    connections.any(|connection| connection.peer_role == Role::Primary)
}

/// How many seconds ago it was; `None` when the clock cannot tell.
fn age(since: Option<u64>, now: u64) -> Option<u64> {
    now.checked_sub(since?)
}

/// Seconds, in the largest unit of which there is one.
pub fn span(seconds: u64) -> String {
    match seconds {
        ..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}
