//! What is called when something happens to a resource, as drbd.conf has it.

use super::Known;
use serde::{Deserialize, Serialize};

/// Every event of DRBD 8.3, 8.4 and 9 (the `khelper` commands of drbd-utils, drbdadm_main.c).
/// `outdate-peer` is an old name of `fence-peer`.
pub const EVENTS: [&str; 15] = [
    "fence-peer",
    "outdate-peer",
    "unfence-peer",
    "before-resync-target",
    "before-resync-source",
    "after-resync-target",
    "out-of-sync",
    "initial-split-brain",
    "split-brain",
    "pri-lost",
    "pri-lost-after-sb",
    "pri-on-incon-degr",
    "local-io-error",
    "quorum-lost",
    "disconnected",
];

/// An entry of `handlers { }` that is in force for a resource: of the resource itself, else of `common`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandlerEntry {
    /// The event; `fence-peer` also where drbd.conf has its old name.
    pub event: String,
    /// What drbdadm hands to `/bin/sh -c`, as written.
    pub command: String,
    /// The program that the command begins with; unknown also where it begins with shell syntax.
    pub program: Known<Program>,
    /// Where it stands: `/etc/drbd.d/vm.res:3:5`.
    pub place: String,
}

/// A program that somebody wants to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// Its path; the bare name where no directory has it.
    pub path: String,
    /// What stands there.
    pub kind: ProgramKind,
}

/// What stands where a program is looked for, links followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProgramKind {
    /// A file that may be executed.
    Executable,
    /// Nothing.
    Missing,
    /// A file that nobody may execute.
    NotExecutable,
    /// A directory.
    Directory,
    /// Neither a file nor a directory.
    NoFile,
}

impl HandlerEntry {
    /// Which handler of this program is called (`block-drbd handler NAME`), where it is this
    /// program and the name stands there as a plain word; empty where no name follows.
    pub fn own(&self) -> Option<&str> {
        let mut words = self.command.split_ascii_whitespace();
        let program = words.next()?;
        if program.rsplit('/').next() != Some("block-drbd") || !words.any(|word| word == "handler") {
            return None;
        }
        let name = words.next().unwrap_or_default();
        let name = name.split(['|', '&', ';', '<', '>', '(', ')']).next().unwrap_or_default();
        let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        (plain && !name.starts_with('-')).then_some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_handlers_are_known_by_their_words() {
        for (command, name) in [
            ("/usr/sbin/block-drbd handler fence-peer", Some("fence-peer")),
            ("block-drbd -v --config /x handler split-brain; logger x", Some("split-brain")),
            ("block-drbd handler pri-lost;logger x", Some("pri-lost")),
            ("block-drbd handler frobnicate", Some("frobnicate")),
            ("block-drbd handler", Some("")),
            ("block-drbd handler \"$EVENT\"", None),
            ("block-drbd handler --config /x fence-peer", None),
            ("block-drbd status", None),
            ("/opt/not-block-drbd handler fence-peer", None),
            ("ssh b block-drbd handler fence-peer", None),
            ("", None),
        ] {
            let program = Known::Unknown("it is not looked at".into());
            let (event, place) = ("fence-peer".into(), "f:1:1".into());
            let entry = HandlerEntry { event, command: command.into(), program, place };
            assert_eq!(entry.own(), name, "{command}");
        }
    }
}
