//! The window of a live migration, through the real binary on a machine in a directory.

#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

#[path = "support/drbd_kernel.rs"]
mod drbd_kernel;
#[path = "support/machine.rs"]
mod machine;
#[path = "support/place.rs"]
mod place;
#[path = "support/xenstored.rs"]
mod xenstored;

use drbd_kernel::{CHG_NET_OPTS, Fault};
use machine::{BACKEND, Machine, said};
use std::time::{Duration, Instant};
use xenstored::op;

const PRIMARY: u32 = 1;
const SECONDARY: u32 = 2;
const WINDOW: &str = "run/block-drbd/windows/r0.json";

/// Guest 5 is moving in: it runs on the peer, and `xl migrate-receive` calls.
fn moving_in() -> Machine {
    let machine = Machine::new();
    receiving(&machine);
    machine.xenstored.set("/local/domain/5/name", "vm5--incoming");
    peer(&machine, PRIMARY);
    machine
}

fn receiving(machine: &Machine) {
    let cmdline = format!("proc/{}/cmdline", std::process::id());
    machine.file(&cmdline, "xl\0migrate-receive\0");
}

fn peer(machine: &Machine, role: u32) {
    machine.drbd.with(|model| model.resources[0].volumes[0].peer_role = role);
}

/// xl lets it run here, and the source lets go of the disk.
fn arrives(machine: &Machine) {
    machine.xenstored.set("/local/domain/5/name", "vm5");
    peer(machine, SECONDARY);
}

fn two_primaries(machine: &Machine) -> bool {
    machine.drbd.with(|model| model.resources[0].two_primaries)
}

fn allow_two_primaries(machine: &Machine) {
    machine.drbd.with(|model| model.resources[0].two_primaries = true);
}

fn window(machine: &Machine) -> bool {
    machine.path(WINDOW).exists()
}

/// The detached release does it, in its own time.
#[track_caller]
fn closes(machine: &Machine) {
    waits_while(|| two_primaries(machine) || window(machine));
}

