//! Every parser on hostile input: what is kept in fuzz/corpus, mutations of each of
//! it that are the same in every run, and shapes that make a careless parser slow.

#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

#[path = "../fuzz/targets.rs"]
mod targets;

use nix::time::{ClockId, clock_gettime};
use std::fs;
use std::time::Duration;

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus");

/// Inputs of one target, by file name.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(format!("{CORPUS}/{target}")).unwrap().map(|entry| entry.unwrap());
    let mut inputs: Vec<_> = entries
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path()).unwrap()))
        .collect();
    inputs.sort();
    assert!(!inputs.is_empty(), "no corpus of {target}");
    inputs
}

/// xorshift64: the same numbers in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end.max(1) as u64) as usize
    }
}

/// What is put into the middle of an input.
const STRANGE: [&[u8]; 14] = [
    b"\0",
    b"\x1b[2J",
    b"\n",
    b"\r",
    b"\x7f",
    b"\xc2\x9b",
    b"\xff",
    b"\"",
    b"'",
    b"{",
    b"}",
    b"[",
    b"\\",
    b"../",
];

fn mutations(input: &[u8], numbers: &mut Numbers) -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = (0..16).map(|part| input[..input.len() * part / 16].to_vec()).collect();
    all.push([input, input].concat());
    for strange in STRANGE {
        let (before, after) = input.split_at(numbers.below(input.len() + 1));
        all.push([before, strange, after].concat());
    }
    for _ in 0..16 {
        let mut flipped = input.to_vec();
        let at = numbers.below(input.len());
        flipped.get_mut(at).into_iter().for_each(|byte| *byte ^= 1 << numbers.below(8));
        all.push(flipped);
    }
    all
}

/// Runs a target, and says on which input it panicked.
fn run(name: &str, target: fn(&[u8]), input: &[u8]) {
    if std::panic::catch_unwind(|| target(input)).is_err() {
        panic!("{name} panics on {:?}", input.escape_ascii().to_string());
    }
}

#[test]
fn what_is_kept_and_what_is_made_of_it() {
    let mut numbers = Numbers(0x5eed);
    for (name, target) in targets::ALL {
        for (_, input) in corpus(name) {
            run(name, target, &input);
            mutations(&input, &mut numbers).iter().for_each(|input| run(name, target, input));
        }
    }
}

/// Texts that grow by the repetition of one part: target, what is before, the part, what is after.
/// `#` in a part is its number.
const SHAPES: [(&str, &str, &str, &str); 40] = [
    ("proc_drbd", "version: 8.4.11 (x)\n", "\t[==>] sync'ed\n", ""),
    ("proc_drbd", "version: 8.4.11 (x)\n", "\n", ""),
    (
        "proc_drbd",
        "version: 8.4.11 (x)\n",
        " #: cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate C r-----\n",
        "",
    ),
    ("proc_drbd", "version: 8.4.11 (x)\n 0: cs:", "a", " ro:b/c ds:d/e C r-----"),
    ("drbd_conf", "", "resource r# { on a { device; } }\n", ""),
    ("drbd_conf", "", "resource r# { on { } } ", ""),
    ("drbd_conf", "", "resource r# { on a { device minor #; disk /dev/sda; } on b { } }\n", ""),
    ("drbd_conf", "", "resource r# { template-file x; on a { device minor #; disk /dev/sda; } }", ""),
    ("drbd_conf", "resource r { ", "volume # { device minor #; disk a; } ", "on a { } on b { } }"),
    ("drbd_conf", "resource r { ", "on h# { } ", "}"),
    (
        "drbd_conf",
        "resource r { ",
        "connection { host a; host b#; } ",
        "on a { device minor 1; disk x; } on b { } }",
    ),
    ("drbd_conf", "", "include x#;\n", ""),
    ("drbd_conf", "", "include \"drbd.d/*#\";\n", ""),
    ("drbd_conf", "resource r { on ", "a ", "{ } }"),
    ("drbd_conf", "\"", "\\\\", "\""),
    ("drbd_conf", "", "{", ""),
    ("drbdsetup", "[", "[", ""),
    (
        "drbdsetup",
        "[",
        "{\"name\":\"r#\",\"role\":\"Primary\",\"suspended\":false,\"devices\":[],\"connections\":[]},",
        "{}]",
    ),
    ("domain_config", "disk = [", "'phy:/dev/x#,xvda,w',", "]"),
    ("domain_config", "disk = ['", "phy:", "x,xvda,w']"),
    ("domain_config", "", "disk += ['phy:/dev/drbd#,xvda,w']\n", ""),
    ("domain_config", "", "name += 'x'\n", ""),
    ("domain_config", "a = ", "'x' ", ""),
    ("domain_config", "a = ", "[", ""),
    ("domain_config", "", "f(#)\n", ""),
    ("domain_config", "", "if x:\n  y\n", ""),
    ("domain_config", "a = '", "\\n", "'"),
    ("settings", "", "[peers.h#]\ncommand = ['a']\n", ""),
    ("settings", "", "[[non-volatile]]\nhost = 'a'\ndevice = 'b#'\nreason = 'c'\n", ""),
    ("settings", "a", ".a", " = 1"),
    ("settings", "[a", ".a", "]"),
    ("settings", "a = ", "[", ""),
    ("settings", "a = ", "{a=", ""),
    ("mountinfo", "", "36 35 8:# / /srv rw - ext4 /dev/sda1 rw\n", ""),
    ("mountinfo", "36 35 8:1 / /srv", "\\040", " rw - ext4 /dev/sda1 rw\n"),
    ("xenstore_dump", "", "/local/domain/0/backend/vbd/#/51712/physical-device = \"93:3\"\n", ""),
    ("xenstore_dump", "/a = \"", "\\n", "\""),
    ("xenstore_dump", "/a = \"", "\" = \"", "\""),
    ("target", "r0/", "0", ""),
    ("target", "", "a/", ""),
];

