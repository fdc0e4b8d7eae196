//! A host in trouble: /run full or read-only, a lock that is never released, a clock that jumps.
//! Each has a safe outcome and a sentence that says so.

#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

#[path = "support/drbd_kernel.rs"]
mod drbd_kernel;
#[path = "support/machine.rs"]
mod machine;
#[path = "support/place.rs"]
mod place;
#[path = "support/xenstored.rs"]
mod xenstored;

use machine::{Machine, said};
use nix::mount::{MsFlags, mount, umount};
use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

const PRIMARY: u32 = 1;
const SECONDARY: u32 = 2;

/// A file system of four pages at `/run/block-drbd`, until it is dropped.
struct Small(PathBuf);

impl Small {
    fn new(machine: &Machine) -> Small {
        let path = machine.path("run/block-drbd");
        fs::create_dir_all(&path).unwrap();
        mount(Some("none"), &path, Some("tmpfs"), MsFlags::empty(), Some("size=16k,mode=0700")).unwrap();
        Small(path)
    }

    fn fill(&self) {
        let mut file = File::create(self.0.join("filler")).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
    }

    fn make_room(&self) {
        fs::remove_file(self.0.join("filler")).unwrap();
    }

    fn read_only(&self, read_only: bool) {
        let flag = if read_only { MsFlags::MS_RDONLY } else { MsFlags::empty() };
        mount(None::<&str>, &self.0, None::<&str>, MsFlags::MS_REMOUNT | flag, None::<&str>).unwrap();
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        umount(&self.0).unwrap();
    }
}

/// An add fails with these words, and leaves nothing.
#[track_caller]
fn add_fails(machine: &Machine, words: &str) {
    let (code, text) = machine.call("add");
    assert_eq!(code, 4, "{text}");
    assert!(text.contains(words), "{text}");
    assert!(text.contains(&machine.backend("hotplug-error").unwrap()), "{text}");
    assert_eq!(machine.backend("physical-device"), None);
    assert_eq!((machine.role(), machine.claim()), (SECONDARY, None));
}

#[test]
fn a_full_run_starts_no_guest_and_keeps_none_from_stopping() {
    let machine = Machine::new();
    let small = Small::new(&machine);
    small.fill();
    add_fails(&machine, "writing /run/block-drbd/claims/r0.json: No space left on device");
    assert_eq!(machine.drbd.log(), [], "no role was asked for");
    small.make_room();
    assert_eq!(machine.call("add"), (0, String::new()));
    small.fill();
    assert_eq!(machine.call("remove"), (0, String::new()));
    assert_eq!((machine.role(), machine.claim()), (SECONDARY, None));
}

#[test]
fn a_read_only_run_starts_no_guest_and_what_is_on_record_stays_so() {
    let machine = Machine::new();
    let small = Small::new(&machine);
    small.read_only(true);
    add_fails(&machine, "Read-only file system");
    small.read_only(false);
    assert_eq!(machine.call("add"), (0, String::new()));
    small.read_only(true);
    let (code, text) = machine.call("remove");
    assert_eq!(code, 4, "{text}");
    assert!(text.contains("/run/block-drbd/lock/r0: Read-only file system"), "{text}");
    assert_eq!(machine.role(), PRIMARY);
    assert!(machine.claim().unwrap().contains("\"domid\":5"));
    small.read_only(false);
    assert_eq!(machine.call("remove"), (0, String::new()));
    assert_eq!((machine.role(), machine.claim()), (SECONDARY, None));
}

/// Somebody holds the lock file `path` for ever.
fn held(machine: &Machine, path: &str) -> File {
    machine.file(path, "");
    let file = File::open(machine.path(path)).unwrap();
    file.lock().unwrap();
    file
}

#[test]
fn a_lock_that_is_never_released_does_not_outlast_the_caller() {
    let machine = Machine::new();
    machine.file("sys/hypervisor/version/minor", "5\n");
    for (path, words) in [
        ("run/block-drbd/lock/r0", "(fuser -v /run/block-drbd/lock/r0 names it): the time allowed"),
        ("var/run/xen-hotplug/block", "(fuser -v /var/run/xen-hotplug/block names it): the time allowed"),
    ] {
        let lock = held(&machine, path);
        let started = Instant::now();
        add_fails(&machine, words);
        assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
        drop(lock);
    }
    assert_eq!(machine.call("add"), (0, String::new()));
    let lock = held(&machine, "run/block-drbd/lock/r0");
    let (code, text) = machine.call("remove");
    assert!(code == 4 && text.contains("waiting for the lock"), "{code} {text}");
    assert!(machine.claim().unwrap().contains("\"domid\":5"), "it stays on record");
    drop(lock);
    assert_eq!(machine.call("remove"), (0, String::new()));
    assert_eq!(machine.role(), SECONDARY);
}

#[test]
fn a_lock_directory_that_a_killed_script_of_xen_has_left_is_named_with_its_end() {
    let machine = Machine::new();
    machine.file("sys/hypervisor/version/minor", "1\n");
    machine.file("var/run/xen-hotplug/block/owner", "1234: /etc/xen/scripts/block\n");
    add_fails(&machine, "rm -f /var/run/xen-hotplug/block/owner && rmdir /var/run/xen-hotplug/block");
    fs::remove_file(machine.path("var/run/xen-hotplug/block/owner")).unwrap();
    fs::remove_dir(machine.path("var/run/xen-hotplug/block")).unwrap();
    assert_eq!(machine.call("add").0, 0);
}

/// Deadlines are of the type that no clock setting changes (`Instant`). What is dated is only
/// told: records out of the future, or out of 1970, change no decision.
#[test]
fn a_clock_that_jumps_changes_no_decision() {
    let machine = Machine::new();
    let far = Duration::from_secs(100 * 365 * 86_400);
    for date in [SystemTime::UNIX_EPOCH, SystemTime::now() + far] {
        assert_eq!(machine.call("add"), (0, String::new()));
        let flush = format!("run/block-drbd/flushes/r0.{}.json", machine.device.minor);
        let text = fs::read_to_string(machine.path(&flush)).unwrap();
        let at = text.split("\"at\":").nth(1).unwrap().split(',').next().unwrap();
        machine.file(&flush, &text.replace(at, &u64::MAX.to_string()));
        for path in ["run/block-drbd/claims/r0.json", &flush] {
            File::options().write(true).open(machine.path(path)).unwrap().set_modified(date).unwrap();
        }
        let (code, text) = said(machine.command(&["status"]).output().unwrap());
        assert!(code == 0 && text.contains("Primary"), "{text}");
        assert_eq!(machine.call("remove"), (0, String::new()));
        assert_eq!((machine.role(), machine.claim()), (SECONDARY, None));
        machine.xenstored.remove(&format!("{}/physical-device", machine::BACKEND));
    }
}
