//! The table of `block-drbd status`.

use super::one_line;
use crate::facts::{Claim, FlushProbe, Known, Resource, User, Volume};
use anyhow::Result;

/// A resource with who uses it and what is recorded of it.
pub struct Line {
    /// The resource.
    pub resource: Resource,
    /// The guests that have one of its volumes.
    pub users: Known<Vec<User>>,
    /// What is recorded.
    pub claim: Result<Option<Claim>>,
    /// The last flush that was tried on each volume, in the volumes' order.
    pub flushes: Vec<Known<Option<FlushProbe>>>,
}

/// One line a volume, under a heading; `now` in seconds since 1970.
pub fn table(lines: &[Line], now: u64) -> String {
    let mut text = row(["RESOURCE", "MINOR", "ROLE", "DISK", "PEER", "FLUSH", "USED BY"].map(String::from));
    for line in lines {
        for (volume, flush) in line.resource.volumes.iter().zip(&line.flushes) {
            text += &row([
                format!("{}/{}", line.resource.name, volume.number),
                volume.minor.to_string(),
                volume.role.to_string(),
                volume.disk.to_string(),
                peers(&line.resource),
                flushed(flush, now),
                used_by(line, volume),
            ]);
        }
    }
    text
}

/// Guests name themselves and peers are named in files: nothing of that may steer a terminal.
fn row(cells: [String; 7]) -> String {
    let [name, minor, role, disk, peers, flush, used_by] = cells.map(|cell| one_line(&cell));
    format!("{name:<16} {minor:>6}  {role:<10} {disk:<13} {peers:<34} {flush:<22} {used_by}\n")
}

/// How long the last flush took and how long ago that was, or why it did not work.
fn flushed(flush: &Known<Option<FlushProbe>>, now: u64) -> String {
    let probe = match flush {
        Known::Is(Some(probe)) => probe,
        Known::Is(None) => return "none".into(),
        Known::Unknown(why) => return format!("unknown: {why}"),
    };
    let ago = ago(now.checked_sub(probe.at));
    match &probe.result {
        Ok(micros) => format!("{}.{} ms, {ago}", micros / 1000, micros % 1000 / 100),
        Err(why) => format!("failed: {why}, {ago}"),
    }
}

fn ago(seconds: Option<u64>) -> String {
    match seconds {
        None => "in the future".into(),
        Some(seconds @ ..60) => format!("{seconds} s ago"),
        Some(seconds @ ..3600) => format!("{} min ago", seconds / 60),
        Some(seconds @ ..86_400) => format!("{} h ago", seconds / 3600),
        Some(seconds) => format!("{} d ago", seconds / 86_400),
    }
}

fn peers(resource: &Resource) -> String {
    let peer = |connection: &crate::facts::Connection| {
        format!("{} {} {}", connection.peer, connection.state, connection.peer_role)
    };
    let peers: Vec<String> = resource.connections.iter().map(peer).collect();
    if peers.is_empty() { "none".into() } else { peers.join(", ") }
}

fn used_by(line: &Line, volume: &Volume) -> String {
    let users = match &line.users {
        Known::Is(users) => users,
        Known::Unknown(why) => return format!("unknown: {why}"),
    };
    let users: Vec<String> = users
        .iter()
        .filter(|user| user.minor == volume.minor && user.live)
        .map(|user| match &user.guest {
            Some(name) => format!("{name} (domain {})", user.domid),
            None => format!("domain {}", user.domid),
        })
        .collect();
    if !users.is_empty() {
        return users.join(", ");
    }
    match &line.claim {
        Err(error) => format!("unknown: {error:#}"),
        Ok(Some(claim)) if claim.promoted.contains(&volume.minor) => "nobody: release pending".into(),
        Ok(_) if volume.role == crate::facts::Role::Primary => "nobody that block-drbd knows of".into(),
        Ok(_) => "nobody".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::PhysicalDevice;

    #[test]
    fn a_flush_is_told_with_its_age() {
        let device = PhysicalDevice { major: 147, minor: 1 };
        let probe = |at, result| Known::Is(Some(FlushProbe { version: 1, device, at, result }));
        for (flush, told) in [
            (probe(1_000_000, Ok(1234)), "1.2 ms, 0 s ago"),
            (probe(999_941, Ok(999)), "0.9 ms, 59 s ago"),
            (probe(999_940, Ok(5_000_000)), "5000.0 ms, 1 min ago"),
            (probe(996_400, Ok(0)), "0.0 ms, 1 h ago"),
            (probe(136_000, Ok(50)), "0.0 ms, 10 d ago"),
            (probe(1_000_001, Ok(50)), "0.0 ms, in the future"),
            (probe(999_800, Err("EIO".into())), "failed: EIO, 3 min ago"),
            (Known::Is(None), "none"),
            (Known::Unknown("why".into()), "unknown: why"),
        ] {
            assert_eq!(flushed(&flush, 1_000_000), told);
        }
    }
}
