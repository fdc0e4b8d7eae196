//! The line to xenstored: a Unix socket, or the kernel's xenbus device.
//!
//! It carries bytes under a deadline and knows messages only by their ends.
//! Nothing here waits longer than the deadline says.

use super::super::Deadline;
use super::super::root::Inside;
use super::error::{Cause, Error};
use super::wire::{self, Message};
use nix::errno::Errno;
use nix::fcntl::{self, FcntlArg, OFlag};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{self, AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, sockopt};
use nix::sys::stat::{self, Mode, SFlag};
use nix::sys::time::TimeVal;
use nix::unistd;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

/// A signal that arrives between the look at the deadline and the wait does not
/// interrupt the wait: no single wait is longer than this.
const LONGEST_WAIT: Duration = Duration::from_millis(500);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Socket,
    Device,
}

pub(super) struct Link {
    fd: OwnedFd,
    kind: Kind,
    /// What is left of a message that has been sent in part.
    unsent: Vec<u8>,
    /// What has been received of messages not taken yet.
    received: Vec<u8>,
}

impl Link {
    /// Opens the first of `places` where something is to be opened.
    pub(super) fn open_first(places: &[Inside], deadline: Deadline) -> Result<Link, Error> {
        let mut tried = Vec::new();
        for place in places {
            match Link::open(place, deadline) {
                Ok(link) => return Ok(link),
                Err(cause @ Cause::Stopped(_)) => {
                    return Err(cause.doing(&format!("connecting to {}", place.name().display())));
                }
                Err(cause) => tried.push((place.name().to_owned(), cause)),
            }
        }
        Err(Error::Unreachable { tried })
    }

    /// Like xs.c's get_handle, a socket is connected to and a device opened.
    /// Anything else would be written into; but /proc/xen/xenbus is not a
    /// device by its mode (xenfs_files in xenfs/super.c).
    fn open(place: &Inside, deadline: Deadline) -> Result<Link, Cause> {
        let (fd, kind) = match file_type(place)? {
            SFlag::S_IFSOCK => (connect(place, deadline)?, Kind::Socket),
            kind if kind == SFlag::S_IFCHR || place.name().starts_with("/proc") => {
                let flags = OFlag::O_RDWR | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
                (fcntl::open(&**place, flags, Mode::empty())?, Kind::Device)
            }
            _ => return Err(Cause::Invalid("neither a socket nor a device".to_owned())),
        };
        Ok(Link { fd, kind, unsent: Vec::new(), received: Vec::new() })
    }

    pub(super) fn is_socket(&self) -> bool {
        self.kind == Kind::Socket
    }

    /// The longest payload of a request: the device's buffer holds 4096 bytes
    /// with the header (struct xenbus_file_priv in xenbus_dev_frontend.c).
    pub(super) fn payload_max(&self) -> usize {
        match self.kind {
            Kind::Socket => wire::PAYLOAD_MAX,
            Kind::Device => wire::PAYLOAD_MAX - wire::HEADER,
        }
    }

    /// Sends a message; false in the error says that no byte of it was sent.
    ///
    /// A message that was sent in part is completed before the next one: the
    /// daemon would take the next for its remainder.
    pub(super) fn send(&mut self, message: Vec<u8>, deadline: Deadline) -> Result<(), (Cause, bool)> {
        self.flush(deadline).map_err(|cause| (cause, false))?;
        let len = message.len();
        self.unsent = message;
        self.flush(deadline).map_err(|cause| {
            let begun = self.unsent.len() < len;
            if !begun {
                self.unsent.clear();
            }
            (cause, begun)
        })
    }