/// Time that this thread has had the processor: others on the machine do not count.
fn cost(target: fn(&[u8]), input: &[u8]) -> Duration {
    let clock = || Duration::from(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap());
    let before = clock();
    target(input);
    clock() - before
}

fn shape((_, before, part, after): (&str, &str, &str, &str), size: usize) -> Vec<u8> {
    let mut text = before.to_string();
    let mut number = 0;
    while text.len() < size {
        text.push_str(&part.replace('#', &number.to_string()));
        number += 1;
    }
    (text + after).into_bytes()
}

/// What is wrong with how the time of a target grows with the size of its input.
fn growth(name: &str, shown: &str, target: fn(&[u8]), of_size: impl Fn(usize) -> Vec<u8>) -> Option<String> {
    let best = |size| (0..3).map(|_| cost(target, &of_size(size))).min().unwrap();
    let large = best(4 * SMALL);
    // Too short to say anything: a square of it is still short.
    if large < Duration::from_millis(40) {
        return None;
    }
    let small = best(SMALL);
    // Four times the bytes: linear is 4, a square 16.
    let slow = || format!("{name} on {shown}: {small:?} for {SMALL} bytes, {large:?} for four times that");
    (large > small * 9).then(slow)
}

const SMALL: usize = 16 << 10;

#[test]
fn time_grows_with_the_size_and_not_with_its_square() {
    let growth = |it: (&str, &str, &str, &str)| {
        let (_, target) = targets::ALL.into_iter().find(|(name, _)| *name == it.0).unwrap();
        growth(it.0, it.2, target, |size| shape(it, size))
    };
    let slow: Vec<String> = SHAPES.into_iter().filter_map(growth).collect();
    assert!(slow.is_empty(), "{slow:#?}");
}

/// The facts of a peer whose resource stands on `count` devices, each of which stands on
/// those that `below` numbers.
fn peer(count: usize, below: impl Fn(usize) -> Vec<usize>) -> Vec<u8> {
    let text = fs::read_to_string(format!("{CORPUS}/peer_facts/{PLAIN}")).unwrap();
    let mut facts: serde_json::Value = serde_json::from_str(&text).unwrap();
    let device = facts["devices"]["sda"].clone();
    assert!(device.is_object(), "{text}");
    let devices = (0..count).map(|number| {
        let names: Vec<String> = below(number).into_iter().map(|below| format!("d{below}")).collect();
        let mut device = device.clone();
        device["below"] = serde_json::json!({ "is": names });
        (format!("d{number}"), device)
    });
    facts["devices"] = devices.collect::<serde_json::Map<_, _>>().into();
    facts["resources"]["is"][0]["volumes"][0]["data"] = serde_json::json!({ "is": "d0" });
    facts.to_string().into_bytes()
}

const PLAIN: &str = "plain";

#[test]
fn a_peer_cannot_make_the_walk_down_its_devices_long() {
    let chain = |count: usize| peer(count, |number| vec![number + 1; usize::from(number + 1 < count)]);
    let wide = |count: usize| peer(count, |number| if number == 0 { (1..count).collect() } else { vec![] });
    let twice = |count: usize| peer(count, |number| vec![(number + 1) % count; 8]);
    let volumes = |size: usize| {
        let mut facts: serde_json::Value = serde_json::from_slice(&chain(size / 512)).unwrap();
        let volume = facts["resources"]["is"][0]["volumes"][0].clone();
        facts["resources"]["is"][0]["volumes"] = vec![volume; size / 512].into();
        facts.to_string().into_bytes()
    };
    let growth =
        |shown, of_size: &dyn Fn(usize) -> Vec<u8>| growth("peer_facts", shown, targets::peer_facts, of_size);
    let slow = [
        growth("a chain", &|size| chain(size / 256)),
        growth("one on many", &|size| wide(size / 256)),
        growth("many ways down", &|size| twice(size / 256)),
        growth("many volumes", &volumes),
    ];
    assert_eq!(slow, [const { None }; 4]);
}
