//! `block-drbd status` for people: what needs somebody, and one line a volume.
//!
//! What is in order is not said: a peer that is connected and UpToDate is only named with its role.

use super::one_line;
use super::paint::Paint;
use crate::facts::{
    Connection, DiskState, FlushProbe, Known, Record, Resource, ResourceStatus, Role, User, Volume,
    VolumeStatus,
};
use crate::printable::Text;
use crate::status::judge::{Judged, State, span};
use std::fmt::Write;

const HEADING: [&str; 6] = ["RESOURCE", "ROLE", "DISK", "PEER", "FLUSHED", "USED BY"];

/// A line of the table, and whether it needs somebody.
type Row = ([String; 6], bool);

/// What needs somebody, the table, and what could not be found out; in colour on a terminal.
pub fn text(judged: &Judged, terminal: bool) -> Text {
    let paint = Paint::new(terminal);
    let mut text = String::new();
    for need in &judged.needs {
        let _ = writeln!(text, "{} {}", paint.bad("needs you:"), one_line(&need.message));
        let _ = writeln!(text, "  do: {}", one_line(&need.remedy));
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text += &match judged.resources.is_empty() {
        true => "DRBD has no resource up\n".into(),
        false => table(judged, &paint),
    };
    for why in &judged.unknown {
        let _ = writeln!(text, "{} {}", paint.doubtful("unknown:"), one_line(why));
    }
    paint.finish(&text)
}

fn table(judged: &Judged, paint: &Paint) -> String {
    let now = judged.status.at;
    let rows: Vec<Row> =
        judged.resources.iter().flat_map(|(state, resource)| rows(*state, resource, now)).collect();
    let heading = (HEADING.map(String::from), false);
    let all = std::iter::once(&heading).chain(&rows);
    let widths: Vec<usize> =
        (0..6).map(|column| all.clone().map(|(cells, _)| cells[column].len()).max().unwrap_or(0)).collect();
    let line = |(cells, urgent): &Row| {
        let cells = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        let line = line.trim_end();
        format!("{}\n", if *urgent { paint.bad(line) } else { line.to_string() })
    };
    all.map(line).collect()
}

/// One a volume, or one for what has none. Guests name themselves and peers are named in files:
/// nothing of that may steer a terminal.
fn rows(state: State, status: &ResourceStatus, now: u64) -> Vec<Row> {
    let row = |cells: [String; 6]| (cells.map(|cell| one_line(&cell).to_string()), state < State::Unknown);
    let several = status.volumes.len() > 1;
    let of_volume = |(volume, found): (&Volume, &VolumeStatus)| {
        let number = if several { format!("/{}", volume.number) } else { String::new() };
        row([
            format!("{}{number}", status.name),
            role(status, volume),
            volume.disk.to_string(),
            status.resource.as_ref().map(|resource| peers(resource, volume)).unwrap_or_default(),
            flushed(&found.flush, now),
            used_by(state, status, volume, found, now),
        ])
    };
    let rows: Vec<Row> = status.volumes().map(of_volume).collect();
    match (rows.is_empty(), &status.resource) {
        (false, _) => rows,
        (true, up) => {
            let role = if up.is_some() { "no volume" } else { "not up" };
            vec![row([&status.name, role, "-", "-", "-", "nobody"].map(String::from))]
        }
    }
}

fn role(status: &ResourceStatus, volume: &Volume) -> String {
    match status.resource.as_ref().is_some_and(|resource| resource.suspended.any()) {
        true => format!("{}, I/O frozen", volume.role),
        false => volume.role.to_string(),
    }
}

fn peers(resource: &Resource, volume: &Volume) -> String {
    let peers: Vec<String> = resource.connections.iter().map(|connection| peer(connection, volume)).collect();
    if peers.is_empty() { "none".into() } else { peers.join(", ") }
}

fn peer(connection: &Connection, volume: &Volume) -> String {
    let Connection { peer: name, state, peer_role: role, .. } = connection;
    if !connection.is_connected() {
        return format!("{name} {state}");
    }
    match (role, connection.peer_volume(volume.number).map(|peer| &peer.disk)) {
        (_, Some(DiskState::UpToDate) | None) => format!("{name} {role}"),
        (Role::Secondary, Some(disk)) => format!("{name} {disk}"),
        (_, Some(disk)) => format!("{name} {role} {disk}"),
    }
}

/// How long ago the last flush was tried, or that it did not work.
fn flushed(flush: &Record<FlushProbe>, now: u64) -> String {
    let probe = match flush {
        Record::Is(Some(probe)) => probe,
        Record::Is(None) => return "never".into(),
        Record::Bad { .. } | Record::Unknown(_) => return "unknown".into(),
    };
    let ago = match now.checked_sub(probe.at) {
        Some(seconds) => format!("{} ago", span(seconds)),
        None => "in the future".into(),
    };
    match probe.result {
        Ok(_) => ago,
        Err(_) => format!("failed {ago}"),
    }
}

fn used_by(state: State, status: &ResourceStatus, volume: &Volume, found: &VolumeStatus, now: u64) -> String {
    let users: Vec<String> =
        status.live().filter(|user| user.minor == volume.minor).map(|user| guest(status, user)).collect();
    let in_dom0 = found.dom0.value().into_iter().flatten().map(|by| format!("this domain: {by}"));
    let users: Vec<String> = users.into_iter().chain(in_dom0).collect();
    let users = if users.is_empty() { "nobody".to_string() } else { users.join(", ") };
    let since =
        |since: Option<u64>| since.map(|seconds| format!(" for {}", span(seconds))).unwrap_or_default();
    let pending = status.pending().contains(&volume.minor);
    let users = match (state, &status.users) {
        (_, Known::Unknown(_)) => "unknown".into(),
        (State::Orphan, _) => format!("{users}: orphan"),
        _ if pending => {
            let since = since(status.claimed.and_then(|since| now.checked_sub(since)));
            format!("{users}: release pending{since}")
        }
        _ => users,
    };
    let alone = status.lone.value().is_some_and(|lone| lone.holds(volume));
    let users = if alone { format!("{users}; written without its peer") } else { users };
    let allowed = |resource: &Resource| resource.connections.iter().any(Connection::allows_two_primaries);
    match status.window.value() {
        // Half a guest keeps its record.
        Some(_) if !status.resource.as_ref().is_some_and(allowed) => format!("{users}; window ended"),
        Some(window) => format!("{users}; window open{}", since(window.age(now))),
        None => users,
    }
}

/// `vm (5, xvda)`, and what is unusual about it.
fn guest(status: &ResourceStatus, user: &User) -> String {
    let name = user.guest.as_deref().unwrap_or("domain");
    let recorded = status.claim.value().and_then(|claim| claim.of(user.domid, user.devid));
    let unrecorded = matches!(status.claim, Record::Is(_)) && recorded.is_none();
    let unproven = recorded.is_some_and(|user| user.unproven.is_some());
    let unproven = if unproven { ", incoming-unproven" } else { "" };
    let leaving = if user.leaving { ", leaving" } else { "" };
    let unrecorded = if unrecorded { ", no record" } else { "" };
    format!("{name} ({}, {}{leaving}{unrecorded}{unproven})", user.domid, user.vdev())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::PhysicalDevice;

    #[test]
    fn a_flush_is_told_with_its_age() {
        let device = PhysicalDevice { major: 147, minor: 1 };
        let probe = |at, result| Record::Is(Some(FlushProbe { version: 1, device, at, result }));
        for (flush, told) in [
            (probe(1_000_000, Ok(1234)), "0 s ago"),
            (probe(999_941, Ok(999)), "59 s ago"),
            (probe(999_940, Ok(5_000_000)), "1 min ago"),
            (probe(996_400, Ok(0)), "1 h ago"),
            (probe(136_000, Ok(50)), "10 d ago"),
            (probe(1_000_001, Ok(50)), "in the future"),
            (probe(999_800, Err("EIO".into())), "failed 3 min ago"),
            (Record::Is(None), "never"),
            (Record::Unknown("why".into()), "unknown"),
        ] {
            assert_eq!(flushed(&flush, 1_000_000), told);
        }
    }
}