#[track_caller]
fn waits_while(open: impl Fn() -> bool) {
    let start = Instant::now();
    while open() {
        assert!(start.elapsed() < Duration::from_secs(20), "the window stays open");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_guest_moves_in() {
    let machine = moving_in();
    assert_eq!(machine.call("add"), (0, String::new()));
    assert_eq!(machine.role(), PRIMARY);
    assert!(two_primaries(&machine) && window(&machine), "the source still has it");
    assert!(machine.claim().unwrap().contains("\"two_primaries\":false"));
    arrives(&machine);
    closes(&machine);
    assert_eq!(machine.role(), PRIMARY);
    assert_eq!(machine.call("remove"), (0, String::new()));
    assert_eq!(machine.role(), SECONDARY);
}

#[test]
fn a_guest_that_did_not_arrive_leaves_nothing() {
    let machine = moving_in();
    assert_eq!(machine.call("add"), (0, String::new()));
    assert_eq!(machine.call("remove"), (0, String::new()));
    assert_eq!(machine.role(), SECONDARY);
    assert!(!two_primaries(&machine) && !window(&machine));
    assert_eq!(machine.claim(), None);
}

#[test]
fn an_add_that_fails_closes_what_it_opened() {
    let machine = moving_in();
    let mut seen = 0;
    machine.xenstored.before(op::READ, &format!("{BACKEND}/state"), move |tree| {
        seen += 1;
        if seen == 3 {
            tree.set(&format!("{BACKEND}/state"), b"5");
        }
    });
    let (code, text) = machine.call("add");
    assert_eq!(code, 4, "{text}");
    assert_eq!(machine.role(), SECONDARY);
    assert!(!two_primaries(&machine) && !window(&machine));
    assert_eq!(machine.claim(), None);
}

/// Ended on this node alone it would part the nodes: DRBD does not connect those that differ in it.
#[test]
fn an_add_that_loses_the_link_leaves_its_window_until_the_link_is_back() {
    let machine = moving_in();
    let model = machine.drbd.model();
    machine.xenstored.before(op::READ, &format!("{BACKEND}/state"), move |tree| {
        let mut model = model.lock().unwrap();
        if model.resources[0].two_primaries {
            model.resources[0].volumes[0].conn = 8;
            model.resources[0].volumes[0].peer_role = 0;
            tree.set(&format!("{BACKEND}/state"), b"5");
        }
    });
    let (code, text) = machine.call("add");
    assert_eq!(code, 4, "{text}");
    assert_eq!(machine.role(), SECONDARY);
    assert!(two_primaries(&machine) && window(&machine), "{text}");
    machine.drbd.with(|model| model.resources[0].volumes[0].conn = 10);
    peer(&machine, PRIMARY);
    closes(&machine);
}

#[test]
fn what_drbd_does_not_allow_is_not_promoted() {
    let machine = moving_in();
    machine.drbd.with(|model| model.faults.insert(CHG_NET_OPTS, Fault::Refuse(163)));
    let (code, text) = machine.call("add");
    assert_eq!(code, 4, "{text}");
    assert!(text.contains("DRBD refuses to let two nodes have r0 Primary: (163)"), "{text}");
    assert!(machine.drbd.log().is_empty(), "no role was asked for");
    assert!(!window(&machine));
}

#[test]
fn anybody_else_is_refused() {
    let machine = moving_in();
    let cmdline = format!("proc/{}/cmdline", std::process::id());
    for caller in ["xl\0create\0vm--incoming.cfg\0", "xl\0create\0migrate-receive.cfg\0", ""] {
        machine.file(&cmdline, caller);
        let (code, text) = machine.call("add");
        assert_eq!(code, 1, "{text}");
        assert!(text.contains("[peer-primary]"), "{text}");
    }
    receiving(&machine);
    machine.xenstored.set("/local/domain/5/name", "vm5");
    assert_eq!(machine.call("add").0, 1);
    allow_two_primaries(&machine);
    let (code, text) = machine.call("add");
    assert!(code == 1 && text.contains("[peer-primary]"), "also where the configuration allows two: {text}");
    assert!(machine.drbd.log().is_empty(), "no role was asked for");
    assert!(!window(&machine));
}

/// A running guest comes from the disk that it left, and from no other.
#[test]
fn a_guest_does_not_move_onto_a_disk_that_nobody_has() {
    let machine = moving_in();
    let refused = |what: &str| {
        let (code, text) = machine.call("add");
        assert_eq!(code, 1, "{what}: {text}");
        assert!(text.contains("[incoming]") && text.contains("it comes from another disk"), "{what}: {text}");
        assert!(machine.drbd.log().is_empty() && !two_primaries(&machine) && !window(&machine), "{what}");
    };
    peer(&machine, SECONDARY);
    refused("no node has it Primary");
    machine.volume(|volume| volume.role = PRIMARY);
    refused("this node has it Primary, and no half of the guest is here");
    machine.volume(|volume| volume.role = SECONDARY);
    let other = drbd_kernel::Volume { number: 1, minor: 999, peer_role: PRIMARY, ..first_volume(&machine) };
    machine.drbd.with(|model| model.resources[0].volumes.push(other));
    machine.xenstored.set(&format!("{BACKEND}/params"), "r0/0");
    refused("the peer has another volume Primary");
}

/// What the peer b says of itself, where guest 9 with this `vm` node has r0.
fn said_by_b(name: &str, vm: &str) -> String {
    let b = Machine::new();
    b.file("proc/sys/kernel/hostname", "b\n");
    b.guest(9, 51712, "r0");
    b.xenstored.set("/local/domain/9/name", name);
    b.xenstored.set("/local/domain/9/vm", vm);
    let device = format!("7:{:x}", b.device.minor);
    b.xenstored.set("/local/domain/0/backend/vbd/9/51712/physical-device", &device);
    let (code, text) = said(b.command(&["facts", "--json"]).output().unwrap());
    assert_eq!(code, 0, "{text}");
    text
}

/// The peer is called b, and this script answers for it.
fn ask_b(machine: &Machine, script: &str) {
    let port = 7789 + machine.device.minor;
    let host = |name: &str, address: &str| format!("on {name} {{ address {address}:{port}; }}");
    let (a, b) = (host("a", "10.0.0.1"), host("b", "10.0.0.2"));
    machine.file("etc/drbd.conf", &format!("resource r0 {{ {a} {b} }}\n"));
    machine.program("bin/ask-b", &format!("echo asked >> ROOT/asked\n{script}"));
    machine.settings("[peers.b]\ncommand = [\"/bin/ask-b\"]\n");
}

fn asked(machine: &Machine) -> usize {
    std::fs::read_to_string(machine.path("asked")).unwrap_or_default().lines().count()
}

#[test]
fn the_source_says_who_has_the_disk_there() {
    let machine = moving_in();
    ask_b(&machine, "cat ROOT/b.json");
    machine.file("b.json", &said_by_b("vm9", "/vm/9"));
    let (code, text) = machine.call("add");
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("guest vm9 (domain 9) has volume 0 of r0 on b"), "{text}");
    assert!(machine.drbd.log().is_empty() && !two_primaries(&machine) && !window(&machine));
    machine.file("b.json", &said_by_b("vm5", "/vm/5"));
    assert_eq!(machine.call("add"), (0, String::new()));
    assert_eq!(asked(&machine), 2, "once a start: the guest stands still meanwhile");
    assert!(!machine.claim().unwrap().contains("unproven"));
    // A copied configuration has the uuid too.
    let machine = moving_in();
    ask_b(&machine, "cat ROOT/b.json");
    machine.file("b.json", &said_by_b("copy", "/vm/5"));
    let (code, text) = machine.call("add");
    assert!(code == 1 && text.contains("guest copy (domain 9) has volume 0 of r0 on b"), "{code}: {text}");
    assert!(machine.drbd.log().is_empty() && !window(&machine));
}

/// `xl migrate -C` with another configuration: xvda has become xvdb.
#[test]
fn a_guest_that_moves_in_keeps_its_disks_apart() {
    let machine = moving_in();
    ask_b(&machine, "cat ROOT/b.json");
    let said = said_by_b("vm5", "/vm/5");
    let other = said.replace("\"devid\": 51712", "\"devid\": 51728");
    assert_ne!(said, other, "{said}");
    machine.file("b.json", &other);
    let (code, text) = machine.call("add");
    let words = "volume 0 of r0 is to be xvda of the guest that moves in, and it is its xvdb on b [incoming]";
    assert!(code == 1 && text.contains(words), "{code}: {text}");
    assert!(machine.drbd.log().is_empty() && !two_primaries(&machine) && !window(&machine));
    // An older version does not tell the device.
    machine.file("b.json", &said.replace("\"devid\": 51712,", ""));
    assert_eq!(machine.call("add"), (0, String::new()));
    let claim = machine.claim().unwrap();
    assert!(claim.contains("b does not tell the device number of domain 9"), "{claim}");
}

#[test]
fn a_source_that_does_not_answer_is_not_waited_for() {
    let unproven = |machine: &Machine, why: &str| {
        let started = Instant::now();
        assert_eq!(machine.call("add"), (0, String::new()), "{why}");
        assert!(started.elapsed() < Duration::from_secs(10), "{why}");
        assert!(machine.claim().unwrap().contains(why), "{}", machine.claim().unwrap());
        let (_, text) = said(machine.command(&["status"]).output().unwrap());
        assert!(text.contains("vm5--incoming (5, xvda, incoming-unproven)"), "{text}");
    };
    unproven(&moving_in(), "the settings have no [peers.10.0.0.2:");
    for (script, why) in [
        ("sleep 60", "the time allowed for it is over"),
        ("exit 1", "it failed with exit status: 1"),
        ("cat ROOT/b.json ROOT/b.json", "it is not the output of block-drbd facts"),
        ("sed s/r0/r9/ ROOT/b.json", "b does not tell of r0"),
        ("sed 's/\"b\"/\"c\"/' ROOT/b.json", "calls itself \\\"c\\\""),
    ] {
        let machine = moving_in();
        ask_b(&machine, script);
        machine.file("b.json", &said_by_b("vm5", "/vm/5"));
        unproven(&machine, why);
    }
    let machine = moving_in();
    ask_b(&machine, "exit 1");
    machine.settings(
        "incoming-seconds = 0\nrules.incoming-unproven = \"refuse\"\n[peers.b]\ncommand = [\"/bin/ask-b\"]\n",
    );
    let (code, text) = machine.call("add");
    assert!(code == 1 && text.contains("[incoming-unproven]"), "{code}: {text}");
    for remedy in ["where it is set, run it by hand as root", "raise incoming-seconds"] {
        assert!(text.contains(remedy), "{remedy}: {text}");
    }
    assert_eq!(asked(&machine), 0, "incoming-seconds is 0");
}

const UUID: &str = "11111111-2222-3333-4444-555555555555";
const EXPECTED: &str = "run/block-drbd/expected/r0.json";

/// `expect` as the source calls it here.
fn expect(machine: &Machine, words: &[&str]) -> (i32, String) {
    said(machine.command(&[&["expect"], words].concat()).output().unwrap())
}

fn volume_word(machine: &Machine) -> String {
    format!("r0/0={:X}:51712", first_volume(machine).current_uuid)
}

/// A guest that was announced, at a destination that would ask the source otherwise.
fn announced() -> Machine {
    let machine = moving_in();
    ask_b(&machine, "exit 1");
    machine.xenstored.set("/local/domain/5/vm", &format!("/vm/{UUID}"));
    assert_eq!(expect(&machine, &[UUID, "9", "vm5", &volume_word(&machine)]), (0, String::new()));
    machine
}

#[test]
fn a_guest_that_was_announced_is_not_asked_for() {
    let machine = announced();
    assert_eq!(machine.call("add"), (0, String::new()));
    assert_eq!(asked(&machine), 0);
    assert!(!machine.claim().unwrap().contains("unproven"));
    assert!(!machine.path(EXPECTED).exists(), "it belongs to one migration");
}

#[test]
fn an_announcement_tells_which_disk_comes() {
    let announce = |word: fn(String) -> String| {
        let machine = announced();
        let word = word(volume_word(&machine));
        assert_eq!(expect(&machine, &[UUID, "9", "vm5", &word]), (0, String::new()));
        let added = machine.call("add");
        assert_eq!(asked(&machine), 0);
        (added, machine.claim().unwrap_or_default())
    };
    let ((code, text), _) = announce(|word| word.replace("51712", "51728"));
    assert!(code == 1 && text.contains("it is its xvdb on"), "{code}: {text}");
    let (added, claim) = announce(|word| word.replace(":51712", ""));
    assert_eq!(added, (0, String::new()));
    assert!(claim.contains("does not tell the device number of domain 9"), "{claim}");
}

#[test]
fn an_announcement_of_something_else_proves_nothing() {
    let rewrite = |machine: &Machine, from: &str, to: &str| {
        let text = std::fs::read_to_string(machine.path(EXPECTED)).unwrap();
        assert!(text.contains(from), "{text}");
        machine.file(EXPECTED, &text.replace(from, to));
    };
    type Change<'a> = &'a dyn Fn(&Machine);
    let changes: [(&str, Change); 7] = [
        ("another guest", &|machine| machine.xenstored.set("/local/domain/5/vm", "/vm/other")),
        ("a guest of another name", &|machine| rewrite(machine, "\"guest\":\"vm5\"", "\"guest\":\"vm6\"")),
        ("other data", &|machine| machine.volume(|volume| volume.current_uuid ^= 0x100)),
        ("another volume", &|machine| rewrite(machine, "\"number\":0", "\"number\":1")),
        ("long ago", &|machine| rewrite(machine, "\"at\":1", "\"at\":0")),
        ("to come", &|machine| rewrite(machine, "\"at\":1", "\"at\":9")),
        ("not understood", &|machine| machine.file(EXPECTED, "{")),
    ];
    for (what, change) in changes {
        let machine = announced();
        change(&machine);
        assert_eq!(machine.call("add"), (0, String::new()), "{what}");
        assert_eq!(asked(&machine), 1, "{what}: the source is asked");
        assert!(machine.claim().unwrap().contains("unproven"), "{what}");
    }
}

#[test]
fn what_cannot_be_expected_is_an_error() {
    let machine = moving_in();
    let good = volume_word(&machine);
    for (words, code, why) in [
        (&["x", "9", "vm5", &good][..], 2, "is not a uuid"),
        (&[UUID, "nine", "vm5", &good], 2, "block-drbd --help"),
        (&[UUID, "9", "vm5", "r0"], 2, "is not RESOURCE/VOLUME=GENERATION"),
        (&[UUID, "9", "vm5", "r0=1"], 2, "is not RESOURCE/VOLUME=GENERATION"),
        (&[UUID, "9", "vm5", "all/0=1"], 2, "is not RESOURCE/VOLUME=GENERATION"),
        (&[UUID, "9", "vm5", "r0/0=x"], 2, "is not RESOURCE/VOLUME=GENERATION"),
        (&[UUID, "9", "vm5", "r0/0=1:xvda"], 2, "is not RESOURCE/VOLUME=GENERATION"),
        (&[UUID, "9", "vm5"], 2, "block-drbd --help"),
        (&[UUID, "9", "vm5", "r9/0=1"], 3, "DRBD has no resource r9 up; run: drbdadm up r9"),
    ] {
        let (found, text) = expect(&machine, words);
        assert!(found == code && text.contains(why), "{words:?}: {found} {text}");
    }
    assert!(!machine.path(EXPECTED).exists());
}

fn first_volume(machine: &Machine) -> drbd_kernel::Volume {
    machine.drbd.with(|model| model.resources[0].volumes[0].clone())
}

#[test]
fn a_window_whose_process_died_is_closed_by_the_next_run_of_anything() {
    let machine = moving_in();
    let opened = r#"{"version":1,"resource":"r0","vm":"/vm/5","domid":5,"opened":1000}"#;
    machine.file(WINDOW, opened);
    allow_two_primaries(&machine);
    let mut other = machine.command(&["remove"]);
    let (code, text) = said(other.env("XENBUS_PATH", "backend/vbd/77/51712").output().unwrap());
    assert_eq!(code, 0, "{text}");
    assert!(!two_primaries(&machine) && !window(&machine));

    machine.file(WINDOW, opened);
    allow_two_primaries(&machine);
    let (code, text) = said(machine.command(&["release", "--all"]).output().unwrap());
    assert_eq!(code, 0, "{text}");
    assert!(!two_primaries(&machine) && !window(&machine));
}

#[test]
fn a_record_that_cannot_be_read_is_closed_too() {
    for text in [
        "",
        "{",
        "\0\u{1b}[31m",
        r#"{"version":9}"#,
        r#"{"version":1,"resource":"r9","vm":"","domid":1,"opened":1}"#,
    ] {
        let machine = moving_in();
        machine.file(WINDOW, text);
        allow_two_primaries(&machine);
        let (code, said) = said(machine.command(&["release", "--all"]).output().unwrap());
        assert_eq!(code, 0, "{said}");
        assert!(!two_primaries(&machine) && !window(&machine), "{text}");
    }
}

#[test]
fn while_both_are_primary_it_stays_and_says_so() {
    let machine = moving_in();
    assert_eq!(machine.call("add").0, 0);
    let (code, text) = said(machine.command(&["release", "r0"]).output().unwrap());
    assert_eq!(code, 4, "{text}");
    assert!(text.contains("this node and 10.0.0.2:"), "{text}");
    assert!(text.contains("are both Primary"), "{text}");
    assert!(two_primaries(&machine) && window(&machine));
    arrives(&machine);
    closes(&machine);
}

/// The node that the guest leaves has no record but its claim.
#[test]
fn the_source_ends_the_window_when_its_guest_has_gone() {
    let machine = Machine::new();
    assert_eq!(machine.call("add"), (0, String::new()));
    allow_two_primaries(&machine);
    peer(&machine, PRIMARY);
    machine.xenstored.set("/local/domain/5/name", "vm5--migratedaway");
    assert_eq!(machine.call("remove"), (0, String::new()));
    assert_eq!(machine.role(), SECONDARY);
    assert!(!two_primaries(&machine));
    assert_eq!(machine.claim(), None);
}

#[test]
fn what_the_configuration_allows_is_not_taken_away() {
    let machine = Machine::new();
    allow_two_primaries(&machine);
    assert_eq!(machine.call("add"), (0, String::new()));
    assert_eq!(machine.call("remove"), (0, String::new()));
    assert!(two_primaries(&machine));

    let machine = moving_in();
    allow_two_primaries(&machine);
    assert_eq!(machine.call("add"), (0, String::new()));
    assert!(!window(&machine), "there is nothing to open");
    peer(&machine, SECONDARY);
    assert_eq!(machine.call("remove"), (0, String::new()));
    assert!(two_primaries(&machine));
}

/// It comes back before the window through which it went is closed.
#[test]
fn a_guest_that_comes_back_through_an_open_window_opens_its_own() {
    let machine = Machine::new();
    assert_eq!(machine.call("add"), (0, String::new()));
    allow_two_primaries(&machine);
    peer(&machine, PRIMARY);
    machine.xenstored.set("/local/domain/5/name", "vm5--migratedaway");
    machine.guest(6, 51712, "r0");
    machine.xenstored.set("/local/domain/6/name", "vm5--incoming");
    machine.xenstored.set("/local/domain/6/vm", "/vm/5");
    receiving(&machine);
    let mut back = machine.command(&["add"]);
    let (code, text) = said(back.env("XENBUS_PATH", "backend/vbd/6/51712").output().unwrap());
    assert_eq!(code, 0, "{text}");
    assert!(two_primaries(&machine) && window(&machine), "{text}");
}

#[test]
fn a_guest_does_not_move_onto_old_data() {
    let machine = moving_in();
    for (change, words) in [
        (&(|volume: &mut drbd_kernel::Volume| volume.peer_disk = 4) as &dyn Fn(&mut _), "is Inconsistent"),
        (&|volume: &mut drbd_kernel::Volume| volume.peer_disk = 8, ""),
    ] {
        machine.drbd.with(|model| change(&mut model.resources[0].volumes[0]));
        if !words.is_empty() {
            let (code, text) = machine.call("add");
            assert_eq!(code, 1, "{text}");
            assert!(text.contains(words) && text.contains("[incoming]"), "{text}");
        }
    }
    machine.drbd.with(|model| model.resources[0].protocol = 1);
    let (code, text) = machine.call("add");
    assert!(code == 1 && text.contains("uses protocol A"), "{text}");
    assert!(machine.drbd.log().is_empty() && !two_primaries(&machine));
}

#[test]
fn a_link_that_is_lost_may_come_back_before_each_node_ends_it_alone() {
    let machine = moving_in();
    let lost = |opened: u64| {
        let opened = format!(r#"{{"version":1,"resource":"r0","vm":"/vm/5","domid":5,"opened":{opened}}}"#);
        machine.file(WINDOW, &opened);
        allow_two_primaries(&machine);
        machine.drbd.with(|model| model.resources[0].volumes[0].conn = 8);
        peer(&machine, 0);
    };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    lost(now);
    let (code, text) = said(machine.command(&["release", "r0"]).output().unwrap());
    assert_eq!(code, 4, "{text}");
    assert!(text.contains("the peer may come back"), "{text}");
    assert!(two_primaries(&machine) && window(&machine));
    for long_ago in [now - 60, now + 3600] {
        lost(long_ago);
        assert_eq!(said(machine.command(&["release", "r0"]).output().unwrap()).0, 0);
        assert!(!two_primaries(&machine) && !window(&machine), "opened at {long_ago}");
    }
}

/// Both nodes are Primary then, and this one knows why.
#[test]
fn the_record_stays_as_long_as_half_the_guest_is_here() {
    let machine = moving_in();
    assert_eq!(machine.call("add"), (0, String::new()));
    let opened = r#"{"version":1,"resource":"r0","vm":"/vm/5","domid":5,"opened":1000}"#;
    machine.file(WINDOW, opened);
    machine.drbd.with(|model| model.resources[0].volumes[0].conn = 8);
    peer(&machine, 0);
    let (code, text) = said(machine.command(&["release", "r0"]).output().unwrap());
    assert_eq!(code, 4, "{text}");
    assert!(text.contains("may not have r0 Primary any more, but its migration is not over"), "{text}");
    assert!(text.contains("guest vm5--incoming (domain 5) is still moving in"), "{text}");
    assert!(!two_primaries(&machine) && window(&machine));
    machine.xenstored.set(&format!("{BACKEND}/online"), "0");
    machine.xenstored.set(&format!("{BACKEND}/state"), "6");
    assert_eq!(machine.call("remove"), (0, String::new()));
    assert_eq!(machine.role(), SECONDARY);
    assert!(!window(&machine) && !machine.path("run/block-drbd/lone/r0.json").exists());
}

#[test]
fn the_record_goes_with_the_name_of_a_guest_that_moves_in() {
    let machine = moving_in();
    assert_eq!(machine.call("add"), (0, String::new()));
    peer(&machine, SECONDARY);
    waits_while(|| two_primaries(&machine));
    assert!(window(&machine));
    machine.xenstored.set("/local/domain/5/name", "vm5");
    closes(&machine);
}

/// One that did would do so at each of its tries, twice a second, and so would each of them.
#[test]
fn a_release_that_fails_starts_no_other() {
    let machine = moving_in();
    let minor = machine.device.minor;
    let claim =
        format!(r#"{{"version":1,"resource":"r0","promoted":[{minor}],"users":[],"two_primaries":false}}"#);
    machine.file("run/block-drbd/claims/r0.json", &claim);
    machine.file(WINDOW, r#"{"version":1,"resource":"r0","vm":"/vm/5","domid":5,"opened":1000}"#);
    allow_two_primaries(&machine);
    machine.drbd.with(|model| {
        model.faults.insert(CHG_NET_OPTS, Fault::Refuse(163));
        model.resources[0].volumes[0].role = PRIMARY;
        model.resources[0].volumes[0].peer_role = SECONDARY;
    });
    let release = ["release", "--recorded", "--wait", "2", "r0"];
    let (code, text) = said(machine.command(&release).output().unwrap());
    assert_eq!(code, 4, "{text}");
    assert!(text.contains("not known to be closed"), "{text}");
    assert_eq!(machine.role(), SECONDARY, "what could be done stays done");
    assert_eq!(place::releases(&machine.path("")), [0; 0]);
}
