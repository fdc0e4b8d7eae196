//! The machine: the one place that touches it, or a directory in its place.
//!
//! Reading takes `&Host`, changing takes `&mut Host`. Every path is relative to
//! the root that the host was made with, so `--sysroot DIR` reads, and the
//! tests change, a directory in place of the machine. Nothing here knows what
//! a resource or a guest is.

#![allow(clippy::disallowed_methods)]

pub mod bounded;
mod deadline;
pub mod device;
mod file;
pub mod genl;
mod group;
mod links;
pub mod lock;
pub mod output;
pub mod own;
pub mod program;
mod root;
mod signals;
mod start;
pub mod supervised;
mod sys;
pub mod syslog;
mod trust;
pub mod xenstore;

use crate::place::{Mistake, Place};
use anyhow::{Context, Result};
use std::cell::{OnceCell, RefCell};
use std::fs;
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{DirEntryExt, PermissionsExt};
use std::path::Path;
use std::string::FromUtf8Error;
use std::time::{Duration, Instant, SystemTime};

pub use deadline::{Deadline, Stop};
use genl::Genl;
use root::{Inside, Last, Root};
pub use start::begin;
use xenstore::Xenstore;

/// The machine, or a directory that stands for one.
pub struct Host {
    root: Root,
    deadline: Deadline,
    started: Instant,
    times: RefCell<Vec<(&'static str, Duration)>>,
    xenstore_named: xenstore::Named,
    xenstore: OnceCell<Xenstore>,
    genl: Genl,
}

/// The beginning of a program.
pub struct Program {
    /// Its first bytes, at most 64.
    pub first_bytes: Vec<u8>,
    /// Whether anybody may execute it.
    pub executable: bool,
}

/// What stands at a path, links followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file that somebody may execute; that is enough for root.
    Executable,
    /// Another regular file.
    File,
    /// A directory.
    Directory,
    /// A device, a FIFO, a socket.
    Other,
}

impl Host {
    /// The machine under `root` (`/` for this one), with `deadline` for all that is done on it.
    pub fn new(root: &Path, xenstore_named: xenstore::Named, deadline: Deadline) -> Self {
        Host {
            root: Root::new(root),
            deadline,
            started: Instant::now(),
            times: RefCell::new(Vec::new()),
            xenstore_named,
            xenstore: OnceCell::new(),
            genl: Genl::at(root, deadline),
        }
    }

    /// The directory that stands for the machine.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// When whatever is being done must be over.
    pub fn deadline(&self) -> Deadline {
        self.deadline
    }

    /// Allows what follows until `deadline`.
    pub fn set_deadline(&mut self, deadline: Deadline) {
        self.deadline = deadline;
        if let Some(xenstore) = self.xenstore.get_mut() {
            xenstore.set_deadline(deadline);
        }
    }

    /// The time since this program began its work.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// The time, in seconds since 1970; a clock before that counts as 0.
    pub fn now(&self) -> u64 {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        since.map_or(0, |since| since.as_secs())
    }

    /// Runs `work` and notes how long it took; work of one name adds up.
    pub fn timed<T>(&self, name: &'static str, work: impl FnOnce() -> T) -> T {
        let before = self.started.elapsed();
        let result = work();
        self.note(name, before);
        result
    }

    /// Notes the time since `before` for work that needs the host for itself.
    pub fn note(&self, name: &'static str, before: Duration) {
        let took = self.started.elapsed() - before;
        let mut times = self.times.borrow_mut();
        match times.iter_mut().find(|(other, _)| *other == name) {
            Some((_, sum)) => *sum += took,
            None => times.push((name, took)),
        }
    }

    /// How long each kind of work has taken so far, and `cpu`: the processor
    /// time of this process and its children, which no other process slows down.
    pub fn times(&self) -> Vec<(&'static str, Duration)> {
        let mut times = self.times.borrow().clone();
        times.push(("cpu", sys::processor_time()));
        times
    }

    /// The text of a file, without the line end that closes /sys files.
    pub fn read_text(&self, path: &str) -> Result<String> {
        self.read_optional(path)?.with_context(|| format!("{path} does not exist"))
    }

