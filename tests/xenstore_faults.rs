//! The client with a xenstored that dies, stalls, refuses or talks nonsense,
//! and with none at all.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::expect_used)]

#[path = "support/xenstored.rs"]
mod xenstored;

use block_drbd::host::xenstore::{Cause, Error, Named, Xenstore};
use block_drbd::host::{Deadline, Stop};
use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use xenstored::{Xenstored, op};

/// A root directory of its own for one test.
struct Root(PathBuf);

impl Root {
    fn new() -> Root {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::SeqCst);
        let path = std::env::temp_dir().join(format!("xs-{}-{number}", std::process::id()));
        std::fs::create_dir_all(path.join("run/xenstored")).unwrap();
        Root(path)
    }

    fn socket(&self) -> PathBuf {
        self.0.join("run/xenstored/socket")
    }

    fn daemon(&self) -> Xenstored {
        Xenstored::start(&self.socket())
    }

    fn open(&self) -> Result<Xenstore, Error> {
        Xenstore::open(&self.0, &Named::default(), within(10_000))
    }

    fn connect(&self) -> Xenstore {
        self.open().unwrap()
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn within(millis: u64) -> Deadline {
    Deadline::after(Duration::from_millis(millis))
}

/// Runs `work`, which must end soon after the 200 ms that it was given.
fn promptly<T>(work: impl FnOnce(Deadline) -> T) -> T {
    let begin = Instant::now();
    let result = work(within(200));
    let took = begin.elapsed();
    assert!(took < Duration::from_secs(2), "took {took:?}");
    result
}

fn cause(error: Error) -> Cause {
    match error {
        Error::Failed { cause, .. } => cause,
        other => panic!("{other}"),
    }
}

const TOO_LATE: Cause = Cause::Stopped(Stop::Deadline);

#[test]
fn nothing_there_is_told_with_all_that_was_tried() {
    let root = Root::new();
    let text = root.open().err().unwrap().to_string();
    let directory = root.0.display();
    let expected = format!(
        "xenstore: not to be reached: {directory}/run/xenstored/socket: No such file or directory; \
         {directory}/xenstore: No such file or directory"
    );
    assert_eq!(text, expected);
}

#[test]
fn a_socket_with_nobody_behind_it_is_told() {
    let root = Root::new();
    drop(UnixListener::bind(root.socket()).unwrap());
    std::fs::write(root.0.join("xenstore"), "/a = \"1\"\n").unwrap();
    let text = root.open().err().unwrap().to_string();
    assert!(text.ends_with("socket: Connection refused"), "{text}");
}

#[test]
fn a_file_stands_in_and_cannot_be_changed() {
    let root = Root::new();
    std::fs::write(root.0.join("xenstore"), "name = \"Domain-0\"\n").unwrap();
    let mut store = root.connect();
    let paths = ["/local/domain/0/name".to_owned(), "none".to_owned()];
    assert_eq!(store.read_many(&paths).unwrap(), [Some(b"Domain-0".to_vec()), None]);
    assert_eq!(store.directory("/local/domain").unwrap().unwrap(), ["0"]);
    let error = store.write("name", b"x").unwrap_err();
    assert_eq!(
        error.to_string(),
        "xenstore: writing name: a file in place of xenstore cannot be changed or watched"
    );
    assert!(!error.outcome_unknown());
    assert_eq!(cause(store.rm("name").unwrap_err()), Cause::ReadOnly);
    assert_eq!(cause(store.watch("name", "t").unwrap_err()), Cause::ReadOnly);
    let result: Result<(), Error> = store.transaction(|_| Ok(()));
    assert_eq!(cause(result.unwrap_err()), Cause::ReadOnly);
}

#[test]
fn a_socket_comes_before_a_file() {
    let root = Root::new();
    std::fs::write(root.0.join("xenstore"), "/a = \"file\"\n").unwrap();
    let daemon = root.daemon();
    daemon.set("/a", "daemon");
    assert_eq!(root.connect().read("/a").unwrap().unwrap(), b"daemon");
}

#[test]
fn the_environment_comes_first_and_may_be_wrong() {
    let root = Root::new();
    let daemon = root.daemon();
    daemon.set("/a", "1");
    let rundir = daemon.socket().parent().map(Path::to_owned);
    let named = Named { path: Some(root.0.join("none")), rundir };
    let store = Xenstore::open(Path::new("/"), &named, within(10_000)).unwrap();
    assert_eq!(store.read("/a").unwrap().unwrap(), b"1");
}

#[test]
fn a_refusal_is_told_by_its_name() {
    let root = Root::new();
    let daemon = root.daemon();
    daemon.refuse(op::READ, "backend/vbd/1/51712/state", "EACCES");
    daemon.refuse(op::WRITE, "/a", "ENOSPC");
    let mut store = root.connect();
    let error = store.read("backend/vbd/1/51712/state").unwrap_err();
    assert_eq!(error.to_string(), "xenstore: reading backend/vbd/1/51712/state: EACCES");
    let error = store.read_many(&["/a".into(), "backend/vbd/1/51712/state".into()]).unwrap_err();
    assert_eq!(error.to_string(), "xenstore: reading backend/vbd/1/51712/state: EACCES");
    let error = store.write("/a", b"x").unwrap_err();
    assert_eq!(error.to_string(), "xenstore: writing /a: ENOSPC");
    assert!(!error.outcome_unknown());
}

#[test]
fn the_daemon_of_xen_4_0_is_given_whole_paths() {
    let root = Root::new();
    let daemon = root.daemon();
    daemon.lack_home();
    let mut store = root.connect();
    store.write("backend/a", b"1").unwrap();
    assert_eq!(daemon.get("/local/domain/0/backend/a").unwrap(), "1");
    assert_eq!(store.read("backend/a").unwrap().unwrap(), b"1");
    assert_eq!(store.directory("backend").unwrap().unwrap(), ["a"]);
    let paths = ["backend/none".to_owned(), "/none".to_owned(), "backend/a".to_owned()];
    assert_eq!(store.read_many(&paths).unwrap(), [None, None, Some(b"1".to_vec())]);
    store.watch("backend/a", "t").unwrap();
    assert_eq!(store.next_event(within(5000)).unwrap().unwrap().token, "t");
    store.transaction(|t| t.rm("backend/a")).unwrap();
    assert_eq!(store.read("backend/a").unwrap(), None);
}

#[test]
fn a_daemon_that_dies_in_a_transaction_has_committed_nothing() {
    let root = Root::new();
    let daemon = root.daemon();
    daemon.close_on(op::WRITE, 2);
    let mut store = root.connect();
    let result: Result<(), Error> = store.transaction(|t| {
        t.write("/a", b"1")?;
        t.write("/b", b"1")
    });
    let text = result.unwrap_err().to_string();
    assert_eq!(
        text,
        "xenstore: writing /b: xenstored closed the connection; it may have been done all the same"
    );
    assert_eq!(daemon.get("/a"), None);
    assert_eq!(daemon.requests(op::TRANSACTION_END), 0);
    assert_eq!(cause(store.read("/a").unwrap_err()), Cause::Closed);
    assert_eq!(root.connect().read("/a").unwrap(), None);
}

#[test]
fn a_transaction_that_is_given_up_is_ended() {
    let root = Root::new();
    let daemon = root.daemon();
    let mut store = root.connect();
    let result: Result<(), &str> = store.transaction(|_| Err(Refused)).map_err(|Refused| "refused");
    assert_eq!(result, Err("refused"));
    assert_eq!(store.read("/a").unwrap(), None);
    assert_eq!(daemon.requests(op::TRANSACTION_END), 1);
}

/// A caller's own reason not to commit.
struct Refused;

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        panic!("{error}")
    }
}

