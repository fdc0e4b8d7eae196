//! A disk with a volatile write cache that a power cut really empties.
//!
//! It models an honest drive at its worst: what was written is in the cache and
//! reads see it; only a flush carries it to the medium; a power cut drops the
//! rest. It never lies and never writes back by itself, unless a scenario asks.
//! It keeps every write and flush in order: what was on the medium at any moment
//! can be looked at afterwards. How QEMU reaches it is the business of `nbd`.

use crate::record;
use std::ops::Range;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

/// What a machine asks of the drive.
pub enum Command {
    /// Read this range, in bytes.
    Read(Range<usize>),
    /// Write these bytes at this offset.
    Write(usize, Vec<u8>),
    /// Carry all that is cached to the medium.
    Flush,
}

/// What was read, or an error number.
pub type Answer = Result<Vec<u8>, u32>;

/// What a scenario has the drive do wrong.
#[derive(Clone, Copy, PartialEq)]
pub enum Fault {
    /// It holds every flush and answers none.
    HoldFlushes,
    /// It holds every write: nothing more reaches even the cache. What is in it can still be flushed.
    HoldWrites,
    /// It fails the next flush with an I/O error and carries nothing to the medium.
    FailNextFlush,
}

/// One thing that happened to the drive.
#[derive(Clone)]
pub enum Event {
    /// These bytes came into the cache at this offset.
    Write(usize, Vec<u8>),
    /// All that was cached came onto the medium.
    Flush,
}

type Held = (Command, Box<dyn FnOnce(Answer) + Send>);

/// The drive; it outlives the machines that use it.
pub struct Drive {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// What reads see.
    current: Vec<u8>,
    /// What a power cut leaves.
    durable: Vec<u8>,
    /// Where these two may differ.
    cached: Vec<Range<usize>>,
    history: Vec<Event>,
    fault: Option<Fault>,
    /// The fault that begins with the write of this record.
    fault_at: Option<(u64, Fault)>,
    held: Vec<Held>,
}

const EIO: u32 = 5;
const EINVAL: u32 = 22;

