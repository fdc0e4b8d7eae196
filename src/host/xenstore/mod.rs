//! xenstore: the tree through which the toolstack, this program and the kernel
//! speak about a guest's devices.
//!
//! An own client, since the script must be one static file. It knows the
//! protocol and nothing of what the nodes mean. Every call is bounded by the
//! deadline it was given; reading takes `&self`, changing takes `&mut self`.
//! Paths may be relative; they start from this domain's own directory.

#![allow(clippy::disallowed_methods)]

mod dump;
mod error;
mod link;
mod session;
mod transaction;
mod view;
mod wire;

pub use error::{Cause, Error};
pub use transaction::Transaction;

use super::root::{Inside, Last, Root};
use super::{Deadline, Stop};
use dump::Dump;
use link::Link;
use nix::errno::Errno;
use session::Session;
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use view::View;
use wire::Op;

/// Where the environment says that xenstored is.
#[derive(Debug, Clone, Default)]
pub struct Named {
    /// `XENSTORED_PATH`: the socket or device.
    pub path: Option<PathBuf>,
    /// `XENSTORED_RUNDIR`: the directory of the socket.
    pub rundir: Option<PathBuf>,
}

/// A change in the tree that somebody asked to hear of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The node, in the way the watch named it: relative if that was relative.
    /// (Xen 4.0 is an exception: match on the token.)
    pub path: String,
    /// The token of the watch.
    pub token: String,
}

/// A connection to xenstore, or a file in its place.
pub struct Xenstore {
    source: Source,
    deadline: Deadline,
}

enum Source {
    Daemon(RefCell<Session>),
    Dump(Dump),
}

impl Xenstore {
    /// Finds xenstore: on this machine if `root` is `/`, else under `root`, where
    /// a file `xenstore` with the output of `xenstore-ls -f` may stand in.
    ///
    /// `deadline` holds until [`Xenstore::set_deadline`].
    pub fn open(root: &Path, named: &Named, deadline: Deadline) -> Result<Xenstore, Error> {
        let root = Root::new(root);
        let places = if root.is_machine() {
            places(named)
        } else {
            let found = root.find(SOCKET, Last::Followed).map_err(|error| errno_of(&error));
            match found.and_then(|socket| Ok((link::is_socket(&socket)?, socket))) {
                Ok((true, socket)) => vec![socket],
                Ok((false, _)) => return Xenstore::open_dump(&root, Errno::ENOTSOCK, deadline),
                Err(errno) => return Xenstore::open_dump(&root, errno, deadline),
            }
        };
        let session = Session::new(Link::open_first(&places, deadline)?);
        Ok(Xenstore { source: Source::Daemon(RefCell::new(session)), deadline })
    }

    fn open_dump(root: &Root, errno: Errno, deadline: Deadline) -> Result<Xenstore, Error> {
        let (socket, file) = (root.path().join(&SOCKET[1..]), root.path().join("xenstore"));
        let read = root.find("/xenstore", Last::Followed).and_then(|found| super::file::read(&found));
        let text = read.map_err(|error| {
            let why = match error.raw_os_error() {
                Some(number) => Errno::from_raw(number).into(),
                None => Cause::Invalid(error.to_string()),
            };
            Error::Unreachable { tried: vec![(socket, errno.into()), (file.clone(), why)] }
        })?;
        Ok(Xenstore { source: Source::Dump(Dump::parse(&file, &text)?), deadline })
    }

    /// Bounds everything that follows by another deadline.
    pub fn set_deadline(&mut self, deadline: Deadline) {
        self.deadline = deadline;
    }

    /// The value of a node; none where there is no such node.
    pub fn read(&self, path: &str) -> Result<Option<Vec<u8>>, Error> {
        match &self.source {
            Source::Daemon(session) => self.view(session).read(path),
            Source::Dump(dump) => dump.read(path).map_err(|cause| cause.reading(path)),
        }
    }

