//! The tree as one transaction, or nobody in particular, sees it.
//!
//! Each operation is a request and what its answer means; trying again is not
//! decided here, but for two things: relative paths and long directories.

use super::super::Deadline;
use super::error::{Cause, Error};
use super::session::{Answer, Request, Session};
use super::wire::{self, Op};
use std::cell::RefCell;

/// How often a directory that changes while it is read in parts is begun again.
const DIRECTORY_ATTEMPTS: u32 = 20;

/// Access to the tree through a session, in a transaction if it is not 0.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub session: &'a RefCell<Session>,
    pub deadline: Deadline,
    pub transaction: u32,
}

impl View<'_> {
    pub(super) fn read(&self, path: &str) -> Result<Option<Vec<u8>>, Error> {
        self.ask(Op::Read, path, b"").and_then(present).map_err(|cause| cause.reading(path))
    }

    pub(super) fn read_many(&self, paths: &[String]) -> Result<Vec<Option<Vec<u8>>>, Error> {
        for path in paths {
            wire::check_path(path).map_err(|cause| cause.reading(path))?;
        }
        let mut answers = self.ask_for_values(paths.iter().map(String::clone).collect())?;
        let again: Vec<usize> =
            (0..paths.len()).filter(|i| self.wants_home(&paths[*i], &answers[*i])).collect();
        let second = self.ask_for_values(again.iter().map(|i| at_home(&paths[*i])).collect())?;
        for (index, answer) in again.into_iter().zip(second) {
            answers[index] = answer;
        }
        let values = paths.iter().zip(answers);
        values.map(|(path, answer)| present(answer).map_err(|cause| cause.reading(path))).collect()
    }

    pub(super) fn directory(&self, path: &str) -> Result<Option<Vec<String>>, Error> {
        let listed = self.ask(Op::Directory, path, b"").and_then(|answer| match answer {
            Err(error) if error == "E2BIG" => self.long_directory(path),
            answer => present(answer)?.map(|names| wire::strings(&names)).transpose(),
        });
        listed.map_err(|cause| cause.doing(&format!("listing {path}")))
    }

    pub(super) fn write(&self, path: &str, value: &[u8]) -> Result<(), Error> {
        let done = self.ask(Op::Write, path, value).and_then(acknowledged);
        done.map_err(|cause| cause.changing("writing", path))
    }

    /// Nothing to remove is as good as removed: xenstored answers "OK" or, where
    /// the parent is missing too, ENOENT.
    pub(super) fn rm(&self, path: &str) -> Result<(), Error> {
        let done = self.ask(Op::Rm, path, b"").and_then(|answer| match answer {
            Err(error) if error == "ENOENT" => Ok(()),
            answer => acknowledged(answer),
        });
        done.map_err(|cause| cause.changing("removing", path))
    }

    /// Asks about a path, which is followed by `rest` in the request.
    pub(super) fn ask(&self, op: Op, path: &str, rest: &[u8]) -> Result<Answer, Cause> {
        wire::check_path(path)?;
        let answer = self.ask_raw(op, with_path(path, rest))?;
        if self.wants_home(path, &answer) {
            return self.ask_raw(op, with_path(&at_home(path), rest));
        }
        Ok(answer)
    }

    /// Asks about something other than a path.
    pub(super) fn ask_raw(&self, op: Op, payload: Vec<u8>) -> Result<Answer, Cause> {
        let request = Request { op, transaction: self.transaction, payload };
        self.session.borrow_mut().ask(request, self.deadline)
    }

    /// Says something whose answer does not matter.
    pub(super) fn tell_raw(&self, op: Op, payload: Vec<u8>) -> Result<(), Cause> {
        let request = Request { op, transaction: self.transaction, payload };
        self.session.borrow_mut().tell(request, self.deadline)
    }

    fn ask_for_values(&self, paths: Vec<String>) -> Result<Vec<Answer>, Error> {
        let request = |path: &String| Request {
            op: Op::Read,
            transaction: self.transaction,
            payload: with_path(path, b""),
        };
        let requests = paths.iter().map(request).collect();
        let answers = self.session.borrow_mut().ask_many(requests, self.deadline);
        answers.map_err(|cause| cause.doing(&format!("reading {} paths at once", paths.len())))
    }

    /// Whether an answer may mean that the daemon does not resolve relative
    /// paths: the one of Xen 4.0 has no implicit path for its socket.
    fn wants_home(&self, path: &str, answer: &Answer) -> bool {
        let missing = matches!(answer, Err(error) if error == "ENOENT" || error == "EINVAL");
        missing && !path.starts_with(['/', '@']) && self.session.borrow().may_lack_home()
    }

    fn long_directory(&self, path: &str) -> Result<Option<Vec<String>>, Cause> {
        for _ in 0..DIRECTORY_ATTEMPTS {
            match self.directory_parts(path)? {
                Parts::All(names) => return wire::strings(&names).map(Some),
                Parts::Missing => return Ok(None),
                Parts::Changed => {}
            }
        }
        Err(Cause::Unsteady)
    }

    /// One reading of a directory from beginning to end. Each part is preceded
    /// by the generation of the node; the last ends with an empty name
    /// (DIRECTORY_PART in docs/misc/xenstore.txt).
    fn directory_parts(&self, path: &str) -> Result<Parts, Cause> {
        let mut names: Vec<u8> = Vec::new();
        let mut first_generation = None;
        loop {
            let offset = format!("{}\0", names.len());
            let Some(part) = present(self.ask(Op::DirectoryPart, path, offset.as_bytes())?)? else {
                return Ok(Parts::Missing);
            };
            let end = part.iter().position(|byte| *byte == 0);
            let (generation, part) =
                part.split_at(end.ok_or_else(|| wire::unexpected("a part without a generation"))?);
            if *first_generation.get_or_insert_with(|| generation.to_vec()) != generation {
                return Ok(Parts::Changed);
            }
            let part = &part[1..];
            if part.is_empty() {
                return Err(wire::unexpected("an empty part of a directory"));
            }
            if part == b"\0" || part.ends_with(b"\0\0") {
                names.extend_from_slice(&part[..part.len() - 1]);
                return Ok(Parts::All(names));
            }
            names.extend_from_slice(part);
        }
    }
}

/// What reading a directory in parts came to.
enum Parts {
    All(Vec<u8>),
    Missing,
    Changed,
}

fn with_path(path: &str, rest: &[u8]) -> Vec<u8> {
    [path.as_bytes(), b"\0", rest].concat()
}

fn at_home(path: &str) -> String {
    format!("{}{path}", wire::HOME)
}

/// The payload, or none of a node that does not exist.
fn present(answer: Answer) -> Result<Option<Vec<u8>>, Cause> {
    match answer {
        Ok(payload) => Ok(Some(payload)),
        Err(error) if error == "ENOENT" => Ok(None),
        Err(error) => Err(Cause::Refused(error)),
    }
}

/// Whether the daemon has done it.
pub(super) fn acknowledged(answer: Answer) -> Result<(), Cause> {
    match wire::string(&answer.map_err(Cause::Refused)?)?.as_str() {
        "OK" => Ok(()),
        _ => Err(wire::unexpected("something else than OK")),
    }
}
