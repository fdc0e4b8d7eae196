//! Generic netlink: finding a family, asking it, and dumping from it.
//!
//! It must not know any family's commands or attributes. Every conversation
//! has a socket of its own: a dump that was given up leaves nothing behind that
//! could answer the next request (or refuse it: EBUSY), and a forked child
//! shares none with its parent.

mod attributes;
mod socket;

pub use attributes::{attribute, attributes, nest};

use super::{Deadline, Stop};
use netlink_packet_core::{
    Emitable, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, NLMSG_NOOP, NetlinkBuffer,
    NetlinkHeader,
};
use netlink_packet_generic::GenlHeader;
use netlink_packet_generic::constants::{
    CTRL_ATTR_FAMILY_ID, CTRL_ATTR_FAMILY_NAME, CTRL_ATTR_VERSION, CTRL_CMD_GETFAMILY, GENL_HDRLEN,
    GENL_ID_CTRL,
};
use nix::errno::Errno;
use socket::{DATAGRAM, Socket};
use std::cell::RefCell;
use std::fmt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

const NLMSG_HDRLEN: usize = 16;
/// The controller, which knows the others. Its id is fixed.
const CONTROLLER: Family = Family { id: GENL_ID_CTRL, version: 2 };
/// A socket carries one request, so one number is enough to know its answers.
const SEQUENCE: u32 = 1;
/// How often a dump is begun again when messages were lost or the list changed under it.
const DUMP_ATTEMPTS: usize = 4;

/// Generic netlink of the machine below one root directory.
#[derive(Debug, Clone)]
pub struct Genl {
    root: PathBuf,
    deadline: Deadline,
    /// The family that was looked up last. A number is given out anew only when
    /// the module is loaded anew, and then the kernel refuses the old one.
    known: Rc<RefCell<Option<(String, Family)>>>,
    /// For datagrams. One for all conversations: a new one for each would touch
    /// all its pages each time, which costs a Xen dom0 more than the conversation.
    buffer: Rc<RefCell<Vec<u8>>>,
}

/// A registered family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Family {
    /// The message type it answers to, given out anew at each registration.
    pub id: u16,
    /// Its version.
    pub version: u8,
}

/// Why a conversation did not come to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// No family of that name is registered.
    NoFamily(String),
    /// The kernel answered with this error.
    Refused(Errno),
    /// There is no socket to talk to: which, and why.
    Unreachable(String, Errno),
    /// This system call failed.
    Call(&'static str, Errno),
    /// The deadline passed, or a signal came.
    Stopped(Stop),
    /// What was dumped changed, or was lost, each time.
    Unsettled,
    /// Something came that is not an answer.
    Malformed(String),
}

impl Genl {
    /// The kernel's, where `root` is `/`; else the stand-in at
    /// `ROOT/run/generic-netlink`, a sequenced-packet socket that speaks the same messages.
    pub fn at(root: &Path, deadline: Deadline) -> Self {
        Genl {
            root: root.to_owned(),
            deadline,
            known: Rc::default(),
            buffer: Rc::new(RefCell::new(vec![0; DATAGRAM])),
        }
    }

    /// The same with another deadline; both know the families that either has looked up.
    pub fn until(&self, deadline: Deadline) -> Self {
        Genl { deadline, ..self.clone() }
    }

    /// Looks the family `name` up, once.
    pub fn family(&self, name: &str) -> Result<Family, Error> {
        if let Some((known, family)) = &*self.known.borrow()
            && known == name
        {
            return Ok(*family);
        }
        let family = self.look_up(name)?;
        *self.known.borrow_mut() = Some((name.into(), family));
        Ok(family)
    }

    fn look_up(&self, name: &str) -> Result<Family, Error> {
        let text = [name.as_bytes(), b"\0"].concat();
        let payload = attribute(CTRL_ATTR_FAMILY_NAME, &text).ok_or_else(|| Error::NoFamily(name.into()))?;
        let answer = match self.request(CONTROLLER, CTRL_CMD_GETFAMILY, &payload) {
            Err(Error::Refused(Errno::ENOENT)) => return Err(Error::NoFamily(name.into())),
            answer => answer?,
        };
        family_from(&answer)
    }

