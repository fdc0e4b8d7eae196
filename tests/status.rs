//! `status` and `release` through the real binary: who is told of, who is needed, and what is
//! demoted by whose word.

#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

#[path = "support/drbd_kernel.rs"]
mod drbd_kernel;
#[path = "support/machine.rs"]
mod machine;
#[path = "support/place.rs"]
mod place;
#[path = "support/said.rs"]
mod said;
#[path = "support/shape.rs"]
mod shape;
#[path = "support/xenstored.rs"]
mod xenstored;

use drbd_kernel::{Fault, Resource, Volume};
use machine::{BACKEND, Machine};
use said::{Said, of, said};
use serde_json::Value;
use shape::has_the_shape_of;
use std::fs::{self, File, FileTimes};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

const PRIMARY: u32 = 1;
const SECONDARY: u32 = 2;

fn run(machine: &Machine, arguments: &[&str]) -> Said {
    said(&mut machine.command(arguments))
}

/// `status` exits with `code` and says all the words.
#[track_caller]
fn status(machine: &Machine, code: i32, words: &[&str]) -> Said {
    let said = run(machine, &["status"]);
    assert_eq!(said.code, code, "{said:?}");
    for word in words {
        assert!(said.out.contains(word), "{word:?} is not in\n{}", said.out);
    }
    said
}

fn json(machine: &Machine) -> Value {
    serde_json::from_str(&run(machine, &["status", "--json"]).out).unwrap()
}

/// Somebody has promoted it by hand.
fn promoted(machine: &Machine) {
    machine.drbd.with(|model| model.volume(machine.device.minor).unwrap().role = PRIMARY);
}

fn record(machine: &Machine, promoted: &[u32], users: &str) {
    let text = format!(
        r#"{{"version":1,"resource":"r0","promoted":{promoted:?},"users":[{users}],"two_primaries":null}}"#
    );
    machine.file("run/block-drbd/claims/r0.json", &text.replace(", ", ","));
}

/// The record was written so many seconds ago; a negative number is in the future.
fn record_is_old(machine: &Machine, seconds: i64) {
    let file = File::options().write(true).open(machine.path("run/block-drbd/claims/r0.json")).unwrap();
    let now = SystemTime::now();
    let time = Duration::from_secs(seconds.unsigned_abs());
    let time = if seconds < 0 { now + time } else { now - time };
    file.set_times(FileTimes::new().set_modified(time)).unwrap();
}

/// drbd.conf calls the peer of these resources host2.
fn peers_are_named(machine: &Machine, resources: &[(&str, u32)]) {
    let section = |(name, minor): &(&str, u32)| {
        format!("resource {name} {{ on a {{ }} on host2 {{ address 10.0.0.2:{}; }} }}\n", 7789 + minor)
    };
    let text: String = resources.iter().map(section).collect();
    machine.file("etc/drbd.conf", &text);
}

/// The guest is the half of a migration that has arrived here so many seconds ago.
fn arrived(machine: &Machine, seconds: u64) {
    machine.xenstored.set("/local/domain/5/name", "web--incoming");
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    machine.xenstored.set("/vm/5/start_time", &format!("{}.42", now - seconds));
}

#[test]
fn an_orphan_is_found_and_released_by_its_name_alone() {
    let machine = Machine::new();
    promoted(&machine);
    let words = [
        "needs you: r0 is Primary here, and no guest,",
        "  do: if nobody needs it run: block-drbd release r0\n",
    ];
    status(&machine, 1, &words);
    status(&machine, 1, &["nobody: orphan\n"]);
    let all = run(&machine, &["release", "--all"]);
    assert_eq!((all.code, all.out.as_str()), (0, ""), "it has no record: {all:?}");
    let recorded = run(&machine, &["release", "--recorded", "r0"]);
    assert_eq!((recorded.code, recorded.out.as_str()), (0, "r0: nothing is recorded\n"));
    assert!(machine.drbd.log().is_empty(), "nobody has named it");
    let named = run(&machine, &["release", "r0"]);
    assert_eq!((named.code, named.out.as_str()), (0, "r0 is released, of which nothing was recorded\n"));
    assert_eq!(machine.role(), SECONDARY);
    assert!(machine.drbd.log().iter().all(|asked| !asked.force && !asked.primary));
    status(&machine, 0, &["nobody\n"]);
}

