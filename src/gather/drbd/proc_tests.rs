use super::*;

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../../../tests/fixtures/drbd-8.4/", $name, ".proc"))
    };
}

const HEAD: &str = "version: 8.4.11 (api:1/proto:86-101)\nsrcversion: F73C670A7EC572DB9CF3E5B\n";

/// The line of the incident: DRBD 8.3.7 has five flags, and the question's markup took the indentation.
const INCIDENT: &str = "version: 8.3.7 (api:88/proto:86-91)
3: cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate C r----
ns:2160152 nr:520204 dw:2680344 dr:2678107 al:3549 bm:9183 lo:0 pe:0 ua:0 ap:0 ep:1 wo:f oos:0
";

fn one(line: &str) -> States {
    let found = parse(&format!("{HEAD}\n{line}\n")).unwrap_or_else(|error| panic!("{error}"));
    found.minors[0].states.clone()
}

#[test]
fn a_connected_minor() {
    let expected = States {
        conn: Conn::Listed(10),
        role: Role::Primary,
        peer_role: Role::Secondary,
        disk: DiskState::UpToDate,
        peer_disk: DiskState::UpToDate,
        protocol: Some('C'),
        flags: unconfigured(3).flags,
        write_ordering: Known::Is(WriteOrdering::Flush),
    };
    let minors = vec![Minor { number: 3, states: expected }];
    let version = Version::new(8, 4, 11);
    assert_eq!(parse(fixture!("connected")), Ok(ProcDrbd { version, minors: minors.clone() }));
    assert_eq!(parse(INCIDENT), Ok(ProcDrbd { version: Version::new(8, 3, 7), minors }));
}

#[test]
fn minors_and_the_lines_between_them() {
    for (text, numbers) in [
        (fixture!("two_resources"), &[3, 11][..]),
        (fixture!("two_volumes"), &[3, 4]),
        (fixture!("sync_target"), &[3]),
        (fixture!("verify"), &[3]),
        (fixture!("unconfigured"), &[3]),
        (HEAD, &[]),
        ("version: 9.2.19 (api:2/proto:118-124)\nGIT-hash: 302e\nTransports (api:21): tcp (9.2.19)\n", &[]),
        ("version: 9.2.19", &[]),
    ] {
        let found = parse(text).unwrap_or_else(|error| panic!("{error}"));
        assert!(found.minors.iter().map(|minor| minor.number).eq(numbers.iter().copied()), "{text}");
    }
    assert_eq!(parse(fixture!("unconfigured")).unwrap().minors[0].states, unconfigured(3));
}

#[test]
fn states_in_words() {
    let states = one(" 3: cs:SyncTarget ro:Secondary/Unknown ds:Inconsistent/DUnknown A r-----");
    assert_eq!(
        (states.conn.connection(), states.conn.replication()),
        (ConnectionState::Connected, ReplicationState::SyncTarget)
    );
    assert_eq!(
        (states.peer_role, states.disk, states.peer_disk),
        (Role::Unknown, DiskState::Inconsistent, DiskState::DUnknown)
    );
    assert_eq!(states.protocol, Some('A'));
    let states = one(" 3: cs:Sleeping ro:King/Queen ds:Wet/Dry C r-----");
    assert_eq!(states.conn, Conn::Other("Sleeping".into()));
    assert_eq!((states.role, states.peer_role), (Role::Other("King".into()), Role::Other("Queen".into())));
    assert_eq!(
        (states.disk, states.peer_disk),
        (DiskState::Other("Wet".into()), DiskState::Other("Dry".into()))
    );
    assert!(states.conn < conn("StandAlone"), "what is not known is the worst");
}

#[test]
fn every_listed_word_is_the_one_of_its_number() {
    for (number, word) in (0..).zip(CONNS) {
        assert_eq!(conn(word), Conn::Listed(number));
        if number >= 11 {
            assert_eq!(state84::replication(number).to_string(), word);
        }
    }
    for number in 0..9 {
        let disk = state84::disk(number);
        assert_eq!(disk_of(&disk.to_string()), disk);
    }
}

#[test]
fn the_letter_and_the_flags() {
    let none = unconfigured(3).flags;
    for (end, protocol, flags) in [
        ("C r-----", Some('C'), none),
        ("  r-----", None, none),
        ("B s-----", Some('B'), Flags { suspended: true, ..none }),
        ("C ra----", Some('C'), Flags { after_other: true, ..none }),
        ("C r-p---", Some('C'), Flags { peer_paused: true, ..none }),
        ("C r--u--", Some('C'), Flags { user_paused: true, ..none }),
        ("C r---n-", Some('C'), Flags { congestion: Some('n'), ..none }),
        ("C r----s", Some('C'), Flags { log_suspended: true, ..none }),
        ("C r----", Some('C'), none),
        ("X r-----", Some('X'), none),
    ] {
        let states = one(&format!(" 3: cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate {end}"));
        assert_eq!((states.protocol, states.flags), (protocol, flags), "{end}");
    }
}