    /// Sends one command and waits for its one answer. Payloads begin after the genlmsghdr.
    ///
    /// The kernel executes the command inside send(2), where the deadline does
    /// not reach: call what may block there from a child that can be killed.
    pub fn request(&self, family: Family, command: u8, payload: &[u8]) -> Result<Vec<u8>, Error> {
        let mut answers = self.converse(family, command, NLM_F_REQUEST, payload)?;
        answers.pop().ok_or_else(|| Error::Malformed("acknowledged without an answer".into()))
    }

    /// Asks for a list; begins again if it changed or was lost on the way.
    pub fn dump(&self, family: Family, command: u8, payload: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
        for _ in 0..DUMP_ATTEMPTS {
            match self.converse(family, command, NLM_F_REQUEST | NLM_F_DUMP, payload) {
                Err(Error::Unsettled | Error::Call("recv", Errno::ENOBUFS)) => {}
                result => return result,
            }
        }
        Err(Error::Unsettled)
    }

    fn converse(
        &self,
        family: Family,
        command: u8,
        flags: u16,
        payload: &[u8],
    ) -> Result<Vec<Vec<u8>>, Error> {
        let socket = Socket::connect(&self.root)?;
        socket.send(&message(family, command, flags, payload))?;
        let mut buffer = self.buffer.borrow_mut();
        let mut answers = Vec::new();
        loop {
            let length = socket.receive(&self.deadline, &mut buffer)?;
            for part in messages(&buffer[..length]) {
                match part?.meaning(family)? {
                    Meaning::Nothing => {}
                    Meaning::End => return Ok(answers),
                    Meaning::Answer(answer) => answers.push(answer.to_vec()),
                }
            }
            if flags & NLM_F_DUMP == 0 && !answers.is_empty() {
                return Ok(answers);
            }
        }
    }
}

/// One netlink message of a datagram.
struct Part<'a> {
    kind: u16,
    flags: u16,
    sequence: u32,
    payload: &'a [u8],
}

enum Meaning<'a> {
    Nothing,
    Answer(&'a [u8]),
    End,
}

impl<'a> Part<'a> {
    fn meaning(&self, family: Family) -> Result<Meaning<'a>, Error> {
        if self.sequence != SEQUENCE || self.kind == NLMSG_NOOP {
            return Ok(Meaning::Nothing);
        }
        if self.flags & NLM_F_DUMP_INTR != 0 {
            return Err(Error::Unsettled);
        }
        match self.kind {
            NLMSG_ERROR => self.status().map(|()| Meaning::End),
            // The end of a dump tells how it ended: an unknown filter shows only here (ENODEV).
            NLMSG_DONE if self.payload.is_empty() => Ok(Meaning::End),
            NLMSG_DONE => self.status().map(|()| Meaning::End),
            kind if kind == family.id => {
                let answer = self.payload.get(GENL_HDRLEN..);
                answer
                    .map(Meaning::Answer)
                    .ok_or_else(|| Error::Malformed("message without a genlmsghdr".into()))
            }
            kind => Err(Error::Malformed(format!("message of type {kind}"))),
        }
    }

    /// The error number that the payload begins with.
    fn status(&self) -> Result<(), Error> {
        let number = self.payload.first_chunk().map(|bytes| i32::from_ne_bytes(*bytes));
        match number {
            None => Err(Error::Malformed("error message without a number".into())),
            Some(0..) => Ok(()),
            Some(negative) => Err(Error::Refused(Errno::from_raw(negative.saturating_neg()))),
        }
    }
}

/// The messages of one datagram; the first broken one is an error and the last.
fn messages(mut datagram: &[u8]) -> impl Iterator<Item = Result<Part<'_>, Error>> {
    std::iter::from_fn(move || {
        if datagram.is_empty() {
            return None;
        }
        let part = first_message(datagram);
        let length = part.as_ref().map_or(datagram.len(), |part| NLMSG_HDRLEN + part.payload.len());
        datagram = datagram.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(part)
    })
}

fn first_message(datagram: &[u8]) -> Result<Part<'_>, Error> {
    let buffer = NetlinkBuffer::new_checked(datagram).map_err(|error| Error::Malformed(error.to_string()))?;
    Ok(Part {
        kind: buffer.message_type(),
        flags: buffer.flags(),
        sequence: buffer.sequence_number(),
        payload: buffer.payload(),
    })
}

