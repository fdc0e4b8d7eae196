//! Reading a domain configuration from a directory in place of the machine.

#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

#[path = "support/place.rs"]
mod place;

use block_drbd::facts::Known;
use block_drbd::gather::domu;
use block_drbd::host::{Deadline, Host, xenstore};
use std::time::{Duration, Instant};

const INCIDENT: &[u8] = include_bytes!("fixtures/domu/drbdvm.cfg");

#[test]
fn a_file_is_read_under_the_root_or_the_error_names_it() {
    let root = place::Place::new();
    std::fs::create_dir_all(root.path().join("etc/xen")).unwrap();
    let host = Host::new(root.path(), xenstore::Named::default(), Deadline::after(Duration::from_secs(30)));
    let read = |name: &str, bytes: &[u8]| {
        std::fs::write(root.path().join("etc/xen").join(name), bytes).unwrap();
        domu::read(&host, &format!("/etc/xen/{name}"))
    };

    let guest = read("drbdvm.cfg", INCIDENT).unwrap();
    assert_eq!(guest.path, "/etc/xen/drbdvm.cfg");
    assert_eq!(guest.disks.value().map(Vec::len), Some(2));
    assert_eq!(read("empty.cfg", b"").unwrap().disks, Known::Is(vec![]));

    for (bytes, message) in [
        (&b"a = 1\nb = 'caf\xe9'\n"[..], "/etc/xen/bad.cfg:2:9: it is not UTF-8 text: `b = 'caf\u{fffd}'`"),
        (b"\xff\xfe\0\0", "/etc/xen/bad.cfg:1:1: it is not UTF-8 text: `\u{fffd}\u{fffd}??`"),
        (b"disk = [", "/etc/xen/bad.cfg:1:8: `[` is never closed: `disk = [`"),
        (b"\x7fELF\x02\x01", "/etc/xen/bad.cfg:1:1: the character U+007F cannot stand here: `?ELF??`"),
    ] {
        assert_eq!(format!("{:#}", read("bad.cfg", bytes).unwrap_err()), message);
    }
    let missing = domu::read(&host, "/etc/xen/none.cfg").unwrap_err();
    assert_eq!(format!("{missing:#}"), "/etc/xen/none.cfg does not exist");
}

/// Random text of a few signs, the same every time (xorshift64).
fn noise(signs: &[u8], length: usize) -> String {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(signs[(state % signs.len() as u64) as usize])
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn a_large_hostile_file_takes_no_longer_than_it_is_large() {
    const MIB: usize = 1 << 20;
    let bytes: Vec<u8> = (0..=255).collect();
    let fill = |unit: &str| unit.repeat(MIB / unit.len());
    let mut texts: Vec<String> =
        ["[", "\"", "'", "\\", "(", "a", "1", "#", "\n", "\r\n", ";", "'''", "a=", "=", ","].map(fill).into();
    texts.extend(["a()\n", "a+='x'\n", "a+=['x']\n", "a=b\n", "if x:\n", " x\n", "'' "].map(fill));
    for inside in ["\\n", "\\\\", ",", "é", "phy:", "a:", "tap:aio:", "cdrom,", " ", "x", "vdev=", "target=,"]
    {
        texts.push(format!("disk=['{}']", fill(inside)));
    }
    texts.push(format!("disk=[{}]", fill("'phy:/dev/drbd0,xvda,w',")));
    texts.push(format!("disk=[{}'x']", fill("'phy:/dev/drbd0,xvda,w',\n")));
    texts.push(format!("a={}", fill("'x' ")));
    texts.push(noise(&bytes, MIB));
    texts.push(noise(b"ab=+[]()'\"\\ \n;:,#1", MIB));
    texts.push(noise(b"a='\n ;", MIB));
    for text in &texts {
        let started = Instant::now();
        let message = domu::parse("f", text).map(|_| String::new()).unwrap_or_else(|error| error.to_string());
        assert!(message.chars().count() < 400, "{message}");
        // A quadratic step takes minutes; a debug build on a busy machine, well below this.
        let begins: String = text.chars().take(40).collect();
        assert!(started.elapsed() < Duration::from_secs(10), "{begins}: {:?}", started.elapsed());
    }
}

#[test]
fn no_short_noise_makes_it_panic() {
    let (mut read, mut refused) = (0, 0);
    let samples = [
        (&b"ab=+[]()'\"\\ \n;:,#1"[..], "", ""),
        (b"a=1'\n", "", ""),
        (b"phy:aw!,=cdrom \\n", "disk=['", "']"),
    ];
    for (signs, before, behind) in samples {
        let signs = noise(signs, 1 << 18);
        for chunk in signs.as_bytes().chunks(12) {
            let text = format!("{before}{}{behind}", String::from_utf8_lossy(chunk));
            match domu::parse("f", &text) {
                Ok(_) => read += 1,
                Err(error) => {
                    refused += 1;
                    assert!(error.to_string().starts_with("f:"), "{text:?}: {error}");
                }
            }
        }
    }
    assert!(read > 100 && refused > 100, "{read} {refused}");
}
