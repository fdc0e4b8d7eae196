//! Changes that are made all together, or not at all.
//!
//! The C xenstored copies a node when a transaction first looks at it: until
//! the commit succeeds, what the body has read need not have been true at one
//! and the same time. A body may refuse because of it, and must have no effect
//! outside the transaction because of it.

use super::error::{Cause, Error};
use super::view::{self, View};
use super::wire::{self, Op};

/// How often a transaction is begun again after a conflict. The C xenstored
/// of some versions sees a conflict in every change anywhere in the tree.
const ATTEMPTS: u32 = 100;

/// A transaction that is open.
pub struct Transaction<'a> {
    view: View<'a>,
}

impl Transaction<'_> {
    /// The value of a node; none where there is no such node.
    pub fn read(&self, path: &str) -> Result<Option<Vec<u8>>, Error> {
        self.view.read(path)
    }

    /// The names of a node's children; none where there is no such node.
    pub fn directory(&self, path: &str) -> Result<Option<Vec<String>>, Error> {
        self.view.directory(path)
    }

    /// Writes a node on commit, and its parents where they are missing.
    pub fn write(&mut self, path: &str, value: &[u8]) -> Result<(), Error> {
        self.view.write(path, value)
    }

    /// Removes a node and everything below it on commit. It may be missing.
    pub fn rm(&mut self, path: &str) -> Result<(), Error> {
        self.view.rm(path)
    }

    /// Ends the transaction; false says that it met a conflict and is undone.
    ///
    /// A signal comes before the commit or after it, since it is better to know
    /// whether it was done: the deadline still holds.
    fn commit(mut self) -> Result<bool, Cause> {
        self.view.deadline.remaining()?;
        self.view.deadline = self.view.deadline.despite_signals();
        match self.view.ask_raw(Op::TransactionEnd, b"T\0".to_vec())? {
            Err(error) if error == "EAGAIN" => Ok(false),
            answer => view::acknowledged(answer).map(|()| true),
        }
    }

    /// Gives the transaction up, without waiting for the answer: whatever is
    /// asked next comes after it. Where it cannot be sent, the daemon drops
    /// the transaction with the connection.
    fn abort(mut self) {
        self.view.deadline = self.view.deadline.despite_signals();
        let _ = self.view.tell_raw(Op::TransactionEnd, b"F\0".to_vec());
    }
}

/// Runs `body` in a transaction until it has been committed, or has failed.
pub(super) fn run<T, E: From<Error>>(
    view: View<'_>,
    mut body: impl FnMut(&mut Transaction<'_>) -> Result<T, E>,
) -> Result<T, E> {
    for _ in 0..ATTEMPTS {
        let transaction = start(view).map_err(|cause| cause.doing("starting a transaction"))?;
        let mut transaction = Transaction { view: View { transaction, ..view } };
        match body(&mut transaction) {
            Ok(value) => {
                let committed = transaction.commit();
                if committed.map_err(|cause| cause.changing("committing a transaction", ""))? {
                    return Ok(value);
                }
            }
            Err(error) => {
                transaction.abort();
                return Err(error);
            }
        }
    }
    Err(Error::Contended { attempts: ATTEMPTS }.into())
}

fn start(view: View<'_>) -> Result<u32, Cause> {
    let answer = view.ask_raw(Op::TransactionStart, b"\0".to_vec())?;
    let number = wire::string(&answer.map_err(Cause::Refused)?)?.parse();
    // 0 would mean: in no transaction.
    number
        .ok()
        .filter(|number| *number != 0)
        .ok_or_else(|| wire::unexpected("a transaction without a number"))
}
