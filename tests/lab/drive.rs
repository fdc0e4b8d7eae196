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

/// What the drive no longer answers.
#[derive(Clone, Copy, PartialEq)]
pub enum Stall {
    /// Flushes.
    Flushes,
    /// Writes: nothing more reaches even the cache. What is in it can still be flushed.
    Writes,
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
    held_one: Condvar,
}

struct State {
    /// What reads see.
    current: Vec<u8>,
    /// What a power cut leaves.
    durable: Vec<u8>,
    /// Where these two may differ.
    cached: Vec<Range<usize>>,
    history: Vec<Event>,
    stalled: Option<Stall>,
    held: Vec<Held>,
    fail_next_flush: bool,
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
            stalled: None,
            held: Vec::new(),
            fail_next_flush: false,
        };
        Drive { state: Mutex::new(state), held_one: Condvar::new() }
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

    /// Does what is asked and answers, now or, where it stalls, when it is released.
    pub fn submit(&self, command: Command, answer: impl FnOnce(Answer) + Send + 'static) {
        let mut state = self.state();
        if state.holds(&command) {
            state.held.push((command, Box::new(answer)));
            self.held_one.notify_all();
            return;
        }
        let result = state.perform(command);
        // A machine that is paused takes no answers: it must not keep the lock from the scenario.
        drop(state);
        answer(result);
    }

    /// From now on these commands wait.
    pub fn stall(&self, stalled: Stall) {
        self.state().stalled = Some(stalled);
    }

    /// Whether a command waits, once one does or after the limit.
    pub fn waits_for_held(&self, limit: Duration) -> bool {
        self.waits_for(limit, |_| true)
    }

    /// The same of the write of a record: DRBD's own writes are not meant.
    pub fn waits_for_held_record(&self, limit: Duration) -> bool {
        self.waits_for(limit, |command| match command {
            Command::Write(offset, data) => record::within(data, *offset).next().is_some(),
            _ => false,
        })
    }

    fn waits_for(&self, limit: Duration, wanted: impl Fn(&Command) -> bool) -> bool {
        let missing = |state: &mut State| !state.held.iter().any(|(command, _)| wanted(command));
        match self.held_one.wait_timeout_while(self.state(), limit, missing) {
            Ok((_, timeout)) => !timeout.timed_out(),
            Err(_) => false,
        }
    }

    /// Ends a stall: what waited is done now, in order.
    pub fn release(&self) {
        let mut state = self.state();
        state.stalled = None;
        let held = std::mem::take(&mut state.held);
        let answers: Vec<_> =
            held.into_iter().map(|(command, answer)| (state.perform(command), answer)).collect();
        drop(state);
        for (result, answer) in answers {
            answer(result);
        }
    }

    /// The next flush fails with an I/O error and carries nothing to the medium.
    pub fn fail_next_flush(&self) {
        self.state().fail_next_flush = true;
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

impl State {
    fn holds(&self, command: &Command) -> bool {
        match command {
            Command::Read(_) => false,
            Command::Write(..) => self.stalled == Some(Stall::Writes),
            Command::Flush => self.stalled == Some(Stall::Flushes),
        }
    }

    fn perform(&mut self, command: Command) -> Answer {
        match command {
            Command::Read(range) => self.current.get(range).map(<[u8]>::to_vec).ok_or(EINVAL),
            Command::Write(offset, data) => self.write(offset, data),
            Command::Flush if self.fail_next_flush => {
                self.fail_next_flush = false;
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

    fn reset(&mut self) {
        self.held.clear();
        self.stalled = None;
        self.fail_next_flush = false;
    }
}
