//! One line to the system log, if there is one.

use super::Host;
use super::root::Last;
use crate::printable::Line;
use std::time::Duration;
use syslog::{Facility, Formatter3164, LoggerBackend};

/// How long a system log that does not read may hold this process up, for each line.
const PATIENCE: Duration = Duration::from_millis(100);

/// How grave a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Something did not happen that should have.
    Error,
    /// Something to look at.
    Warning,
    /// What was done.
    Info,
}

/// Writes one line with facility daemon. Without a system log it is lost: the
/// same line stands on stderr, and no guest waits for a log.
pub fn write(host: &Host, level: Level, line: &Line) {
    let formatter = Formatter3164 {
        facility: Facility::LOG_DAEMON,
        hostname: None,
        process: "block-drbd".into(),
        pid: std::process::id(),
    };
    let Ok(log) = host.root.find("/dev/log", Last::Followed) else { return };
    let Ok(mut logger) = syslog::unix_custom(formatter, &*log) else { return };
    // The queue of a datagram socket is short (net.unix.max_dgram_qlen), and sending
    // to a full one waits until somebody reads (unix(7)).
    let _ = match &logger.backend {
        LoggerBackend::Unix(socket) => socket.set_write_timeout(Some(PATIENCE)),
        LoggerBackend::UnixStream(stream) => stream.get_ref().set_write_timeout(Some(PATIENCE)),
        _ => Ok(()),
    };
    let _ = match level {
        Level::Error => logger.err(&**line),
        Level::Warning => logger.warning(&**line),
        Level::Info => logger.info(&**line),
    };
}