#[test]
fn a_commit_without_an_answer_is_not_taken_for_a_refusal() {
    let root = Root::new();
    let daemon = root.daemon();
    daemon.close_on(op::TRANSACTION_END, 1);
    let result: Result<(), Error> = root.connect().transaction(|t| t.write("/a", b"1"));
    let error = result.unwrap_err();
    assert!(error.outcome_unknown());
    assert!(error.to_string().starts_with("xenstore: committing a transaction: xenstored closed"), "{error}");
}

#[test]
fn conflicts_end_with_the_deadline() {
    let root = Root::new();
    let daemon = root.daemon();
    let mut number = 0;
    daemon.before(op::TRANSACTION_END, "", move |tree| {
        number += 1;
        tree.set("/a", format!("{number}").as_bytes());
    });
    daemon.delay(Duration::from_millis(20));
    let mut store = root.connect();
    let result: Result<(), Error> = promptly(|deadline| {
        store.set_deadline(deadline);
        store.transaction(|t| t.write("/a", b"mine"))
    });
    assert_eq!(cause(result.unwrap_err()), TOO_LATE);
}

#[test]
fn a_late_answer_is_not_taken_for_another() {
    let root = Root::new();
    let daemon = root.daemon();
    daemon.set("/a", "first");
    daemon.set("/b", "second");
    daemon.delay(Duration::from_millis(400));
    let mut store = root.connect();
    let error = promptly(|deadline| {
        store.set_deadline(deadline);
        store.read("/a").unwrap_err()
    });
    assert_eq!(error.to_string(), "xenstore: reading /a: the time allowed for it is over");
    store.set_deadline(within(10_000));
    assert_eq!(store.read("/b").unwrap().unwrap(), b"second");
    store.set_deadline(within(200));
    let paths: Vec<String> = (0..50).map(|_| "/a".to_owned()).collect();
    assert_eq!(cause(store.read_many(&paths).unwrap_err()), TOO_LATE);
    daemon.delay(Duration::ZERO);
    store.set_deadline(within(10_000));
    assert_eq!(
        store.read_many(&["/b".into(), "/a".into()]).unwrap(),
        [Some(b"second".to_vec()), Some(b"first".to_vec())]
    );
}