    /// The values of many nodes, in their order, in far fewer round trips.
    pub fn read_many(&self, paths: &[String]) -> Result<Vec<Option<Vec<u8>>>, Error> {
        match &self.source {
            Source::Daemon(session) => self.view(session).read_many(paths),
            Source::Dump(_) => paths.iter().map(|path| self.read(path)).collect(),
        }
    }

    /// The names of a node's children in no order; none where there is no such node.
    pub fn directory(&self, path: &str) -> Result<Option<Vec<String>>, Error> {
        match &self.source {
            Source::Daemon(session) => self.view(session).directory(path),
            Source::Dump(dump) => Ok(dump.directory(path)),
        }
    }

    /// Writes a node, and its parents where they are missing.
    pub fn write(&mut self, path: &str, value: &[u8]) -> Result<(), Error> {
        let session = self.session().map_err(|cause| cause.changing("writing", path))?;
        self.view(session).write(path, value)
    }

    /// Removes a node and everything below it. It may be missing.
    pub fn rm(&mut self, path: &str) -> Result<(), Error> {
        let session = self.session().map_err(|cause| cause.changing("removing", path))?;
        self.view(session).rm(path)
    }

    /// Asks for an event at each change of a node or below it, and for one at once.
    ///
    /// `token` comes back in the events.
    pub fn watch(&mut self, path: &str, token: &str) -> Result<(), Error> {
        self.set_watch(Op::Watch, path, token).map_err(|cause| cause.doing(&format!("watching {path}")))
    }

    /// Ends a watch. Events that are already under way still come.
    pub fn unwatch(&mut self, path: &str, token: &str) -> Result<(), Error> {
        self.set_watch(Op::Unwatch, path, token)
            .map_err(|cause| cause.doing(&format!("no longer watching {path}")))
    }

    /// Waits for the next event; none when `deadline` is over before there is one.
    pub fn next_event(&mut self, deadline: Deadline) -> Result<Option<Event>, Error> {
        let event = self.session().and_then(|session| session.borrow_mut().next_event(deadline));
        match event {
            Err(Cause::Stopped(Stop::Deadline)) => Ok(None),
            event => event.map(Some).map_err(|cause| cause.doing("waiting for a change")),
        }
    }

    /// Runs `body` in a transaction, and again when it could not be committed
    /// because somebody else changed a node that it read or wrote. What `body`
    /// refuses is not committed.
    pub fn transaction<T, E: From<Error>>(
        &mut self,
        body: impl FnMut(&mut Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let session = self.session().map_err(|cause| cause.doing("starting a transaction"))?;
        transaction::run(self.view(session), body)
    }

    fn set_watch(&mut self, op: Op, path: &str, token: &str) -> Result<(), Cause> {
        if token.contains('\0') {
            return Err(Cause::Invalid("the token has a NUL in it".to_owned()));
        }
        let token = format!("{token}\0");
        view::acknowledged(self.view(self.session()?).ask(op, path, token.as_bytes())?)
    }

    fn view<'a>(&self, session: &'a RefCell<Session>) -> View<'a> {
        View { session, deadline: self.deadline, transaction: 0 }
    }

    fn session(&self) -> Result<&RefCell<Session>, Cause> {
        match &self.source {
            Source::Daemon(session) => Ok(session),
            Source::Dump(_) => Err(Cause::ReadOnly),
        }
    }
}

/// The socket of a directory that stands for a machine.
const SOCKET: &str = "/run/xenstored/socket";

/// Without a number it is openat2 that this kernel does not have.
fn errno_of(error: &std::io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(libc::ENOSYS))
}

/// The order of xs.c and of the paths that distributions build it with.
fn places(named: &Named) -> Vec<Inside> {
    let rundir = named.rundir.as_ref().map(|rundir| rundir.join("socket"));
    let usual = [SOCKET, "/var/run/xenstored/socket", "/dev/xen/xenbus", "/proc/xen/xenbus"];
    let paths = named.path.iter().cloned().chain(rundir).chain(usual.map(PathBuf::from));
    paths.map(Root::as_named).collect()
}
