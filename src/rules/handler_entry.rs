//! What keeps one entry of `handlers { }` from doing its work, whatever its event.

use crate::facts::{EVENTS, HandlerEntry, Known, ProgramKind};

/// Scripts of drbd-utils that serve one generation of DRBD only: on 8.x, on 9. The ones without
/// a counterpart read /proc/drbd, which tells nothing on 9.
const GENERATIONS: [(&str, Option<&str>); 3] = [
    ("crm-fence-peer.sh", Some("crm-fence-peer.9.sh")),
    ("crm-unfence-peer.sh", Some("crm-unfence-peer.9.sh")),
    ("stonith_admin-fence-peer.sh", None),
];

/// Whether an entry does its work.
pub enum Works {
    /// Nothing is known against it.
    Yes,
    /// It does not: what it does, and what to do.
    No(String, String),
    /// It cannot be told: why.
    Unknown(String),
}

/// Looks at an entry on a node with this DRBD.
pub fn works(entry: &HandlerEntry, drbd: Option<[u32; 3]>) -> Works {
    let event = &entry.event;
    let program = match &entry.program {
        Known::Is(program) => program,
        Known::Unknown(why) => return Works::Unknown(format!("{event} ({}): {why}", entry.place)),
    };
    let path = &program.path;
    // Before whether it is there: to install a script of the other generation would help nobody.
    if let Some((what, remedy)) = another_generation(path, drbd).or_else(|| another_event(entry)) {
        return Works::No(what, format!("{remedy} at {}", entry.place));
    }
    let (is, remedy) = match program.kind {
        ProgramKind::Executable => return Works::Yes,
        ProgramKind::Missing => ("does not exist", format!("install {path}")),
        ProgramKind::NotExecutable => ("cannot be executed", format!("run: chmod 755 {path}")),
        ProgramKind::Directory => ("is a directory", format!("name a program in {path}")),
        ProgramKind::NoFile => ("is no file", format!("make {path} a program")),
    };
    Works::No(
        format!("{event} is to call {path}, which {is}"),
        format!("{remedy}, or name another program at {}", entry.place),
    )
}

/// A script of drbd-utils for the other generation: it runs, and then cannot do what it is for.
fn another_generation(path: &str, drbd: Option<[u32; 3]>) -> Option<(String, String)> {
    let is_9 = drbd? >= [9, 0, 0];
    let name = path.rsplit('/').next()?;
    let (old, new) =
        GENERATIONS.iter().find(|(old, new)| if is_9 { *old == name } else { *new == Some(name) })?;
    let (which, instead) = if is_9 { ("8.x", *new) } else { ("9", Some(*old)) };
    let remedy = match instead {
        Some(instead) => format!("name {instead}"),
        None => "name a handler for DRBD 9".into(),
    };
    Some((format!("{name} is for DRBD {which} only"), remedy))
}

/// A handler of this program that answers to something else than what happens.
fn another_event(entry: &HandlerEntry) -> Option<(String, String)> {
    let (event, named) = (&entry.event, entry.own()?);
    let remedy = format!("call block-drbd handler {event}");
    if named.is_empty() {
        return Some((format!("{event} is to call block-drbd handler without an event"), remedy));
    }
    if !EVENTS.contains(&named) {
        return Some((format!("{event} is to call block-drbd handler {named}, which is no event"), remedy));
    }
    let same = named == event || (named, event.as_str()) == ("outdate-peer", "fence-peer");
    (!same).then(|| {
        (format!("{event} is to call block-drbd handler {named}, which is for another event"), remedy)
    })
}