#[test]
fn a_write_that_was_stopped_says_that_it_may_have_been_done() {
    let root = Root::new();
    let daemon = root.daemon();
    daemon.delay(Duration::from_millis(400));
    let mut store = root.connect();
    let error = promptly(|deadline| {
        store.set_deadline(deadline);
        store.write("/a", b"1").unwrap_err()
    });
    assert!(error.outcome_unknown());
    store.set_deadline(within(10_000));
    assert_eq!(store.read("/a").unwrap().unwrap(), b"1");
}

#[test]
fn a_wait_for_events_ends_with_its_own_deadline() {
    let root = Root::new();
    let _daemon = root.daemon();
    let mut store = root.connect();
    store.watch("/a", "t").unwrap();
    assert!(store.next_event(within(5000)).unwrap().is_some());
    assert_eq!(promptly(|deadline| store.next_event(deadline)).unwrap(), None);
}

#[test]
fn a_queue_that_is_full_does_not_hold_the_client() {
    use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket};
    use std::os::fd::AsRawFd;
    let root = Root::new();
    let fd = socket(AddressFamily::Unix, SockType::Stream, SockFlag::empty(), None).unwrap();
    bind(fd.as_raw_fd(), &UnixAddr::new(&root.socket()).unwrap()).unwrap();
    listen(&fd, Backlog::new(0).unwrap()).unwrap();
    let _first = root.connect();
    let result = promptly(|deadline| Xenstore::open(&root.0, &Named::default(), deadline));
    assert_eq!(cause(result.err().unwrap()), TOO_LATE);
}

/// Fills a directory so that it is listed in more than one part.
fn fill(daemon: &Xenstored) {
    for i in 0..300 {
        daemon.set(&format!("/long/some-name-of-a-node-{i:08}"), "");
    }
}

#[test]
fn a_directory_may_vanish_while_it_is_read() {
    for vanishes_at in [1, 2] {
        let root = Root::new();
        let daemon = root.daemon();
        fill(&daemon);
        let mut part = 0;
        daemon.before(op::DIRECTORY_PART, "/long", move |tree| {
            part += 1;
            if part == vanishes_at {
                let _ = tree.remove("/long");
            }
        });
        assert_eq!(root.connect().directory("/long").unwrap(), None);
        assert_eq!(daemon.requests(op::DIRECTORY_PART), vanishes_at);
    }
}

