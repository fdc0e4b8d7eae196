//! Where a path of the machine is on this one, so that nothing outside the root is touched.
//!
//! A directory that stands for a machine may have been sent by anybody, who may still change it: a
//! link that is looked at and then followed by the kernel can have become another one. So the kernel
//! itself resolves each path inside that directory (openat2(2), RESOLVE_IN_ROOT), and what it
//! has found is used by its descriptor. On the machine itself a path is a path.
//!
//! Before Linux 5.6 there is no such call, and `--sysroot` is refused: the directory can be looked at on
//! another machine.

#![allow(clippy::disallowed_methods)]

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2, readlinkat};
use std::cell::OnceCell;
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind};
use std::ops::Deref;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// How often a path is looked up again when something on it was renamed meanwhile (EAGAIN).
const TRIES: usize = 100;

/// The machine, or a directory that stands for one.
#[derive(Debug)]
pub struct Root {
    path: PathBuf,
    directory: OnceCell<OwnedFd>,
}

/// Something of the root's as a path on this machine, which stands for it as long as this lives.
pub struct Inside {
    path: PathBuf,
    name: PathBuf,
    pinned: Option<File>,
}

/// Whether a link at the end of a path is followed, as each before it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Last {
    /// To what it leads to.
    Followed,
    /// It is what is asked for.
    AsItIs,
}

impl Root {
    pub fn new(path: &Path) -> Root {
        Root { path: path.to_owned(), directory: OnceCell::new() }
    }

    /// Where the root is on this machine.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What `path` of the root's is called on this machine, for messages; its links may lead out.
    pub fn name(&self, path: &str) -> PathBuf {
        self.path.join(path.trim_start_matches('/'))
    }

    /// Whether it is this machine itself.
    pub fn is_machine(&self) -> bool {
        self.path == Path::new("/")
    }

    /// What is at `path`; on the machine itself it need not exist.
    pub fn find(&self, path: &str, last: Last) -> io::Result<Inside> {
        let name = self.name(path);
        if self.is_machine() {
            return Ok(Inside { path: name.clone(), name, pinned: None });
        }
        let pinned = self.pin(path, last)?;
        Ok(Inside { path: by_descriptor(&pinned), name, pinned: Some(pinned) })
    }

    /// The place of `path`, which need not exist and may be a link, in its directory.
    pub fn place(&self, path: &str) -> io::Result<Inside> {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        let directory = self.find(&format!("{directory}/"), Last::Followed)?;
        Ok(Inside {
            path: directory.path.join(name),
            name: directory.name.join(name),
            pinned: directory.pinned,
        })
    }

    /// A path of this machine itself, as the environment names it.
    pub fn as_named(path: PathBuf) -> Inside {
        Inside { name: path.clone(), path, pinned: None }
    }

    /// What the kernel says of what is at `path`.
    pub fn metadata(&self, path: &str, last: Last) -> io::Result<Metadata> {
        let found = self.find(path, last)?;
        match (&found.pinned, last) {
            (Some(pinned), _) => pinned.metadata(),
            (None, Last::Followed) => fs::metadata(&*found),
            (None, Last::AsItIs) => fs::symlink_metadata(&*found),
        }
    }

    /// Where the link at `path` leads; EINVAL or ENOENT where it is none.
    pub fn read_link(&self, path: &str) -> io::Result<PathBuf> {
        let found = self.find(path, Last::AsItIs)?;
        match &found.pinned {
            Some(pinned) => Ok(readlinkat(pinned, "")?.into()),
            None => fs::read_link(&*found),
        }
    }

    /// Makes a directory, and those above it that are missing, for us alone.
    pub fn make_directories(&self, path: &str) -> io::Result<()> {
        let make = |builder: &mut DirBuilder, path: &Path| builder.mode(0o700).create(path);
        if self.is_machine() {
            return make(DirBuilder::new().recursive(true), Path::new(path));
        }
        for end in path.match_indices('/').map(|(at, _)| at).skip(1).chain([path.len()]) {
            match self.find(&path[..end], Last::Followed) {
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    match make(&mut DirBuilder::new(), &self.place(&path[..end])?) {
                        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
                        _ => {}
                    }
                }
                found => drop(found?),
            }
        }
        Ok(())
    }

    fn pin(&self, path: &str, last: Last) -> io::Result<File> {
        if path.contains('\0') {
            return Err(io::Error::new(ErrorKind::InvalidInput, "a path with a NUL in it"));
        }
        let flags = match last {
            Last::Followed => OFlag::O_PATH | OFlag::O_CLOEXEC,
            Last::AsItIs => OFlag::O_PATH | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW,
        };
        let resolve = ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS;
        let how = OpenHow::new().flags(flags).resolve(resolve);
        let path = if path.is_empty() { "/" } else { path };
        for _ in 0..TRIES {
            match openat2(self.directory()?, path, how) {
                Err(Errno::EINTR | Errno::EAGAIN) => {}
                Err(Errno::ENOSYS) => {
                    return Err(io::Error::other(
                        "--sysroot needs Linux 5.6 (openat2): look at the directory on a machine with that",
                    ));
                }
                found => return Ok(File::from(found?)),
            }
        }
        Err(Errno::EAGAIN.into())
    }

    /// The directory that stands for the machine, opened once.
    fn directory(&self) -> io::Result<&OwnedFd> {
        if let Some(directory) = self.directory.get() {
            return Ok(directory);
        }
        // std makes an interrupted call again, and nix does not.
        let flags = (OFlag::O_PATH | OFlag::O_DIRECTORY).bits();
        let opened = OpenOptions::new().read(true).custom_flags(flags).open(&self.path)?;
        // Otherwise everything inside would be taken for missing.
        if fs::metadata(by_descriptor(&opened)).is_err() {
            return Err(io::Error::other("--sysroot needs /proc on this machine: mount it, then try again"));
        }
        Ok(self.directory.get_or_init(|| opened.into()))
    }
}

/// A path that leads to what is open, wherever that has been moved (proc_pid_fd(5)).
fn by_descriptor(open: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", open.as_raw_fd()))
}

impl Inside {
    /// What it is called, for messages.
    pub fn name(&self) -> &Path {
        &self.name
    }
}

impl Deref for Inside {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.path
    }
}
