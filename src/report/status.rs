//! The table of `block-drbd status`.

use crate::facts::{Claim, Known, Resource, User, Volume};
use anyhow::Result;
use std::fmt::Write;

/// A resource with who uses it and what is recorded of it.
pub struct Line {
    /// The resource.
    pub resource: Resource,
    /// The guests that have one of its volumes.
    pub users: Known<Vec<User>>,
    /// What is recorded.
    pub claim: Result<Option<Claim>>,
}

/// One line a volume, under a heading.
pub fn table(lines: &[Line]) -> String {
    let mut text = format!(
        "{:<16} {:>6}  {:<10} {:<13} {:<34} {}\n",
        "RESOURCE", "MINOR", "ROLE", "DISK", "PEER", "USED BY"
    );
    for line in lines {
        for volume in &line.resource.volumes {
            let name = format!("{}/{}", line.resource.name, volume.number);
            let _ = writeln!(
                text,
                "{name:<16} {:>6}  {:<10} {:<13} {:<34} {}",
                volume.minor,
                volume.role.to_string(),
                volume.disk.to_string(),
                peers(&line.resource),
                used_by(line, volume)
            );
        }
    }
    text
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
