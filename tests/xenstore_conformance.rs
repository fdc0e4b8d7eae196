//! What the client expects of a xenstored, and a xenstored of the client.
//!
//! By default against the daemon in support/; with XENSTORE_UNDER_TEST set to a
//! socket or device, against the real one behind it (in dom0, with
//! --test-threads=1). It leaves nothing behind there.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::expect_used)]

#[path = "support/xenstored.rs"]
mod xenstored;

use block_drbd::host::Deadline;
use block_drbd::host::xenstore::{Cause, Error, Named, Xenstore};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use xenstored::Xenstored;

/// A place in a xenstore for one check.
struct Bench {
    place: PathBuf,
    base: String,
    own: Option<(Xenstored, PathBuf)>,
}

impl Bench {
    fn new(name: &str) -> Bench {
        let base = format!("{}/{name}", top());
        if let Some(place) = std::env::var_os("XENSTORE_UNDER_TEST") {
            return Bench { place: place.into(), base, own: None };
        }
        let directory = std::env::temp_dir().join(format!("xenstore-{}-{name}", std::process::id()));
        let daemon = Xenstored::start(&directory.join("socket"));
        Bench { place: daemon.socket().to_owned(), base, own: Some((daemon, directory)) }
    }

    fn open(&self) -> Result<Xenstore, Error> {
        let named = Named { path: Some(self.place.clone()), rundir: None };
        Xenstore::open(Path::new("/"), &named, soon())
    }

    fn connect(&self) -> Xenstore {
        self.open().unwrap()
    }

    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.base)
    }

    fn is_socket(&self) -> bool {
        std::fs::metadata(&self.place).unwrap().file_type().is_socket()
    }

    /// The longest payload: the kernel's buffer holds the header, too.
    fn payload_max(&self) -> usize {
        if self.is_socket() { 4096 } else { 4080 }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if let Some((_, directory)) = &self.own {
            let _ = std::fs::remove_dir_all(directory);
            return;
        }
        // No panic in here: it would end the whole run without a report.
        let Ok(mut store) = self.open() else { return };
        let _ = store.rm(&self.base);
        if store.directory(&top()).is_ok_and(|rest| rest == Some(Vec::new())) {
            let _ = store.rm(&top());
        }
    }
}

fn top() -> String {
    format!("/tool/block-drbd-conformance-{}", std::process::id())
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(20))
}

fn value(text: &str) -> Option<Vec<u8>> {
    Some(text.as_bytes().to_vec())
}

#[test]
fn what_is_written_can_be_read() {
    let bench = Bench::new("read");
    let mut store = bench.connect();
    let path = bench.path("node");
    assert_eq!(store.read(&path).unwrap(), None);
    store.write(&path, b"one").unwrap();
    assert_eq!(bench.connect().read(&path).unwrap(), value("one"));
    store.write(&path, b"").unwrap();
    assert_eq!(store.read(&path).unwrap(), value(""));
    store.write(&path, b"\0\xff\n").unwrap();
    assert_eq!(store.read(&path).unwrap(), Some(b"\0\xff\n".to_vec()));
    store.rm(&path).unwrap();
    assert_eq!(store.read(&path).unwrap(), None);
}

#[test]
fn a_write_makes_the_parents() {
    let bench = Bench::new("parents");
    let mut store = bench.connect();
    store.write(&bench.path("a/b/c"), b"x").unwrap();
    assert_eq!(store.read(&bench.path("a/b")).unwrap(), value(""));
    assert_eq!(store.directory(&bench.path("a")).unwrap().unwrap(), ["b"]);
}

#[test]
fn removing_takes_what_is_below() {
    let bench = Bench::new("below");
    let mut store = bench.connect();
    store.write(&bench.path("a/b/c"), b"x").unwrap();
    store.write(&bench.path("ab"), b"x").unwrap();
    store.rm(&bench.path("a")).unwrap();
    assert_eq!(store.read(&bench.path("a/b/c")).unwrap(), None);
    assert_eq!(store.directory(&bench.base).unwrap().unwrap(), ["ab"]);
}

#[test]
fn what_is_missing_may_be_removed() {
    let bench = Bench::new("missing");
    let mut store = bench.connect();
    store.write(&bench.path("parent"), b"").unwrap();
    store.rm(&bench.path("parent/none")).unwrap();
    store.rm(&bench.path("none/none/none")).unwrap();
    assert_eq!(store.read(&bench.path("none")).unwrap(), None);
}

#[test]
fn the_longest_value_fits_and_a_longer_one_is_not_sent() {
    let bench = Bench::new("long");
    let mut store = bench.connect();
    let path = bench.path("node");
    let longest = vec![b'x'; bench.payload_max() - path.len() - 1];
    store.write(&path, &longest).unwrap();
    assert_eq!(store.read(&path).unwrap().unwrap(), longest);
    let error = store.write(&path, &[longest, vec![b'x']].concat()).unwrap_err();
    assert!(matches!(&error, Error::Failed { cause: Cause::Invalid(_), .. }), "{error}");
    assert_eq!(store.read(&path).unwrap().unwrap().len(), bench.payload_max() - path.len() - 1);
}