#[test]
fn a_directory_that_changes_while_it_is_read_is_read_again() {
    let root = Root::new();
    let daemon = root.daemon();
    fill(&daemon);
    let mut part = 0;
    daemon.before(op::DIRECTORY_PART, "/long", move |tree| {
        part += 1;
        if part == 2 {
            let _ = tree.remove("/long/some-name-of-a-node-00000000");
            tree.set("/long/a-new-one", b"");
        }
    });
    let names = root.connect().directory("/long").unwrap().unwrap();
    assert_eq!(names.len(), 300);
    assert_eq!(names[0], "a-new-one");
    assert_eq!(names[1], "some-name-of-a-node-00000001");
}

#[test]
fn a_directory_that_never_stands_still_is_an_error() {
    let root = Root::new();
    let daemon = root.daemon();
    fill(&daemon);
    let mut number = 0;
    daemon.before(op::DIRECTORY_PART, "/long", move |tree| {
        number += 1;
        tree.set(&format!("/long/{number}"), b"");
    });
    let store = root.connect();
    let error = store.directory("/long").unwrap_err();
    assert_eq!(
        error.to_string(),
        "xenstore: listing /long: the directory changed each time while it was read"
    );
    assert_eq!(store.read("/long/1").unwrap().unwrap(), b"");
}

/// A peer that answers the first request with `answer`, and closes then or not.
fn peer(root: &Root, answer: Vec<u8>, closes: bool) -> Xenstore {
    let listener = UnixListener::bind(root.socket()).unwrap();
    let store = root.connect();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(&answer);
        while !closes && stream.read(&mut [0; 4096]).is_ok_and(|count| count > 0) {}
    });
    store
}

fn message(words: [u32; 4], payload: &[u8]) -> Vec<u8> {
    [&words.map(u32::to_ne_bytes).concat(), payload].concat()
}

#[test]
fn nonsense_is_told_and_ends_the_connection() {
    let cases = [
        (message([2, 1, 0, 4097], b""), "xenstored sent a message of 4097 bytes, over the limit of 4096"),
        (message([2, 9, 0, 1], b"x"), "xenstored sent an answer to request 9, which is not open"),
        (message([1, 1, 0, 1], b"x"), "xenstored sent an answer of type 1 to a request of type 2"),
        (message([16, 1, 0, 4], b"no\n\0"), "xenstored sent an answer that is not a word"),
        (message([16, 1, 0, 0], b""), "xenstored sent an answer that is not a word"),
        (message([15, 0, 0, 5], b"path\0"), "xenstored sent an event without path and token"),
        (message([15, 0, 0, 4], b"path"), "xenstored sent a string without an end"),
        (vec![0xff; 64], "xenstored sent a message of 4294967295 bytes, over the limit of 4096"),
    ];
    for (answer, complaint) in cases {
        let root = Root::new();
        let store = peer(&root, answer, false);
        let expected = format!("xenstore: reading /a: {complaint}");
        assert_eq!(promptly(|_| store.read("/a")).unwrap_err().to_string(), expected);
        assert_eq!(promptly(|_| store.read("/a")).unwrap_err().to_string(), expected);
    }
}

#[test]
fn half_an_answer_is_none() {
    let whole = message([2, 1, 0, 5], b"value");
    for cut in [0, 1, 15, 16, 20] {
        let root = Root::new();
        let store = peer(&root, whole[..cut].to_vec(), true);
        assert_eq!(cause(store.read("/a").unwrap_err()), Cause::Closed, "{cut}");
        let root = Root::new();
        let mut store = peer(&root, whole[..cut].to_vec(), false);
        let result = promptly(|deadline| {
            store.set_deadline(deadline);
            store.read("/a")
        });
        assert_eq!(cause(result.unwrap_err()), TOO_LATE, "{cut}");
    }
}

#[test]
fn a_transaction_without_a_number_is_none() {
    for number in ["0", "x", "99999999999"] {
        let root = Root::new();
        let payload = format!("{number}\0");
        let answer = message([6, 1, 0, payload.len() as u32], payload.as_bytes());
        let mut store = peer(&root, answer, false);
        let result: Result<(), Error> = store.transaction(|_| panic!("must not run"));
        assert!(matches!(cause(result.unwrap_err()), Cause::Protocol(_)));
    }
}
