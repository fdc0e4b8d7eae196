//! The socket that netlink messages go through: the kernel's, or a stand-in's.
//!
//! It must not look into the messages.

use super::Error;
use crate::host::Deadline;
use crate::host::root::{Last, Root};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, SockaddrLike, UnixAddr, connect,
    recv, send, setsockopt, socket, sockopt,
};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

/// One datagram of the kernel's never exceeds 32 KiB (`netlink_dump`, af_netlink.c); twice that is room.
pub const DATAGRAM: usize = 64 * 1024;
/// What may wait for us in the kernel, as drbdsetup asks for.
const QUEUE: usize = 1024 * 1024;

/// A connected socket that keeps message boundaries.
pub struct Socket(OwnedFd);

impl Socket {
    /// The kernel's generic netlink where `root` is `/`, else `ROOT/run/generic-netlink`.
    pub fn connect(root: &Path) -> Result<Self, Error> {
        let root = Root::new(root);
        if root.is_machine() {
            return Self::kernel().map_err(|errno| Error::Unreachable("generic netlink".into(), errno));
        }
        let name = root.path().join("run/generic-netlink").display().to_string();
        let connected = match root.find("/run/generic-netlink", Last::Followed) {
            Ok(place) => Self::stand_in(&place),
            Err(error) => Err(Errno::from_raw(error.raw_os_error().unwrap_or(libc::ENOSYS))),
        };
        connected.map_err(|errno| Error::Unreachable(name, errno))
    }

    fn kernel() -> nix::Result<Self> {
        let protocol = SockProtocol::NetlinkGeneric;
        let fd = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
        setsockopt(&fd, sockopt::RcvBuf, &QUEUE)?;
        Self::to(fd, &NetlinkAddr::new(0, 0))
    }

    fn stand_in(path: &Path) -> nix::Result<Self> {
        let fd = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None)?;
        Self::to(fd, &UnixAddr::new(path)?)
    }

    fn to(fd: OwnedFd, address: &dyn SockaddrLike) -> nix::Result<Self> {
        while let Err(errno) = connect(fd.as_raw_fd(), address) {
            if errno != Errno::EINTR {
                return Err(errno);
            }
        }
        Ok(Socket(fd))
    }

    /// Sends one message. The kernel works on it inside this call, so it lasts
    /// as long as that work and no deadline reaches it, only a signal: the kernel then
    /// answers so. EINTR says that nothing was sent (send(2)).
    pub fn send(&self, message: &[u8]) -> Result<(), Error> {
        loop {
            match send(self.0.as_raw_fd(), message, MsgFlags::MSG_NOSIGNAL) {
                Ok(_) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(Error::Call("send", errno)),
            }
        }
    }

    /// The length of the next datagram, which is put into `buffer` ([`DATAGRAM`]
    /// bytes), waiting for it no longer than `deadline`.
    pub fn receive(&self, deadline: &Deadline, buffer: &mut [u8]) -> Result<usize, Error> {
        loop {
            // The kernel has answered before send(2) returns: most often there is nothing to wait for.
            // MSG_TRUNC makes recv return the datagram's length where that is more than fits.
            match recv(self.0.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_TRUNC) {
                Ok(0) => {
                    return Err(Error::Malformed("connection closed before the answer was complete".into()));
                }
                Ok(length) if length > buffer.len() => {
                    return Err(Error::Malformed(format!("datagram of {length} bytes")));
                }
                Ok(length) => return Ok(length),
                Err(Errno::EINTR | Errno::EAGAIN) => self.wait(deadline)?,
                Err(errno) => return Err(Error::Call("recv", errno)),
            }
        }
    }

    fn wait(&self, deadline: &Deadline) -> Result<(), Error> {
        loop {
            let left = deadline.remaining().map_err(Error::Stopped)?;
            let limit = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            match poll(&mut [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)], limit) {
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) => return Ok(()),
                Err(errno) => return Err(Error::Call("poll", errno)),
            }
        }
    }
}
