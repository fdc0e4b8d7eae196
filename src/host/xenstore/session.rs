//! Requests and their answers: numbering, matching, and setting events aside.
//!
//! Nothing here knows what a request means.

use super::super::Deadline;
use super::Event;
use super::error::Cause;
use super::link::Link;
use super::wire::{self, Message, Op};
use std::collections::{BTreeMap, VecDeque};

/// How many requests of a pipeline are under way at most. So few that all of
/// them and all their answers fit into the buffers of a socket (16 × 4112 bytes
/// each way, of at least 160 KiB): neither side can wait for the other to read.
const WINDOW: usize = 16;

/// The payload of an answer, or the name of the error that was the answer.
pub(super) type Answer = Result<Vec<u8>, String>;

/// A request: what to do, in which transaction (0: in none), with what.
pub(super) struct Request {
    pub op: Op,
    pub transaction: u32,
    pub payload: Vec<u8>,
}

pub(super) struct Session {
    link: Link,
    last_request: u32,
    /// Requests whose answer has not come. Those of a call that was stopped
    /// stay in here: their late answers must not be taken for others.
    awaited: BTreeMap<u32, Op>,
    events: VecDeque<Event>,
    /// Why nothing more can be said on this connection.
    broken: Option<Cause>,
}

impl Session {
    pub(super) fn new(link: Link) -> Session {
        Session { link, last_request: 0, awaited: BTreeMap::new(), events: VecDeque::new(), broken: None }
    }

    /// Whether relative paths may have to be written out: the 4.0 daemon does
    /// not resolve them on its socket. The device always does, and there they
    /// need not be dom0's.
    pub(super) fn may_lack_home(&self) -> bool {
        self.link.is_socket()
    }

    /// Asks one thing.
    pub(super) fn ask(&mut self, request: Request, deadline: Deadline) -> Result<Answer, Cause> {
        let number = self.send(request, deadline)?;
        loop {
            let (answered, answer) = self.receive_answer(deadline)?;
            if answered == number {
                return Ok(answer);
            }
        }
    }

    /// Asks one thing and does not wait: the answer is dropped when it comes.
    pub(super) fn tell(&mut self, request: Request, deadline: Deadline) -> Result<(), Cause> {
        self.send(request, deadline).map(|_| ())
    }

    /// Asks many things; the answers are in the order of the requests.
    pub(super) fn ask_many(
        &mut self,
        requests: Vec<Request>,
        deadline: Deadline,
    ) -> Result<Vec<Answer>, Cause> {
        let window = if self.link.is_socket() { WINDOW } else { 1 };
        let mut answers: Vec<Option<Answer>> = requests.iter().map(|_| None).collect();
        let mut waiting = BTreeMap::new();
        let mut requests = requests.into_iter().enumerate();
        loop {
            let next = if waiting.len() < window { requests.next() } else { None };
            if let Some((index, request)) = next {
                waiting.insert(self.send(request, deadline)?, index);
            } else if waiting.is_empty() {
                return Ok(answers.into_iter().flatten().collect());
            } else {
                let (answered, answer) = self.receive_answer(deadline)?;
                if let Some(index) = waiting.remove(&answered) {
                    answers[index] = Some(answer);
                }
            }
        }
    }

    /// The next event of a watch.
    pub(super) fn next_event(&mut self, deadline: Deadline) -> Result<Event, Cause> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(event);
            }
            self.receive(deadline)?;
        }
    }

    fn send(&mut self, request: Request, deadline: Deadline) -> Result<u32, Cause> {
        self.usable()?;
        let limit = self.link.payload_max();
        if request.payload.len() > limit {
            return Err(wire::too_long(request.payload.len(), limit));
        }
        self.last_request = self.last_request.wrapping_add(1);
        let number = self.last_request;
        let bytes = wire::encode(request.op, number, request.transaction, &request.payload)?;
        match self.link.send(bytes, deadline) {
            Ok(()) => drop(self.awaited.insert(number, request.op)),
            Err((cause, begun)) => {
                if begun {
                    self.awaited.insert(number, request.op);
                }
                return Err(self.note(cause));
            }
        }
        Ok(number)
    }

    /// The next answer, which may be one to an earlier call that was stopped.
    fn receive_answer(&mut self, deadline: Deadline) -> Result<(u32, Answer), Cause> {
        loop {
            if let Some(answer) = self.receive(deadline)? {
                return Ok(answer);
            }
        }
    }

    /// Receives one message: an answer, or an event, which is set aside.
    fn receive(&mut self, deadline: Deadline) -> Result<Option<(u32, Answer)>, Cause> {
        self.usable()?;
        let message = self.link.receive(deadline);
        let result = message.and_then(|message| match message.kind {
            wire::WATCH_EVENT => self.set_aside(&message.payload).map(|()| None),
            _ => self.answer(message).map(Some),
        });
        result.map_err(|cause| self.note(cause))
    }

    fn set_aside(&mut self, payload: &[u8]) -> Result<(), Cause> {
        // More strings may follow: a later protocol may add to events.
        let mut strings = wire::strings(payload)?.into_iter();
        let (Some(path), Some(token)) = (strings.next(), strings.next()) else {
            return Err(wire::unexpected("an event without path and token"));
        };
        self.events.push_back(Event { path, token });
        Ok(())
    }

    fn answer(&mut self, message: Message) -> Result<(u32, Answer), Cause> {
        let Some(op) = self.awaited.remove(&message.request) else {
            return Err(wire::unexpected(&format!(
                "an answer to request {}, which is not open",
                message.request
            )));
        };
        match message.kind {
            wire::ERROR => Ok((message.request, Err(wire::string(&message.payload)?))),
            kind if kind == op as u32 => Ok((message.request, Ok(message.payload))),
            kind => {
                Err(wire::unexpected(&format!("an answer of type {kind} to a request of type {}", op as u32)))
            }
        }
    }

    fn usable(&self) -> Result<(), Cause> {
        self.broken.clone().map_or(Ok(()), Err)
    }

    /// Remembers what leaves the connection in an unknown state.
    fn note(&mut self, cause: Cause) -> Cause {
        if matches!(cause, Cause::Closed | Cause::System(_) | Cause::Protocol(_)) {
            self.broken = Some(cause.clone());
        }
        cause
    }
}