#[test]
fn what_this_domain_uses_is_no_orphan() {
    let machine = Machine::new();
    let minor = machine.device.minor;
    promoted(&machine);
    machine.file("proc/self/mountinfo", &format!("25 1 7:{minor} / /srv/x rw - ext4 /dev/drbd rw\n"));
    status(&machine, 0, &["this domain: mounted on /srv/x\n"]);
    machine.file("proc/self/mountinfo", "");
    machine.file("proc/swaps", &format!("Filename\n/dev/drbd{minor} partition 1 0 -2\n"));
    status(&machine, 0, &["this domain: swap\n"]);
    machine.file("proc/swaps", "Filename\n");
    machine.file(&format!("sys/block/drbd{minor}/holders/dm-7"), "");
    status(&machine, 0, &["this domain: held by dm-7\n"]);
    fs::remove_file(machine.path(&format!("sys/block/drbd{minor}/holders/dm-7"))).unwrap();
    status(&machine, 1, &["nobody: orphan\n"]);
    fs::remove_file(machine.path("proc/swaps")).unwrap();
    status(&machine, 3, &["unknown: what has r0 in this domain: /proc/swaps does not exist\n"]);
    assert_eq!(json(&machine)["resources"][0]["orphan"], false);
}

#[test]
fn what_somebody_has_open_is_not_released_and_not_recorded() {
    let machine = Machine::new();
    promoted(&machine);
    machine.drbd.with(|model| model.volume(machine.device.minor).unwrap().open = true);
    let said = run(&machine, &["release", "r0"]);
    assert_eq!(said.code, 4, "{said:?}");
    assert!(said.err.contains("r0 stays Primary: ") && said.err.contains("held open"), "{said:?}");
    assert_eq!((machine.role(), machine.claim()), (PRIMARY, None));
}

#[test]
fn what_a_guest_uses_is_not_released_without_a_record_either() {
    let machine = Machine::new();
    promoted(&machine);
    machine.xenstored.set(&format!("{BACKEND}/physical-device"), &format!("7:{:x}", machine.device.minor));
    machine.xenstored.set(&format!("{BACKEND}/state"), "4");
    let said = run(&machine, &["release", "r0"]);
    assert_eq!((said.code, said.out.as_str()), (0, "r0: r0 is in use, although nothing is recorded\n"));
    status(&machine, 0, &["vm5 (5, xvda, no record)\n"]);
    machine.xenstored.set(&format!("{BACKEND}/online"), "0");
    status(&machine, 0, &["vm5 (5, xvda, leaving, no record)\n"]);
    fs::remove_file(machine.path("run/xenstored/socket")).unwrap();
    let said = run(&machine, &["release", "r0"]);
    assert!(said.code == 3 && said.err.contains("r0 stays as it is: xenstore"), "{said:?}");
    assert!(machine.drbd.log().is_empty());
    status(&machine, 3, &["unknown: which guests have what: xenstore"]);
}

#[test]
fn a_release_is_pending_and_then_stuck() {
    let machine = Machine::new();
    let minor = machine.device.minor;
    promoted(&machine);
    record(&machine, &[minor], "");
    status(&machine, 0, &["nobody: release pending for "]);
    record_is_old(&machine, 20);
    status(&machine, 0, &["release pending for "]);
    record_is_old(&machine, 3700);
    let devices = format!("with: fuser -v /dev/drbd{minor}, and then run: block-drbd release r0\n");
    status(&machine, 1, &["needs you: r0 was to be released 1 h ago and is still Primary\n", &devices]);
    record_is_old(&machine, -3700);
    status(&machine, 1, &["to be released at a time that this clock cannot tell and is still Primary"]);
    record_is_old(&machine, 3700);
    machine.drbd.with(|model| model.volume(minor).unwrap().open = true);
    let modified = || fs::metadata(machine.path("run/block-drbd/claims/r0.json")).unwrap().mtime();
    let before = modified();
    let said = run(&machine, &["release", "--all"]);
    assert!(said.code == 4 && said.err.contains("r0 is still Primary"), "{said:?}");
    assert_eq!(modified(), before, "a try that failed does not make it younger");
    machine.drbd.with(|model| model.volume(minor).unwrap().open = false);
    assert_eq!(run(&machine, &["release", "--all"]).code, 0);
    assert_eq!((machine.role(), machine.claim()), (SECONDARY, None));
    status(&machine, 0, &["nobody\n"]);
}