impl Drive {
    /// A new drive of this many bytes, all zero.
    pub fn new(size: usize) -> Drive {
        let state = State {
            current: vec![0; size],
            durable: vec![0; size],
            cached: Vec::new(),
            history: Vec::new(),
            fault: None,
            fault_at: None,
            held: Vec::new(),
        };
        Drive { state: Mutex::new(state), changed: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        match self.state.lock() {
            Ok(state) => state,
            Err(poisoned) => poisoned.into_inner(),
        }
    }

    /// Its size in bytes.
    pub fn size(&self) -> usize {
        self.state().current.len()
    }

    /// Does what is asked and answers, now or, where it holds the command, when it is released.
    pub fn submit(&self, command: Command, answer: impl FnOnce(Answer) + Send + 'static) {
        let mut state = self.state();
        state.notice(&command);
        if state.holds(&command) {
            state.held.push((command, Box::new(answer)));
            self.changed.notify_all();
            return;
        }
        let result = state.perform(command);
        self.changed.notify_all();
        // A machine that is paused takes no answers: it must not keep the lock from the scenario.
        drop(state);
        answer(result);
    }

    /// Begins this fault now.
    pub fn begin(&self, fault: Fault) {
        self.state().fault = Some(fault);
    }

    /// Begins this fault with the write of this record.
    ///
    /// DRBD on the peer receives no record before it has flushed the epochs before it. So only the flush of this
    /// record, and none before it, meets the fault. A fault that begins at once may hold the flush before
    /// it; then the peer's receiver waits in that flush, and this record is never written there.
    pub fn begin_at(&self, record: u64, fault: Fault) {
        self.state().fault_at = Some((record, fault));
    }

    /// Whether the drive holds a flush, once it does or after the limit.
    pub fn holds_flush(&self, limit: Duration) -> bool {
        self.waits_for(limit, |state| state.held.iter().any(|(held, _)| matches!(held, Command::Flush)))
    }

    /// Whether the drive holds the write of a record, once it does or after the limit. DRBD's own
    /// writes do not count.
    pub fn holds_record(&self, limit: Duration) -> bool {
        self.waits_for(limit, |state| state.held.iter().any(|(held, _)| held.records().next().is_some()))
    }

    /// Whether this record is in the cache or on the medium, once it is or after the limit.
    pub fn has_record(&self, number: u64, limit: Duration) -> bool {
        self.waits_for(limit, |state| {
            let start = usize::try_from(record::offset(number)).unwrap_or(usize::MAX);
            state.current.get(start..start.saturating_add(record::SIZE)) == Some(&record::block(number)[..])
        })
    }

    fn waits_for(&self, limit: Duration, wanted: impl Fn(&State) -> bool) -> bool {
        match self.changed.wait_timeout_while(self.state(), limit, |state| !wanted(state)) {
            Ok((_, timeout)) => !timeout.timed_out(),
            Err(_) => false,
        }
    }

    /// Ends a fault: what the drive holds is done now, in order.
    pub fn release(&self) {
        let mut state = self.state();
        state.end_faults();
        let held = std::mem::take(&mut state.held);
        let answers: Vec<_> =
            held.into_iter().map(|(command, answer)| (state.perform(command), answer)).collect();
        drop(state);
        for (result, answer) in answers {
            answer(result);
        }
    }

    /// The drive writes back by itself, as drives do when they please.
    pub fn write_back(&self) {
        self.state().flush();
    }

    /// The power is gone: so is the cache, and what waited. The machine must have ended before.
    pub fn cut(&self) {
        let mut state = self.state();
        for range in std::mem::take(&mut state.cached) {
            let State { current, durable, .. } = &mut *state;
            current[range.clone()].copy_from_slice(&durable[range]);
        }
        state.reset();
    }

    /// All zero, with no history. Nobody may be using it.
    pub fn erase(&self) {
        let mut state = self.state();
        state.current.fill(0);
        state.durable.fill(0);
        state.cached.clear();
        state.history.clear();
        state.reset();
    }

    /// What a power cut would leave now.
    pub fn durable(&self) -> Vec<u8> {
        self.state().durable.clone()
    }

    /// What reads see now.
    pub fn current(&self) -> Vec<u8> {
        self.state().current.clone()
    }

    /// What happened since it was erased.
    pub fn history(&self) -> Vec<Event> {
        self.state().history.clone()
    }
}

impl Command {
    /// The records that it writes.
    fn records(&self) -> impl Iterator<Item = u64> {
        let written = match self {
            Command::Write(offset, data) => Some(record::within(data, *offset)),
            Command::Read(_) | Command::Flush => None,
        };
        written.into_iter().flatten()
    }
}

impl State {
    /// Begins the fault that is to begin with this command.
    fn notice(&mut self, command: &Command) {
        let at = self.fault_at.filter(|(number, _)| command.records().any(|written| written == *number));
        if let Some((_, fault)) = at {
            self.fault = Some(fault);
            self.fault_at = None;
        }
    }

    fn holds(&self, command: &Command) -> bool {
        match command {
            Command::Read(_) => false,
            Command::Write(..) => self.fault == Some(Fault::HoldWrites),
            Command::Flush => self.fault == Some(Fault::HoldFlushes),
        }
    }

    fn perform(&mut self, command: Command) -> Answer {
        match command {
            Command::Read(range) => self.current.get(range).map(<[u8]>::to_vec).ok_or(EINVAL),
            Command::Write(offset, data) => self.write(offset, data),
            Command::Flush if self.fault == Some(Fault::FailNextFlush) => {
                self.fault = None;
                Err(EIO)
            }
            Command::Flush => {
                self.flush();
                Ok(Vec::new())
            }
        }
    }

    fn write(&mut self, offset: usize, data: Vec<u8>) -> Answer {
        let range = offset..offset.saturating_add(data.len());
        self.current.get_mut(range.clone()).ok_or(EINVAL)?.copy_from_slice(&data);
        self.cached.push(range);
        self.history.push(Event::Write(offset, data));
        Ok(Vec::new())
    }

    fn flush(&mut self) {
        for range in self.cached.drain(..) {
            self.durable[range.clone()].copy_from_slice(&self.current[range]);
        }
        self.history.push(Event::Flush);
    }

    fn end_faults(&mut self) {
        self.fault = None;
        self.fault_at = None;
    }

    fn reset(&mut self) {
        self.held.clear();
        self.end_faults();
    }
}
