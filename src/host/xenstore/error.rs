//! What can go wrong with xenstore, in words for the log and `hotplug-error`.
//!
//! Nothing here decides what to do about it.

use super::super::Stop;
use nix::errno::Errno;
use std::fmt;
use std::path::PathBuf;

/// A xenstore operation that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// There is no xenstore: every place that was tried, and why it was not it.
    Unreachable {
        /// The places in the order in which they were tried.
        tried: Vec<(PathBuf, Cause)>,
    },
    /// The file in place of xenstore has a line that cannot be understood.
    Dump {
        /// The file.
        file: PathBuf,
        /// The number of the line, from 1.
        line: usize,
    },
    /// An operation failed.
    Failed {
        /// What was being done, and to what: "writing backend/vbd/1/51712/state".
        doing: String,
        /// Whether it would have changed something.
        changes: bool,
        /// Why it failed.
        cause: Cause,
    },
    /// Every attempt to commit a transaction met a conflicting change.
    Contended {
        /// How many attempts there were.
        attempts: u32,
    },
}

/// Why an operation failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// xenstored answered with this error: "EACCES".
    Refused(String),
    /// Not allowed by the protocol, and therefore not sent.
    Invalid(String),
    /// A file in place of xenstore cannot be changed or watched.
    ReadOnly,
    /// A directory changed at each of many attempts to read it in parts.
    Unsteady,
    /// The time was over, or a signal arrived.
    Stopped(Stop),
    /// xenstored closed the connection.
    Closed,
    /// A system call failed.
    System(Errno),
    /// The answer is not what the protocol has there, or what a dump must hold.
    Protocol(String),
}

impl Error {
    /// Whether something may have been changed although no answer says so.
    pub fn outcome_unknown(&self) -> bool {
        matches!(self, Error::Failed { changes: true, cause, .. } if !cause.is_an_answer())
    }
}

impl Cause {
    /// Whether it is certain that the operation did nothing.
    fn is_an_answer(&self) -> bool {
        matches!(self, Cause::Refused(_) | Cause::Invalid(_) | Cause::ReadOnly | Cause::Unsteady)
    }

    /// Names the reading operation that failed for this cause.
    pub(super) fn reading(self, path: &str) -> Error {
        Error::Failed { doing: format!("reading {path}"), changes: false, cause: self }
    }

    /// Names the operation without effect on the tree that failed for this cause.
    pub(super) fn doing(self, what: &str) -> Error {
        Error::Failed { doing: what.to_owned(), changes: false, cause: self }
    }

    /// Names the changing operation that failed for this cause.
    pub(super) fn changing(self, what: &str, path: &str) -> Error {
        let doing = if path.is_empty() { what.to_owned() } else { format!("{what} {path}") };
        Error::Failed { doing, changes: true, cause: self }
    }
}

impl From<Stop> for Cause {
    fn from(stop: Stop) -> Self {
        Cause::Stopped(stop)
    }
}

impl From<Errno> for Cause {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::EPIPE | Errno::ECONNRESET => Cause::Closed,
            other => Cause::System(other),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("xenstore: ")?;
        match self {
            Error::Unreachable { tried } => {
                f.write_str("not to be reached")?;
                for (i, (place, cause)) in tried.iter().enumerate() {
                    let separator = if i == 0 { ":" } else { ";" };
                    write!(f, "{separator} {}: {cause}", place.display())?;
                }
                Ok(())
            }
            Error::Dump { file, line } => {
                write!(f, "{}: line {line} is not `path = \"value\"`", file.display())
            }
            Error::Failed { doing, cause, .. } => {
                write!(f, "{doing}: {cause}")?;
                if self.outcome_unknown() {
                    f.write_str("; it may have been done all the same")?;
                }
                Ok(())
            }
            Error::Contended { attempts } => {
                write!(f, "committing a transaction: others changed the same nodes {attempts} times in a row")
            }
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Refused(error) => f.write_str(error),
            Cause::Invalid(why) => f.write_str(why),
            Cause::ReadOnly => f.write_str("a file in place of xenstore cannot be changed or watched"),
            Cause::Unsteady => f.write_str("the directory changed each time while it was read"),
            Cause::Stopped(stop) => stop.fmt(f),
            Cause::Closed => f.write_str("xenstored closed the connection"),
            Cause::System(errno) => f.write_str(errno.desc()),
            Cause::Protocol(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for Error {}