#[test]
fn a_guest_that_a_migration_left_here_is_found_and_named() {
    let machine = Machine::new();
    assert_eq!(machine.call("add").0, 0);
    arrived(&machine, 10);
    status(&machine, 0, &["web--incoming (5, xvda)\n"]);
    assert_eq!(json(&machine)["resources"][0]["state"], "incoming");
    arrived(&machine, 600);
    let said = status(
        &machine,
        1,
        &[
            "needs you: guest web--incoming (domain 5) has stood paused here for 10 min, with r0 Primary: ",
            "run: xl list; if web is there run here: xl destroy 5; if only web--migratedaway is there run on ",
            ": xl destroy web--migratedaway, and then here: xl rename 5 web && xl unpause 5\n",
        ],
    );
    assert!(!said.out.contains("Primary on the peer"), "{said:?}");
    machine.drbd.with(|model| model.volume(machine.device.minor).unwrap().peer_role = PRIMARY);
    status(&machine, 1, &["with r0 Primary, which is Primary on the peer, too: its migration did not end\n"]);
    machine.xenstored.remove("/vm/5/start_time");
    status(&machine, 1, &["has stood paused here since nobody knows when, with r0"]);
    machine.xenstored.set("/local/domain/5/name", "web");
    status(&machine, 0, &["web (5, xvda)\n"]);
}