    /// The same, or `None` where there is no such file.
    pub fn read_optional(&self, path: &str) -> Result<Option<String>> {
        match self.inside(path).and_then(|found| file::read(&found)) {
            Ok(bytes) => text_of(path, bytes).map(Some),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("reading {path}")),
        }
    }

    /// The value of a kernel parameter that is a text, white space included: without the one line end
    /// that the kernel adds when it is read (kernel/params.c, param_get_string).
    pub fn read_parameter(&self, path: &str) -> Result<String> {
        let read = self.inside(path).and_then(|found| file::read(&found));
        let bytes = read.with_context(|| format!("reading {path}"))?;
        let mut text = String::from_utf8(bytes).map_err(|error| not_text(path, &error))?;
        if text.ends_with('\n') {
            text.pop();
        }
        Ok(text)
    }

    /// What is at `path` of the root's, links followed.
    fn inside(&self, path: &str) -> io::Result<Inside> {
        self.root.find(path, Last::Followed)
    }

    /// A path that the caller named on his own command line, as one of the root's: on the
    /// machine itself it is relative to where he stands, and in a directory to that.
    pub fn given_path(&self, path: &str) -> Result<String> {
        if !self.root.is_machine() {
            return Ok(format!("/{}", path.trim_start_matches('/')));
        }
        let path = std::path::absolute(path).with_context(|| format!("finding {path}"))?;
        path.into_os_string().into_string().map_err(|path| anyhow::anyhow!("{path:?} is not text"))
    }

    /// The text of a file that the caller named on his own command line: on this
    /// machine, whatever the root is.
    pub fn read_given(&self, path: &Path) -> Result<String> {
        let name = path.display().to_string();
        let bytes = file::read_any(path, self.deadline).with_context(|| format!("reading {name}"))?;
        text_of(&name, bytes)
    }

    /// Whether the root has that directory at all. What a root that stands for a machine
    /// lacks is unknown; what the machine itself lacks is not there.
    pub fn is_whole(&self, directory: &str) -> bool {
        self.root.is_machine()
            || self.root.metadata(directory, Last::Followed).is_ok_and(|found| found.is_dir())
    }

    /// A program by its path: how it begins and whether it may be executed; `None` where there is none.
    pub fn program(&self, path: &str) -> Result<Option<Program>> {
        let read = || -> io::Result<Program> {
            let file = file::open(&self.inside(path)?)?;
            let executable = file.metadata()?.permissions().mode() & 0o111 != 0;
            let mut first_bytes = Vec::new();
            file.take(64).read_to_end(&mut first_bytes)?;
            Ok(Program { first_bytes, executable })
        };
        match read() {
            Ok(program) => Ok(Some(program)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("opening {path}")),
        }
    }

    /// What stands at `path`, which is not opened; `None` where there is nothing.
    pub fn kind(&self, path: &str) -> Result<Option<Kind>> {
        let found = match self.root.metadata(path, Last::Followed) {
            Ok(found) => found,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            Err(error) => return Err(error).with_context(|| format!("looking at {path}")),
        };
        let executable = found.permissions().mode() & 0o111 != 0;
        Ok(Some(match (found.is_file(), found.is_dir()) {
            (true, _) if executable => Kind::Executable,
            (true, _) => Kind::File,
            (_, true) => Kind::Directory,
            _ => Kind::Other,
        }))
    }

    /// The arguments of the process that called this one, each followed by a NUL.
    pub fn caller(&self) -> Result<String> {
        self.read_text(&format!("/proc/{}/cmdline", nix::unistd::getppid()))
    }

    /// The names in a directory, sorted; none where there is no such directory.
    pub fn list(&self, path: &str) -> Result<Vec<String>> {
        Ok(self.list_inodes(path)?.into_iter().map(|(name, _)| name).collect())
    }

    /// The names in a directory with their inode numbers; none where there is no such directory.
    pub fn list_inodes(&self, path: &str) -> Result<Vec<(String, u64)>> {
        Ok(self.entries(path)?.unwrap_or_default())
    }

    /// The names in a directory, sorted, or `None` where there is no such directory. A name
    /// that is not UTF-8 is there too, with U+FFFD for what is not.
    pub fn list_optional(&self, path: &str) -> Result<Option<Vec<String>>> {
        let entries = self.entries(path)?;
        Ok(entries.map(|entries| entries.into_iter().map(|(name, _)| name).collect()))
    }

    fn entries(&self, path: &str) -> Result<Option<Vec<(String, u64)>>> {
        let entries = loop {
            match self.inside(path).and_then(|directory| fs::read_dir(&*directory)) {
                Ok(entries) => break entries,
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                // std makes every other call again, but not this one.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).with_context(|| format!("listing {path}")),
            }
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.with_context(|| format!("listing {path}"))?;
            names.push((entry.file_name().to_string_lossy().into_owned(), entry.ino()));
        }
        names.sort();
        Ok(Some(names))
    }

    /// Whether there is anything at `path`.
    pub fn exists(&self, path: &str) -> bool {
        self.root.metadata(path, Last::Followed).is_ok()
    }

    /// The xenstore, opened when it is first asked for.
    pub fn xenstore(&self) -> Result<&Xenstore> {
        if self.xenstore.get().is_none() {
            let opened = Xenstore::open(self.root.path(), &self.xenstore_named, self.deadline)?;
            let _ = self.xenstore.set(opened);
        }
        self.xenstore.get().context("xenstore is not open")
    }

    /// The xenstore, to change it.
    pub fn xenstore_mut(&mut self) -> Result<&mut Xenstore> {
        self.xenstore()?;
        self.xenstore.get_mut().context("xenstore is not open")
    }

    /// Generic netlink; each request opens a socket of its own.
    pub fn genl(&self) -> Genl {
        self.genl.until(self.deadline)
    }

    /// Waits a moment before looking again, or says why there is no time for it.
    pub fn pause(&self, moment: Duration) -> Result<(), Stop> {
        let left = self.deadline.remaining()?;
        std::thread::sleep(moment.min(left));
        self.deadline.remaining().map(|_| ())
    }
}

/// The text of the file at `path`, without the line end that closes /sys files.
fn text_of(path: &str, bytes: Vec<u8>) -> Result<String> {
    let mut text = String::from_utf8(bytes).map_err(|error| not_text(path, &error))?;
    text.truncate(text.trim_end_matches('\n').len());
    Ok(text)
}

fn not_text(path: &str, error: &FromUtf8Error) -> anyhow::Error {
    let shown = String::from_utf8_lossy(error.as_bytes());
    let place = Place::of(&shown, error.utf8_error().valid_up_to());
    Mistake::at(place, "it is not UTF-8 text").in_file(path, &shown)
}