#[test]
fn write_ordering_by_its_letter() {
    let with = |counters: &str| {
        one(&format!(" 3: cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate C r-----\n{counters}"))
            .write_ordering
    };
    for (letter, ordering) in [
        ('n', WriteOrdering::None),
        ('d', WriteOrdering::Drain),
        ('f', WriteOrdering::Flush),
        ('b', WriteOrdering::Barrier),
    ] {
        assert_eq!(with(&format!("    ns:0 wo:{letter} oos:0")), Known::Is(ordering));
    }
    for (counters, why) in [
        ("    ns:0 wo:x", "/proc/drbd tells wo:x, known are n, d, f, b"),
        ("    ns:0 wo:\u{1b}", "/proc/drbd tells wo:?, known are n, d, f, b"),
        ("    ns:0", "/proc/drbd has no wo: for minor 3"),
        ("", "/proc/drbd has no wo: for minor 3"),
    ] {
        assert_eq!(with(counters), Known::Unknown(why.into()), "{counters:?}");
    }
}

#[test]
fn versions() {
    for (text, expected) in [
        ("8.3.7", Some((8, 3, 7))),
        ("8.3.9rc1", Some((8, 3, 9))),
        ("9.2.19-1.el8", Some((9, 2, 19))),
        ("8.4", Some((8, 4, 0))),
        ("8", None),
        ("x.y.z", None),
        ("99999999999.1.1", None),
    ] {
        assert_eq!(Version::parse(text).map(|version| (version.0, version.1, version.2)), expected, "{text}");
    }
    assert!(Version::new(8, 3, 16).is_83() && !Version::new(8, 4, 0).is_83());
    assert!(Version::new(9, 0, 0).is_9() && !Version::new(8, 4, 11).is_9());
}

#[test]
fn malformed_lines_are_shown() {
    let good = " 3: cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate C r-----";
    for (lines, expected) in [
        ("4: cs:", "/proc/drbd:3:4: there is no cs: here: `4: cs:`"),
        (" 4: cs:Connected", "/proc/drbd:3:17: there is no ro: here: `4: cs:Connected`"),
        (" 4: cs:Connected ro:Primary", "/proc/drbd:3:21: here are not two states"),
        (" 4: cs:Connected ro:Primary/", "/proc/drbd:3:21: here are not two states"),
        (" 4: cs:A\u{1b}[31m ro:a/b ds:c/d C r-----", "/proc/drbd:3:5: there is no cs: here: `4: cs:A?[31m"),
        (" 4: cs:A ro:a/b ds:c/d", "/proc/drbd:3:23: these are not the flags"),
        (" 4: cs:A ro:a/b ds:c/d C", "/proc/drbd:3:24: these are not the flags"),
        (" 4: cs:A ro:a/b ds:c/d CC r-----", "/proc/drbd:3:24: this is not the letter"),
        (" 4: cs:A ro:a/b ds:c/d C x-----", "/proc/drbd:3:26: these are not the flags"),
        (" 4: cs:A ro:a/b ds:c/d C r------", "/proc/drbd:3:26: these are not the flags"),
        (" 4: cs:A ro:a/b ds:c/d C r---", "/proc/drbd:3:26: these are not the flags"),
        ("9999999: cs:Connected", "/proc/drbd:3:1: this is not the number of a minor"),
        ("99999999999999: cs:Connected", "/proc/drbd:3:1: this is not the number of a minor"),
        ("4x: cs:Connected", "/proc/drbd:3:1: this is not the number of a minor"),
    ] {
        let error = parse(&format!("{HEAD}{lines}\n")).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{lines:?}: {error}");
    }
    for (lines, what) in
        [(good, "each once"), (" 2: cs:Unconfigured", "in order"), ("nonsense", "neither a minor nor")]
    {
        let error = parse(&format!("{HEAD}{good}\n{lines}\n")).unwrap_err().to_string();
        assert!(error.starts_with("/proc/drbd:4:") && error.contains(what), "{error}");
    }
    let error = parse("nothing").unwrap_err().to_string();
    assert_eq!(error, "/proc/drbd:1:1: this does not begin with a version: `nothing`");
}

#[test]
fn no_part_of_it_makes_it_panic() {
    for text in [fixture!("two_resources"), fixture!("sync_target"), fixture!("verify"), INCIDENT] {
        for end in 0..=text.len() {
            let _ = (parse(&text[..end]), parse(&text[end..]));
        }
    }
}

#[test]
#[allow(clippy::disallowed_methods)]
fn an_enormous_file_takes_a_moment() {
    let begun = std::time::Instant::now();
    let minors: String = (0..10_000).map(|n| format!("{n}: cs:Unconfigured\n")).collect();
    assert_eq!(parse(&format!("{HEAD}{minors}")).unwrap().minors.len(), 10_000);
    for piece in ["\n", " ", "3", "3:", " 3: cs:", "\t[", "ns:", "/", "é", "{"] {
        let _ = parse(&format!("{HEAD}{}", piece.repeat((1 << 20) / piece.len())));
        let _ = parse(&format!("{HEAD} 3: cs:Unconfigured\n{}", piece.repeat((1 << 20) / piece.len())));
    }
    assert!(begun.elapsed() < std::time::Duration::from_secs(30));
}