#[test]
fn a_window_is_shown_and_needs_somebody_when_nobody_has_closed_it() {
    let machine = Machine::new();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let opened = |at: u64| {
        let text = format!(r#"{{"version":1,"resource":"r0","vm":"/vm/5","domid":5,"opened":{at}}}"#);
        machine.file("run/block-drbd/windows/r0.json", &text);
    };
    opened(now - 5);
    status(&machine, 0, &["nobody; window ended\n"]);
    machine.drbd.with(|model| model.resources[0].two_primaries = true);
    status(&machine, 0, &["nobody; window open for "]);
    opened(now - 600);
    let words = [
        "needs you: two Primaries of r0 were allowed 10 min ago for a migration, and that is still on record\n",
        "when one is Secondary run here: block-drbd release r0\n",
    ];
    status(&machine, 1, &words);
    opened(now + 600);
    status(&machine, 1, &["were allowed at a time that this clock cannot tell for"]);
    machine.drbd.with(|model| model.resources.clear());
    status(&machine, 1, &["r0        not up"]);
    assert_eq!(run(&machine, &["release", "--all"]).code, 0);
    let said = run(&machine, &["status"]);
    assert_eq!((said.code, said.out.as_str()), (0, "DRBD has no resource up\n"));
}

#[test]
fn what_was_written_without_the_peer_is_shown() {
    let machine = Machine::new();
    assert_eq!(machine.call("add").0, 0);
    machine.volume(Volume::lose_peer);
    machine.guest_ends();
    status(&machine, 0, &["nobody; written without its peer\n"]);
    machine.file("run/block-drbd/lone/r0.json", "{");
    status(&machine, 1, &["needs you: /run/block-drbd/lone/r0.json", "run: rm /run/block-drbd/lone/r0.json"]);
}

#[test]
fn a_record_of_what_is_not_up_is_shown_and_forgotten() {
    let machine = Machine::new();
    let minor = machine.device.minor;
    record(&machine, &[minor], r#"{"domid":9,"devid":51712,"minor":1}"#);
    machine.drbd.with(|model| {
        model.resources = vec![Resource::healthy("other", &[minor])];
        model.resources[0].volumes[0].role = PRIMARY;
    });
    let said = status(&machine, 1, &["r0        not up   -", "other is Primary here, and no guest"]);
    assert!(!said.out.contains("pending"), "{said:?}");
    let said = run(&machine, &["release", "--all"]);
    let wanted = "the record of r0 is removed: there is nothing of it to release\n";
    assert_eq!((said.code, said.out.as_str()), (0, wanted));
    assert!(machine.drbd.log().is_empty(), "the minor is another's now");
    assert_eq!(machine.claim(), None);
}

#[test]
fn what_goes_wrong_with_one_resource_stops_no_other() {
    let machine = Machine::new();
    promoted(&machine);
    record(&machine, &[machine.device.minor], "");
    machine.file("run/block-drbd/claims/a.json", "{");
    let said = run(&machine, &["release", "--all"]);
    assert_eq!((said.code, said.out.as_str()), (3, "r0 is released\n"), "{said:?}");
    assert!(said.err.contains("a stays as it is: /run/block-drbd/claims/a.json"), "{said:?}");
    assert_eq!(machine.role(), SECONDARY);
}

#[test]
fn the_screen_is_narrow_and_what_is_urgent_stands_first() {
    let machine = Machine::new();
    assert_eq!(machine.call("add").0, 0);
    machine.xenstored.set("/local/domain/5/name", "webserver");
    machine.drbd.with(|model| {
        for (name, minor) in [("alpha", 100), ("mail", 101), ("zeta1", 102), ("vols", 103)] {
            model.resources.push(Resource::healthy(name, &[minor]));
        }
        model.resources[2].volumes[0].peer_disk = 4;
        model.resources[3].volumes[0].role = PRIMARY;
        model.resources[4] = Resource::healthy("vols", &[103, 104]);
        model.resources[4].volumes[0].conn = 8;
        model.resources[4].volumes[0].peer_role = 0;
    });
    let minor = machine.device.minor;
    peers_are_named(&machine, &[("alpha", 100), ("mail", 101), ("zeta1", 102), ("vols", 103), ("r0", minor)]);
    let said = status(&machine, 1, &["host2 Secondary", "host2 Inconsistent", "host2 Connecting"]);
    let table: Vec<&str> = said.out.lines().skip_while(|line| !line.starts_with("RESOURCE")).collect();
    let first: Vec<&str> = table.iter().map(|line| line.split_whitespace().next().unwrap()).collect();
    assert_eq!(first, ["RESOURCE", "zeta1", "alpha", "mail", "r0", "vols/0", "vols/1"], "{}", said.out);
    assert!(table.iter().all(|line| line.len() <= 80), "{}", said.out);
    let column = table[0].find("USED BY").unwrap();
    assert!(table.iter().all(|line| line[column - 2..column] == *"  "), "{}", said.out);
}

#[test]
fn status_changes_nothing() {
    let machine = Machine::new();
    promoted(&machine);
    record(&machine, &[machine.device.minor], "");
    let snapshot = || {
        let mut found = Vec::new();
        look(&machine.path(""), &mut found);
        found.sort();
        found
    };
    let before = snapshot();
    status(&machine, 0, &[]);
    json(&machine);
    assert_eq!(snapshot(), before);
    assert!(machine.drbd.log().is_empty());
    fs::remove_dir_all(machine.path("run/block-drbd")).unwrap();
    status(&machine, 3, &["unknown: /run/block-drbd is not in the directory that stands for the machine\n"]);
    assert!(!machine.path("run/block-drbd").exists());
}

fn look(root: &Path, found: &mut Vec<(String, i64, i64, u64)>) {
    for entry in fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        let metadata = fs::symlink_metadata(&path).unwrap();
        let name = path.to_string_lossy().into_owned();
        found.push((name, metadata.mtime(), metadata.mtime_nsec(), metadata.size()));
        if metadata.is_dir() {
            look(&path, found);
        }
    }
}

#[test]
fn others_than_root_see_what_they_may() {
    let machine = Machine::new();
    machine.drbd.with(|model| model.faults.insert(3, Fault::Errno(1)));
    let minor = machine.device.minor;
    let line = format!("{minor}: cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate C r-----\n");
    machine.file("proc/drbd", &format!("version: 8.4.11 (api:1/proto:86-101)\n{line}"));
    let conf = format!(
        "resource r0 {{ device minor {minor}; disk /dev/x; meta-disk internal; on a {{ }} on b {{ }} }}"
    );
    machine.file("etc/drbd.conf", &conf);
    record(&machine, &[minor], "");
    let records = machine.path("run/block-drbd");
    fs::set_permissions(records, fs::Permissions::from_mode(0o700)).unwrap();
    let mut command = machine.command(&["status"]);
    let said = of(command.uid(65534).gid(65534).output().unwrap());
    assert_eq!(said.code, 3, "{said:?}");
    for words in
        ["r0  ", "Primary", "unknown: looking at /run/block-drbd/claims: Permission denied", "which guests"]
    {
        assert!(said.out.contains(words), "{words}: {said:?}");
    }
}

#[test]
fn the_json_is_a_promise() {
    let machine = Machine::new();
    assert_eq!(machine.call("add").0, 0);
    arrived(&machine, 600);
    machine.drbd.with(|model| {
        model.resources.push(Resource::healthy("bad", &[100]));
        model.resources[1].volumes[0].role = PRIMARY;
    });
    machine.file("run/block-drbd/claims/bad.json", "{");
    machine.file(
        "run/block-drbd/claims/gone.json",
        r#"{"version":1,"resource":"gone","promoted":[7],"users":[]}"#,
    );
    let window = r#"{"version":1,"resource":"r0","vm":"/vm/5","domid":5,"opened":1}"#;
    machine.file("run/block-drbd/windows/r0.json", window);
    let lone = r#"{"version":1,"resource":"r0","volumes":[{"minor":9,"current_uuid":80}]}"#;
    machine.file("run/block-drbd/lone/r0.json", lone);
    fs::remove_file(machine.path("proc/swaps")).unwrap();
    let document = json(&machine);
    assert_eq!(document["verdict"], "needs-somebody");
    has_the_shape_of(&document, "status.json");
}

#[test]
fn nothing_that_others_have_named_steers_a_terminal() {
    let machine = Machine::new();
    let escape = "\u{1b}[2J\u{7f}\u{9b}31m\n";
    assert_eq!(machine.call("add").0, 0);
    machine.xenstored.set("/local/domain/5/name", &format!("{escape}--incoming"));
    machine.xenstored.set("/local/domain/5/vm", escape);
    machine.file("proc/sys/kernel/hostname", escape);
    machine.file(&format!("run/block-drbd/flushes/r0.{}.json", machine.device.minor), escape);
    let said = status(&machine, 1, &["?[2J"]);
    assert!(said.out.lines().count() < 12, "{said:?}");
    json(&machine);
}

#[test]
fn without_drbd_there_is_nothing_to_show() {
    let machine = Machine::new();
    machine.drbd.with(|model| model.faults.insert(3, Fault::Errno(2)));
    fs::remove_file(machine.path("proc/drbd")).unwrap();
    let said = run(&machine, &["status"]);
    assert!(said.code == 3 && said.err.contains("asking DRBD for its resources"), "{said:?}");
    machine.drbd.with(|model| {
        model.faults.clear();
        model.resources.clear();
    });
    let said = run(&machine, &["status"]);
    assert_eq!((said.code, said.out.as_str()), (0, "DRBD has no resource up\n"));
}

#[test]
fn the_readme_shows_what_it_says() {
    let machine = Machine::new();
    machine.drbd.with(|model| {
        let names = [("web", machine.device.minor), ("mail", 100), ("db", 101), ("wiki", 102)];
        model.resources = names.map(|(name, minor)| Resource::healthy(name, &[minor])).into();
        model.resources[1].volumes[0].role = PRIMARY;
        model.resources[2].volumes[0].peer_role = PRIMARY;
        model.resources[3].volumes[0].peer_disk = 4;
    });
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let minor = machine.device.minor;
    peers_are_named(&machine, &[("web", minor), ("mail", 100), ("db", 101), ("wiki", 102)]);
    machine.guest(5, 51712, "web");
    machine.xenstored.set("/local/domain/5/name", "web1");
    assert_eq!(machine.call("add").0, 0);
    for (name, minor, hours) in [("web", minor, 3), ("mail", 100, 50), ("wiki", 102, 800)] {
        let text = format!(
            r#"{{"version":1,"device":{{"major":7,"minor":{minor}}},"at":{},"result":{{"Ok":812}}}}"#,
            now - hours * 3600 - 600
        );
        machine.file(&format!("run/block-drbd/flushes/{name}.{minor}.json"), &text);
    }
    let said = status(&machine, 1, &[]);
    let shown: String =
        said.out.lines().map(|line| format!("    {line}\n").replace("    \n", "\n")).collect();
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    assert!(readme.contains(&shown), "README.md does not show\n{shown}");
}