#[test]
fn a_bad_path_is_refused_and_harms_nothing() {
    let bench = Bench::new("bad");
    let mut store = bench.connect();
    store.write(&bench.path("node"), b"x").unwrap();
    for bad in ["", "a b", "a.b", "/a//b", "/a/", "a\0b", &"x".repeat(2049)] {
        assert!(store.read(bad).is_err(), "{bad}");
        assert!(store.directory(bad).is_err(), "{bad}");
        assert!(store.write(bad, b"x").is_err(), "{bad}");
        assert!(store.rm(bad).is_err(), "{bad}");
        assert!(store.watch(bad, "token").is_err(), "{bad}");
        assert!(store.read_many(&[bench.path("node"), bad.to_owned()]).is_err(), "{bad}");
    }
    assert_eq!(store.read(&bench.path("node")).unwrap(), value("x"));
}

#[test]
fn a_directory_has_its_names() {
    let bench = Bench::new("directory");
    let mut store = bench.connect();
    assert_eq!(store.directory(&bench.base).unwrap(), None);
    for name in ["c", "a", "b"] {
        store.write(&bench.path(name), b"").unwrap();
    }
    let mut names = store.directory(&bench.base).unwrap().unwrap();
    names.sort();
    assert_eq!(names, ["a", "b", "c"]);
    assert_eq!(store.directory(&bench.path("a")).unwrap(), Some(Vec::new()));
}

#[test]
fn a_long_directory_has_all_its_names() {
    let bench = Bench::new("parts");
    let mut store = bench.connect();
    let expected: Vec<String> = (0..400).map(|i| format!("a-name-of-some-length-{i:08}")).collect();
    for name in &expected {
        store.write(&bench.path(name), b"").unwrap();
    }
    let mut names = store.directory(&bench.base).unwrap().unwrap();
    names.sort();
    assert_eq!(names, expected);
    let mut inside = store.transaction(|t| t.directory(&bench.base)).unwrap().unwrap();
    inside.sort();
    assert_eq!(inside, expected);
}

#[test]
fn many_values_come_in_their_order() {
    let bench = Bench::new("many");
    let mut store = bench.connect();
    let paths: Vec<String> = (0..500).map(|i| bench.path(&format!("{i}"))).collect();
    for path in paths.iter().step_by(2) {
        store.write(path, path.as_bytes()).unwrap();
    }
    let values = store.read_many(&paths).unwrap();
    assert_eq!(values.len(), 500);
    for (i, (path, found)) in paths.iter().zip(&values).enumerate() {
        assert_eq!(*found, if i % 2 == 0 { value(path) } else { None });
    }
    assert_eq!(store.read_many(&[]).unwrap(), Vec::<Option<Vec<u8>>>::new());
}

#[test]
fn many_long_values_do_not_block() {
    let bench = Bench::new("bulk");
    let mut store = bench.connect();
    let path = bench.path("node");
    let longest = vec![b'x'; bench.payload_max() - path.len() - 1];
    store.write(&path, &longest).unwrap();
    let values = store.read_many(&vec![path; 500]).unwrap();
    assert!(values.iter().all(|found| found.as_ref() == Some(&longest)));
}

#[test]
fn a_transaction_is_seen_when_it_is_committed() {
    let bench = Bench::new("commit");
    let (mut store, other) = (bench.connect(), bench.connect());
    let (kept, gone) = (bench.path("kept"), bench.path("gone"));
    store.write(&gone, b"old").unwrap();
    let result: Result<&str, Error> = store.transaction(|t| {
        t.write(&kept, b"new")?;
        t.rm(&gone)?;
        assert_eq!(t.read(&kept)?, value("new"));
        assert_eq!(t.read(&gone)?, None);
        assert_eq!(t.directory(&bench.base)?.unwrap(), ["kept"]);
        assert_eq!(other.read(&kept)?, None);
        assert_eq!(other.read(&gone)?, value("old"));
        Ok("done")
    });
    assert_eq!(result.unwrap(), "done");
    assert_eq!(other.read(&kept).unwrap(), value("new"));
    assert_eq!(other.read(&gone).unwrap(), None);
}

#[test]
fn a_transaction_that_refuses_changes_nothing() {
    let bench = Bench::new("abort");
    let mut store = bench.connect();
    let path = bench.path("node");
    let result: anyhow::Result<()> = store.transaction(|t| {
        t.write(&path, b"new")?;
        anyhow::bail!("not like this")
    });
    assert_eq!(result.unwrap_err().to_string(), "not like this");
    assert_eq!(store.read(&path).unwrap(), None);
    store.write(&path, b"free").unwrap();
}