fn message(family: Family, command: u8, flags: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; NLMSG_HDRLEN + GENL_HDRLEN];
    let mut header = NetlinkHeader::default();
    header.length = u32::try_from(bytes.len() + payload.len()).unwrap_or(u32::MAX);
    header.message_type = family.id;
    header.flags = flags;
    header.sequence_number = SEQUENCE;
    header.emit(&mut bytes);
    GenlHeader { cmd: command, version: family.version }.emit(&mut bytes[NLMSG_HDRLEN..]);
    bytes.extend(payload);
    bytes
}

fn family_from(answer: &[u8]) -> Result<Family, Error> {
    let (mut id, mut version) = (None, None);
    for attribute in attributes(answer) {
        match attribute.map_err(Error::Malformed)? {
            (CTRL_ATTR_FAMILY_ID, value) => id = value.first_chunk().map(|bytes| u16::from_ne_bytes(*bytes)),
            (CTRL_ATTR_VERSION, value) => {
                version = value.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes))
            }
            _ => {}
        }
    }
    let version = version.and_then(|version| u8::try_from(version).ok());
    match (id, version) {
        (Some(id), Some(version)) => Ok(Family { id, version }),
        _ => Err(Error::Malformed("family without an id or a version".into())),
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NoFamily(name) => write!(f, "the kernel has no generic netlink family {name}"),
            Error::Refused(errno) => write!(f, "the kernel refused the request: {errno}"),
            Error::Unreachable(what, errno) => write!(f, "cannot reach {what}: {errno}"),
            Error::Call(call, errno) => write!(f, "{call} on the netlink socket failed: {errno}"),
            Error::Stopped(stop) => {
                write!(f, "stopped while waiting for the kernel's answer: {stop}")
            }
            Error::Unsettled => f.write_str("the list changed each time while it was read"),
            Error::Malformed(what) => write!(f, "not a netlink answer: {what}"),
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        let hex = hex.trim();
        let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        (0..hex.len()).step_by(2).map(byte).collect()
    }

    fn getfamily() -> Vec<u8> {
        bytes(include_str!("../../tests/fixtures/netlink-8.4/getfamily.hex"))
    }

    fn end(bytes: &[u8]) -> Result<(), Error> {
        let part = Part { sequence: SEQUENCE, ..messages(bytes).next().unwrap().unwrap() };
        part.meaning(CONTROLLER).map(|_| ())
    }

    #[test]
    fn the_family_of_the_capture() {
        let message = getfamily();
        let part = messages(&message).next().unwrap().unwrap();
        assert_eq!((part.kind, part.payload.len()), (GENL_ID_CTRL, 700));
        assert_eq!(family_from(&part.payload[GENL_HDRLEN..]), Ok(Family { id: 32, version: 1 }));
    }

    #[test]
    fn several_messages_of_one_datagram() {
        let done = bytes(include_str!("../../tests/fixtures/netlink-8.4/done.hex"));
        let datagram = [getfamily(), done].concat();
        let kinds: Vec<_> = messages(&datagram).map(|part| part.unwrap().kind).collect();
        assert_eq!(kinds, [GENL_ID_CTRL, NLMSG_DONE]);
    }

    #[test]
    fn a_dump_can_end_in_an_error() {
        let mut done = bytes(include_str!("../../tests/fixtures/netlink-8.4/done.hex"));
        assert_eq!(end(&done), Ok(()));
        done[16..].copy_from_slice(&(-19_i32).to_ne_bytes());
        assert_eq!(end(&done), Err(Error::Refused(Errno::ENODEV)));
        done[6] |= 0x10;
        assert_eq!(end(&done), Err(Error::Unsettled), "NLM_F_DUMP_INTR");
    }

    #[test]
    fn no_truncation_panics() {
        let full = getfamily();
        for end in 0..full.len() {
            for part in messages(&full[..end]) {
                let _ = part.map(|part| family_from(part.payload));
            }
            let _ = family_from(&full[20..][..end.min(full.len() - 20)]);
        }
    }

    #[test]
    fn lengths_that_lie_end_the_datagram() {
        for lie in [0_u32, 1, 15, 717, u32::MAX] {
            let mut message = getfamily();
            message[..4].copy_from_slice(&lie.to_ne_bytes());
            let parts: Vec<_> = messages(&message).take(9).collect();
            assert!(parts.len() == 1 && parts[0].is_err(), "{lie}");
        }
    }
}