    fn flush(&mut self, deadline: Deadline) -> Result<(), Cause> {
        while !self.unsent.is_empty() {
            deadline.remaining()?;
            match self.send_some() {
                Ok(count) => drop(self.unsent.drain(..count)),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => self.wait(PollFlags::POLLOUT, deadline)?,
                // The device answers so where it does not pass a message on, and
                // forgets the message (xenbus_file_write).
                Err(errno) if self.kind == Kind::Device => {
                    return Err(Cause::Refused(format!("{errno:?}")));
                }
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }

    /// The device takes a message in one write(2), at once and without
    /// POLLOUT, which its poll never reports (xenbus_file_poll).
    fn send_some(&self) -> Result<usize, Errno> {
        match self.kind {
            Kind::Socket => socket::send(self.fd.as_raw_fd(), &self.unsent, MsgFlags::MSG_NOSIGNAL),
            Kind::Device => unistd::write(&self.fd, &self.unsent),
        }
    }

    /// The next message, whatever it is.
    pub(super) fn receive(&mut self, deadline: Deadline) -> Result<Message, Cause> {
        loop {
            if let Some(message) = wire::take(&mut self.received)? {
                return Ok(message);
            }
            deadline.remaining()?;
            let mut buffer = [0; wire::HEADER + wire::PAYLOAD_MAX];
            match unistd::read(&self.fd, &mut buffer) {
                Ok(0) => return Err(Cause::Closed),
                Ok(count) => self.received.extend_from_slice(&buffer[..count]),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => self.wait(PollFlags::POLLIN, deadline)?,
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    fn wait(&self, readiness: PollFlags, deadline: Deadline) -> Result<(), Cause> {
        let wait = deadline.remaining()?.min(LONGEST_WAIT);
        // Rounded up: a wait of 0 ms in the last millisecond would spin.
        let timeout = PollTimeout::try_from(wait + Duration::from_millis(1)).unwrap_or(PollTimeout::ZERO);
        match poll(&mut [PollFd::new(self.fd.as_fd(), readiness)], timeout) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}

/// Whether a socket is at `place`; not to be there at all is an error.
pub(super) fn is_socket(place: &Path) -> Result<bool, Errno> {
    Ok(file_type(place)? == SFlag::S_IFSOCK)
}

fn file_type(place: &Path) -> Result<SFlag, Errno> {
    Ok(SFlag::from_bits_truncate(stat::stat(place)?.st_mode) & SFlag::S_IFMT)
}

/// Connects, and makes the socket nonblocking only then: connect(2) on a full
/// queue answers EAGAIN to a nonblocking socket and there is nothing to poll
/// for, while a blocking one waits as long as SO_SNDTIMEO (unix(7), socket(7)).
fn connect(place: &Path, deadline: Deadline) -> Result<OwnedFd, Cause> {
    let fd = socket::socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    let address = UnixAddr::new(place)?;
    loop {
        let wait = deadline.remaining()?.min(LONGEST_WAIT);
        let micros = i64::try_from(wait.as_micros()).unwrap_or(0).max(1);
        // Not zero, which would be no limit at all.
        let limit = TimeVal::new(micros / 1_000_000, micros % 1_000_000);
        socket::setsockopt(&fd, sockopt::SendTimeout, &limit)?;
        match socket::connect(fd.as_raw_fd(), &address) {
            Ok(()) => break,
            Err(Errno::EINTR | Errno::EAGAIN) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    fcntl::fcntl(&fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok(fd)
}

#[cfg(test)]
mod tests {
    use super::super::wire::Op;
    use super::*;
    use crate::host::Stop;
    use crate::host::root::{Last, Root};

    fn pair(kind: Kind, socket_type: SockType) -> (Link, OwnedFd) {
        let flags = SockFlag::SOCK_CLOEXEC;
        let (ours, theirs) = socket::socketpair(AddressFamily::Unix, socket_type, None, flags).unwrap();
        fcntl::fcntl(&ours, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        let link = Link { fd: ours, kind, unsent: Vec::new(), received: Vec::new() };
        (link, theirs)
    }

    fn request(number: u32) -> Vec<u8> {
        wire::encode(Op::Write, number, 0, &[number as u8; wire::PAYLOAD_MAX]).unwrap()
    }

    #[test]
    fn a_message_that_was_sent_in_part_is_completed_before_the_next() {
        let (mut link, peer) = pair(Kind::Socket, SockType::Stream);
        socket::setsockopt(&link.fd, sockopt::SndBuf, &4608).unwrap();
        let mut begun = 0;
        let stopped = loop {
            match link.send(request(begun + 1), Deadline::after(Duration::from_millis(100))) {
                Ok(()) => begun += 1,
                Err(stopped) => break stopped,
            }
        };
        assert_eq!(stopped.0, Cause::Stopped(Stop::Deadline));
        begun += u32::from(stopped.1);
        let deadline = Deadline::after(Duration::from_secs(10));
        let reader = std::thread::spawn(move || {
            let mut peer = Link { fd: peer, kind: Kind::Socket, unsent: Vec::new(), received: Vec::new() };
            (1..)
                .map_while(|_| peer.receive(deadline).ok())
                .map(|message| message.request)
                .collect::<Vec<_>>()
        });
        link.send(request(99), deadline).unwrap();
        drop(link);
        let expected: Vec<u32> = (1..=begun).chain([99]).collect();
        assert_eq!(reader.join().unwrap(), expected);
    }

    #[test]
    fn the_device_is_given_a_message_in_one_write() {
        let (mut link, peer) = pair(Kind::Device, SockType::SeqPacket);
        let message = wire::encode(Op::Write, 1, 0, &vec![b'x'; link.payload_max()]).unwrap();
        link.send(message.clone(), Deadline::after(Duration::from_secs(10))).unwrap();
        let mut buffer = [0; 2 * wire::PAYLOAD_MAX];
        assert_eq!(unistd::read(&peer, &mut buffer).unwrap(), wire::PAYLOAD_MAX);
        assert_eq!(buffer[..wire::PAYLOAD_MAX], message);
    }

    #[test]
    fn descriptors_are_closed_on_exec_and_do_not_block() {
        let soon = Deadline::after(Duration::from_secs(10));
        let directory = std::env::temp_dir().join(format!("xs-link-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let (socket, file) = (directory.join("socket"), directory.join("file"));
        let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        std::fs::write(&file, "").unwrap();
        let root = Root::new(std::path::Path::new("/"));
        let at = |path: &std::path::Path| root.find(path.to_str().unwrap(), Last::Followed).unwrap();
        assert!(matches!(Link::open(&at(&file), soon).err().unwrap(), Cause::Invalid(_)));
        for place in [socket, "/dev/null".into()] {
            let link = Link::open(&at(&place), soon).unwrap();
            assert_eq!(
                fcntl::fcntl(&link.fd, FcntlArg::F_GETFD).unwrap() & libc::FD_CLOEXEC,
                libc::FD_CLOEXEC
            );
            assert_eq!(
                fcntl::fcntl(&link.fd, FcntlArg::F_GETFL).unwrap() & libc::O_NONBLOCK,
                libc::O_NONBLOCK
            );
        }
        drop(listener);
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