#[test]
fn a_conflict_begins_the_transaction_again() {
    let bench = Bench::new("conflict");
    let (mut store, mut other) = (bench.connect(), bench.connect());
    let (state, device) = (bench.path("state"), bench.path("device"));
    store.write(&state, b"2").unwrap();
    let mut seen = Vec::new();
    let result: Result<(), Error> = store.transaction(|t| {
        seen.push(t.read(&state)?);
        if seen.len() == 1 {
            other.write(&state, b"5")?;
        }
        t.write(&device, b"93:0")
    });
    result.unwrap();
    assert_eq!(seen, [value("2"), value("5")]);
    assert_eq!(store.read(&device).unwrap(), value("93:0"));
}

#[test]
fn a_node_that_was_removed_is_not_brought_back() {
    let bench = Bench::new("removed");
    let (mut store, mut other) = (bench.connect(), bench.connect());
    let (state, device) = (bench.path("vbd/state"), bench.path("vbd/device"));
    store.write(&state, b"2").unwrap();
    let mut runs = 0;
    let result: anyhow::Result<()> = store.transaction(|t| {
        runs += 1;
        anyhow::ensure!(t.read(&state)?.is_some(), "the device has gone");
        other.rm(&bench.path("vbd"))?;
        Ok(t.write(&device, b"93:0")?)
    });
    assert_eq!(result.unwrap_err().to_string(), "the device has gone");
    assert_eq!(runs, 2);
    assert_eq!(store.read(&bench.path("vbd")).unwrap(), None);
}

#[test]
fn conflicts_without_end_are_an_error() {
    let bench = Bench::new("contended");
    let (mut store, mut other) = (bench.connect(), bench.connect());
    let path = bench.path("node");
    let mut runs: u32 = 0;
    let result: Result<(), Error> = store.transaction(|t| {
        runs += 1;
        t.read(&path)?;
        other.write(&path, runs.to_string().as_bytes())?;
        t.write(&path, b"mine")
    });
    assert_eq!(result.unwrap_err(), Error::Contended { attempts: runs });
    assert_eq!(store.read(&path).unwrap(), value(&runs.to_string()));
}

#[test]
fn a_watch_tells_of_itself_and_of_changes() {
    let bench = Bench::new("watch");
    let (mut store, mut other) = (bench.connect(), bench.connect());
    let path = bench.path("node");
    store.watch(&path, "token-1").unwrap();
    let mut next = |path: &str| {
        let event = store.next_event(soon()).unwrap().unwrap();
        assert_eq!((event.path.as_str(), event.token.as_str()), (path, "token-1"));
    };
    next(&path);
    other.write(&path, b"x").unwrap();
    next(&path);
    other.write(&format!("{path}/below"), b"x").unwrap();
    next(&format!("{path}/below"));
    other.rm(&path).unwrap();
    next(&path);
}

#[test]
fn a_watch_that_has_ended_tells_nothing() {
    let bench = Bench::new("unwatch");
    let (mut store, mut other) = (bench.connect(), bench.connect());
    let path = bench.path("node");
    store.watch(&path, "token").unwrap();
    assert!(store.next_event(soon()).unwrap().is_some());
    store.unwatch(&path, "token").unwrap();
    other.write(&path, b"x").unwrap();
    let short = Deadline::after(Duration::from_millis(200));
    assert_eq!(store.next_event(short).unwrap(), None);
    // The kernel answers OK to the end of a watch that it does not find
    // (xenbus_write_watch in xenbus_dev_frontend.c).
    assert_eq!(store.unwatch(&path, "token").is_err(), bench.is_socket());
}

#[test]
fn events_between_answers_are_kept() {
    let bench = Bench::new("between");
    let mut store = bench.connect();
    store.watch(&bench.base, "all").unwrap();
    let paths: Vec<String> = (0..100).map(|i| bench.path(&format!("{i}"))).collect();
    for path in &paths {
        store.write(path, path.as_bytes()).unwrap();
        assert_eq!(store.read(path).unwrap(), value(path));
    }
    let found = store.read_many(&paths).unwrap();
    assert!(found.into_iter().zip(&paths).all(|(found, path)| found == value(path)));
    let mut told = Vec::new();
    while told.last() != paths.last() {
        told.push(store.next_event(soon()).unwrap().unwrap().path);
    }
    assert_eq!(told[0], bench.base);
    assert!(paths.iter().all(|path| told.contains(path)));
}

#[test]
fn a_relative_path_starts_from_the_home_of_domain_0() {
    let bench = Bench::new("relative");
    let mut store = bench.connect();
    let relative = format!("block-drbd-conformance-{}", std::process::id());
    let absolute = format!("/local/domain/0/{relative}");
    let node = format!("{relative}/node");
    store.write(&node, b"x").unwrap();
    let read = store.read(&format!("{absolute}/node"));
    let listed = store.directory(&relative);
    let missing = store.read_many(&[format!("{relative}/none"), node]);
    store.rm(&relative).unwrap();
    assert_eq!(read.unwrap(), value("x"));
    assert_eq!(listed.unwrap().unwrap(), ["node"]);
    assert_eq!(missing.unwrap(), [None, value("x")]);
    assert_eq!(store.read(&absolute).unwrap(), None);
}
