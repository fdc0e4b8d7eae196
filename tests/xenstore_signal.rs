//! A signal stops a call that waits for xenstored, and the connection can still
//! undo. One test: a signal that was received stays received in this process.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::expect_used)]

#[path = "support/xenstored.rs"]
mod xenstored;

use block_drbd::host::xenstore::{Cause, Error, Named, Xenstore};
use block_drbd::host::{self, Deadline, Stop};
use nix::sys::signal::{Signal, raise};
use std::time::{Duration, Instant};
use xenstored::{Xenstored, op};

#[test]
fn a_signal_ends_the_wait_and_not_the_connection() {
    let root = std::env::temp_dir().join(format!("xs-signal-{}", std::process::id()));
    let daemon = Xenstored::start(&root.join("run/xenstored/socket"));
    daemon.set("/state", "2");
    let deadline = Deadline::after(Duration::from_secs(30));
    let mut store = Xenstore::open(&root, &Named::default(), deadline).unwrap();
    host::begin().unwrap();
    // raise(3) is for the thread that calls it, here one of the daemon's: the
    // client's wait is not interrupted, and must end all the same.
    daemon.before(op::WRITE, "/device", |_| {
        raise(Signal::SIGTERM).unwrap();
        std::thread::sleep(Duration::from_secs(3));
    });

    let begin = Instant::now();
    let result: Result<(), Error> = store.transaction(|t| t.write("/device", b"93:0"));
    let took = begin.elapsed();
    assert!(took < Duration::from_secs(2), "took {took:?}");
    let Err(Error::Failed { cause, .. }) = result else { panic!("{result:?}") };
    assert_eq!(cause, Cause::Stopped(Stop::Signal(libc::SIGTERM)));

    store.set_deadline(deadline.despite_signals());
    store.write("/error", b"stopped").unwrap();
    assert_eq!(daemon.get("/error").unwrap(), "stopped");
    assert_eq!(daemon.get("/device"), None);
    drop(daemon);
    std::fs::remove_dir_all(&root).unwrap();
}
