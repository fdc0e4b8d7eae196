//! How long a piece of work may take, and whether somebody asked it to stop.
//!
//! Everything that can block asks its [`Deadline`] first, with the time that is
//! left as its limit. It must not be widened: the caller of the program kills
//! it with SIGKILL when its own patience ends.

use std::fmt;
use std::time::{Duration, Instant};

/// Longer than any process lives, and little enough for every clock: a hundred years.
const NEVER: Duration = Duration::from_secs(100 * 365 * 86_400);

/// The point in time at which a piece of work gives up.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    at: Instant,
    heeds_signals: bool,
}

/// Why a piece of work stops before it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Its time is over.
    Deadline,
    /// This signal arrived.
    Signal(i32),
}

impl Deadline {
    /// A deadline `patience` from now, which a signal brings forward to at once. What the clock
    /// cannot count to is [`NEVER`].
    #[allow(clippy::disallowed_methods)]
    pub fn after(patience: Duration) -> Self {
        let now = Instant::now();
        Deadline { at: now.checked_add(patience).unwrap_or(now + NEVER), heeds_signals: true }
    }

    /// The same deadline for work that must be done in spite of a signal: undoing.
    pub fn despite_signals(self) -> Self {
        Deadline { heeds_signals: false, ..self }
    }

    /// The earlier of this deadline and `patience` from now.
    pub fn at_most(self, patience: Duration) -> Self {
        let other = Deadline::after(patience);
        Deadline { at: self.at.min(other.at), ..self }
    }

    /// A deadline after one of so many equal parts of what is left.
    pub fn share(self, parts: u32) -> Self {
        let left = self.remaining().unwrap_or(Duration::ZERO);
        self.at_most(left / parts.max(1))
    }

    /// A deadline that leaves `time` until this one.
    pub fn earlier_by(self, time: Duration) -> Self {
        Deadline { at: self.at.checked_sub(time).unwrap_or(self.at), ..self }
    }

    /// The time that is left, or why to stop now.
    #[allow(clippy::disallowed_methods)]
    pub fn remaining(&self) -> Result<Duration, Stop> {
        if let Some(signal) = super::signals::received().filter(|_| self.heeds_signals) {
            return Err(Stop::Signal(signal));
        }
        match self.at.checked_duration_since(Instant::now()) {
            Some(left) if !left.is_zero() => Ok(left),
            _ => Err(Stop::Deadline),
        }
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stop::Deadline => f.write_str("the time allowed for it is over"),
            Stop::Signal(number) => write!(f, "signal {number} asked to stop"),
        }
    }
}

impl std::error::Error for Stop {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_patience_is_too_long() {
        for patience in [NEVER, Duration::from_secs(i64::MAX.unsigned_abs()), Duration::MAX] {
            assert!(Deadline::after(patience).remaining().unwrap() > NEVER / 2, "{patience:?}");
            assert!(Deadline::after(Duration::ZERO).at_most(patience).remaining().is_err());
        }
    }
}
