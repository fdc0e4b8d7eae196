use super::*;
use crate::facts::{DiskOptions, Fencing, OnIoError, OnNoData, Protocol};
use crate::gather::drbd::proc::Version;
use std::time::{Duration, Instant};

const V83: Version = Version::new(8, 3, 7);
const V84: Version = Version::new(8, 4, 11);

/// The configuration of the incident: 8.3.
pub const INCIDENT: &str = include_str!("../../../../tests/fixtures/incident/drbd.conf");

fn conf(text: &str) -> Conf {
    Conf::parse("f", text).unwrap_or_else(|error| panic!("{error}"))
}

/// The error of a text, wherever it shows.
fn error(text: &str) -> String {
    let all = |conf: &Conf| -> Result<(), Error> {
        for resource in conf.resources()? {
            for host in resource.hosts()? {
                let options = resource.volume_options(&host, 0)?;
                options.disk(V84)?;
                options.protocol()?;
                options.two_primaries()?;
            }
        }
        Ok(())
    };
    Conf::parse("f", text)
        .and_then(|conf| all(&conf))
        .map_or_else(|error| error.to_string(), |()| "no error".into())
}

#[test]
fn nodes_and_their_places() {
    let conf = conf("global { usage-count no; }\n  resource \"r0\" {\n\tdisk { no-disk-barrier; }\n}\n");
    let [global, resource] = conf.nodes() else { panic!("{:?}", conf.nodes()) };
    let [count] = global.section("global").unwrap() else { panic!() };
    assert!(count.is_statement("usage-count") && count.texts().eq(["no"]));
    assert_eq!((conf.place(resource).as_str(), resource.values[0].text.as_str()), ("f:2:3", "r0"));
    let disk = &resource.section("resource").unwrap()[0];
    assert_eq!(conf.place(disk), "f:3:2");
    assert_eq!(conf.place(&disk.section("disk").unwrap()[0]), "f:3:9");
    assert!(!disk.is_statement("disk"));
}

#[test]
fn what_is_skipped_is_not_there() {
    let conf = conf("skip resource a { b; } skip { c; } resource d { skip net { protocol A; } }");
    assert_eq!(conf.nodes().len(), 1);
    let resource = conf.resource("d").unwrap().unwrap();
    assert_eq!(resource.resource_options().unwrap().protocol(), Ok(Protocol::C));
}

#[test]
fn errors_show_their_line() {
    for (text, expected) in [
        ("a {", "f:1:4: the file ends within a section: `a {`"),
        ("a\n}", "f:2:1: there is no ; before this: `}`"),
        ("a;\n  }", "f:2:3: this closes no section: `}`"),
        ("{", "f:1:1: this section has no name: `{`"),
        ("a", "f:1:1: this statement does not end: `a`"),
        ("a \"\n;", "f:1:3: this quoted string does not end on its line: `a \"`"),
        ("resource { }", "f:1:1: a resource has one name: `resource { }`"),
        ("resource a { } resource a { }", "f:1:25: there is another resource of this name"),
        ("include \"x\";", "f:1:1: there is nothing to include from"),
        ("resource a { on { } }", "f:1:14: this host section has no name"),
        ("resource a { on b { device x; } }", "f:1:28: this tells no minor number"),
        ("resource a { on b { device minor 1048576; } }", "f:1:34: this tells no minor number"),
        ("resource a { on b { device /dev/drbd99999999999999999999; } }", "f:1:28: this tells no minor"),
        ("resource a { on b { device; } }", "f:1:21: this needs a device"),
        ("resource a { volume 65535 { } }", "f:1:14: a volume has a number up to 65534"),
        ("resource a { volume x { } }", "f:1:14: a volume has a number up to 65534"),
        ("resource a { disk { disk-flushes maybe; } on b { } }", "f:1:34: this takes yes or no"),
        ("resource a { disk { no-disk-flushes yes; } on b { } }", "f:1:37: this takes yes or no"),
        ("resource a { disk { disk-timeout x; } on b { } }", "f:1:34: this is not a number"),
        ("resource a { disk { on-io-error; } on b { } }", "f:1:21: this takes one value"),
        ("resource a { protocol D; on b { } }", "f:1:23: protocols are A, B and C"),
        ("resource a { template-file \"t\"; on b { } }", "f:1:14: a template file is not read"),
        ("resource a { on b { } }", "no error"),
        ("resource \"a\nb\" { }", "f:1:10: this quoted string does not end"),
        ("resource \"a\u{1b}[31m\" { }", "f:1:12: there is a control character"),
    ] {
        let error = error(text);
        assert!(error.starts_with(expected), "{text:?}: {error}");
        assert!(!error.contains(char::is_control), "{error:?}");
    }
}

#[test]
fn flags_in_every_spelling() {
    for (disk, flushes) in [
        ("", true),
        ("disk-flushes;", true),
        ("disk-flushes yes;", true),
        ("disk-flushes \"yes\";", true),
        ("disk-flushes no;", false),
        ("no-disk-flushes;", false),
        ("no-disk-flushes; disk-flushes;", true),
        ("disk-flushes; no-disk-flushes;", false),
        ("no-md-flushes;", true),
    ] {
        let conf = conf(&format!("resource r {{ disk {{ {disk} }} on a {{ }} }}"));
        let resource = conf.resource("r").unwrap().unwrap();
        let options = resource.resource_options().unwrap().disk(V84).unwrap();
        assert_eq!(options.disk_flushes, flushes, "{disk}");
    }
}

#[test]
fn defaults_of_each_drbd() {
    let conf = conf("resource r { }");
    let options = conf.resource("r").unwrap().unwrap().resource_options().unwrap();
    let expected = |disk_barrier, on_io_error| DiskOptions {
        disk_barrier,
        disk_flushes: true,
        disk_drain: true,
        md_flushes: true,
        al_updates: true,
        on_io_error,
        disk_timeout: 0,
    };
    for (version, barrier, on_io_error) in [
        (V83, true, OnIoError::PassOn),
        (Version::new(8, 4, 1), true, OnIoError::Detach),
        (Version::new(8, 4, 2), false, OnIoError::Detach),
        (Version::new(9, 2, 19), false, OnIoError::Detach),
    ] {
        assert_eq!(options.disk(version), Ok(expected(barrier, on_io_error)), "{version:?}");
    }
    assert_eq!(options.on_no_data(), Ok(OnNoData::IoError));
    assert_eq!((options.fencing(), options.protocol()), (Ok(Fencing::DontCare), Ok(Protocol::C)));
    assert_eq!((options.two_primaries(), options.data_integrity()), (Ok(false), Ok(None)));
}

#[test]
fn the_more_special_section_counts() {
    let conf = conf(
        "common { disk { no-disk-drain; disk-timeout 7; } protocol A; options { on-no-data-accessible suspend-io; } }
         resource r { volume 1 { disk { disk-timeout 3; } device minor 1; }
           disk { disk-timeout 5; md-flushes no; }
           on a { device minor 0; volume 1 { disk { disk-timeout 1; } disk /dev/a1; } }
           on b { device minor 0; } }",
    );
    let resource = conf.resource("r").unwrap().unwrap();
    let hosts = resource.hosts().unwrap();
    let disk =
        |host: usize, volume| resource.volume_options(&hosts[host], volume).unwrap().disk(V84).unwrap();
    for (host, volume, timeout) in [(0, 0, 5), (0, 1, 1), (1, 0, 5), (1, 1, 3), (1, 9, 5)] {
        let disk = disk(host, volume);
        assert_eq!(disk.disk_timeout, timeout, "host {host} volume {volume}");
        assert!(!disk.disk_drain && !disk.md_flushes);
    }
    let options = resource.resource_options().unwrap();
    assert_eq!((options.protocol(), options.on_no_data()), (Ok(Protocol::A), Ok(OnNoData::SuspendIo)));
    assert_eq!(
        hosts[0].volumes[&1],
        Volume { minor: Some(1), disk: Some("/dev/a1".into()), meta_disk: None }
    );
    assert_eq!(conf.resource("other").unwrap().map(|resource| resource.place()), None);
}

#[test]
fn options_by_where_each_drbd_keeps_them() {
    for (text, fencing, no_data, protocol) in [
        (
            "protocol A; disk { fencing resource-only; on-no-data-accessible suspend-io; }",
            1,
            true,
            Protocol::A,
        ),
        ("net { protocol B; fencing resource-and-stonith; }", 2, false, Protocol::B),
        ("syncer { on-no-data-accessible suspend-io; } protocol c;", 0, true, Protocol::C),
        ("disk { fencing dont-care; }", 0, false, Protocol::C),
    ] {
        let conf = conf(&format!("resource r {{ {text} }}"));
        let options = conf.resource("r").unwrap().unwrap().resource_options().unwrap();
        let policies = [Fencing::DontCare, Fencing::ResourceOnly, Fencing::ResourceAndStonith];
        assert_eq!(options.fencing(), Ok(policies[fencing].clone()), "{text}");
        assert_eq!(options.on_no_data() == Ok(OnNoData::SuspendIo), no_data, "{text}");
        assert_eq!(options.protocol(), Ok(protocol), "{text}");
    }
}

#[test]
fn words_that_are_not_known_are_kept() {
    let conf = conf("resource r { disk { on-io-error x; fencing y; } options { on-no-data-accessible z; } }");
    let options = conf.resource("r").unwrap().unwrap().resource_options().unwrap();
    assert_eq!(options.disk(V84).unwrap().on_io_error, OnIoError::Other("x".into()));
    assert_eq!(options.fencing(), Ok(Fencing::Other("y".into())));
    assert_eq!(options.on_no_data(), Ok(OnNoData::Other("z".into())));
}

#[test]
fn devices_in_every_spelling() {
    for (text, minor, disk, meta) in [
        ("device /dev/drbd3; disk /dev/x; meta-disk internal;", Some(3), Some("/dev/x"), None),
        ("device /dev/drbd_vm minor 3; disk /dev/x;", Some(3), Some("/dev/x"), None),
        ("device minor 3; disk none;", Some(3), None, None),
        ("device \"/dev/drbd3\" minor 7; meta-disk /dev/m[1];", Some(7), None, Some("/dev/m")),
        ("device minor 3; meta-disk \"/dev/m\" [0];", Some(3), None, Some("/dev/m")),
        ("device minor 3; flexible-meta-disk /dev/m;", Some(3), None, Some("/dev/m")),
        ("device minor 3; meta-disk \"/dev/by[x]\";", Some(3), None, Some("/dev/by[x]")),
        ("volume 0 { device minor 3; disk \"/dev/x:0\"; }", Some(3), Some("/dev/x:0"), None),
    ] {
        let conf = conf(&format!("resource r {{ on a {{ {text} }} }}"));
        let hosts = conf.resource("r").unwrap().unwrap().hosts().unwrap();
        let expected = Volume { minor, disk: disk.map(str::to_string), meta_disk: meta.map(str::to_string) };
        assert_eq!(hosts[0].volumes[&0], expected, "{text}");
    }
}

#[test]
fn hosts_of_every_kind() {
    let conf = conf(
        "resource r { meta-disk internal;
           on a \"a2\" { device minor 1; address ipv4 10.0.0.1:7792; }
           floating ipv6 [fd00::1]:7792 { device minor 2; }
           stacked-on-top-of low { device minor 3; address 10.0.0.9:1; }
           ignore-on c; }",
    );
    let resource = conf.resource("r").unwrap().unwrap();
    let hosts = resource.hosts().unwrap();
    let kinds: Vec<_> = hosts.iter().map(|host| host.kind.clone()).collect();
    let expected =
        [HostKind::On(vec!["a", "a2"]), HostKind::Floating("[fd00::1]:7792"), HostKind::Stacked("low")];
    assert_eq!(kinds, expected);
    let addresses: Vec<_> = hosts.iter().map(|host| host.address.unwrap()).collect();
    assert_eq!(addresses, ["10.0.0.1:7792", "[fd00::1]:7792", "10.0.0.9:1"]);
    assert!(hosts[0].is("a") && hosts[0].is("a2") && !hosts[0].is("b") && !hosts[2].is("low"));
    for (address, name) in [("10.0.0.1:7792", Some("a")), ("10.0.0.9:1", None), ("10.0.0.2:1", None)] {
        assert_eq!(resource.host_at(address), name, "{address}");
    }
}

#[test]
fn a_connection_overrides_the_mesh_and_the_mesh_the_resource() {
    let conf = conf(
        "resource r { net { protocol A; allow-two-primaries; data-integrity-alg crc32c; }
           connection-mesh { hosts a b c; net { protocol B; } }
           connection { host a address 10.0.0.1:1 via proxy on a { inside 127.0.0.1:1; } host \"b\";
             net { protocol C; allow-two-primaries no; data-integrity-alg \"\"; } } }",
    );
    let resource = conf.resource("r").unwrap().unwrap();
    for (one, other, protocol, two, integrity) in [
        ("a", "b", Protocol::C, false, None),
        ("b", "a", Protocol::C, false, None),
        ("a", "c", Protocol::B, true, Some("crc32c")),
        ("a", "d", Protocol::A, true, Some("crc32c")),
    ] {
        let options = resource.connection_options(one, other).unwrap();
        assert_eq!(options.protocol(), Ok(protocol), "{one} {other}");
        assert_eq!(options.two_primaries(), Ok(two), "{one} {other}");
        assert_eq!(options.data_integrity(), Ok(integrity.map(str::to_string)), "{one} {other}");
    }
}

#[test]
fn handlers_with_their_places() {
    let conf = conf(
        "common { handlers { fence-peer /common; split-brain \"mail \\\"root\\\"; x\"; } }
resource r { handlers {
  fence-peer \"/own; reboot -f\"; } }",
    );
    let handlers = conf.resource("r").unwrap().unwrap().resource_options().unwrap().handlers();
    let told: Vec<_> = handlers
        .iter()
        .map(|handler| {
            (handler.name.as_str(), handler.text.as_str(), handler.place.line, handler.place.column)
        })
        .collect();
    let expected = [("fence-peer", "/own; reboot -f", 3, 3), ("split-brain", "mail \"root\"; x", 1, 41)];
    assert_eq!(told, expected);
    assert_eq!(handlers[0].file, "f");
    let old = super::Conf::parse(
        "f",
        "common { handlers { fence-peer /c; } } resource r { handlers { outdate-peer /o; } }",
    );
    let old = old.unwrap();
    let old = old.resource("r").unwrap().unwrap().resource_options().unwrap().handlers();
    let told: Vec<_> = old.iter().map(|handler| (handler.name.as_str(), handler.text.as_str())).collect();
    assert_eq!(told, [("fence-peer", "/o")], "drbdadm takes the old name for the new");
}

#[test]
fn the_incident() {
    let conf = conf(INCIDENT);
    let resource = conf.resource("drbdvm").unwrap().unwrap();
    let hosts = resource.hosts().unwrap();
    let names: Vec<_> = hosts.iter().map(HostSection::name).collect();
    assert_eq!(names, ["Host1", "Host2"]);
    let disk = Some("/dev/universe/drbdvm-disk".to_string());
    assert_eq!(hosts[1].volumes[&0], Volume { minor: Some(3), disk, meta_disk: None });
    let options = resource.volume_options(&hosts[0], 0).unwrap();
    let disk = options.disk(V83).unwrap();
    assert!(!disk.disk_barrier && disk.disk_flushes && disk.on_io_error == OnIoError::Detach);
    assert_eq!(options.data_integrity(), Ok(None));
}

#[test]
fn no_part_of_a_text_makes_it_panic() {
    for end in (0..=INCIDENT.len()).filter(|&end| INCIDENT.is_char_boundary(end)) {
        for part in [&INCIDENT[..end], &INCIDENT[end..]] {
            let _ = error(part);
        }
    }
}

#[test]
fn nesting_has_an_end() {
    let nested = |depth| format!("{}{}", "a {".repeat(depth), "}".repeat(depth));
    assert!(Conf::parse("f", &nested(10)).is_ok());
    let error = Conf::parse("f", &nested(11)).unwrap_err().to_string();
    assert!(error.starts_with("f:1:33: sections are nested too deeply"), "{error}");
}

/// A mebibyte of each, and of what looks like sections, is read in one go or refused.
#[test]
#[allow(clippy::disallowed_methods)]
fn enormous_texts_take_a_moment() {
    let hosts = |count| (0..count).map(|n| format!("on h{n} {{ }}")).collect::<String>();
    let volumes: String = (0..20_000).map(|n| format!("volume {n} {{ device minor {n}; }}")).collect();
    let noise: String =
        (0..1_u32 << 20).map(|n| char::from((n.wrapping_mul(2_654_435_761) >> 24) as u8)).collect();
    let texts = [
        "{".repeat(1 << 20),
        "}".repeat(1 << 20),
        "\"".repeat(1 << 20),
        "a;".repeat(1 << 19),
        "a{}".repeat(1 << 18),
        "\\".repeat(1 << 20),
        "a ".repeat(1 << 19),
        "#".repeat(1 << 20),
        "x".repeat(1 << 20),
        "\n".repeat(1 << 20),
        noise,
        format!("resource r {{ {} }}", "disk { disk-timeout 1; }".repeat(40_000)),
        format!("resource r {{ {} }}", hosts(60_000)),
        format!("resource r {{ {volumes} on a {{ }} on b {{ }} }}"),
        (0..40_000).map(|n| format!("resource r{n} {{ on a {{ }} }}")).collect(),
        format!("common {{ {} }}", "handlers { fence-peer x; }".repeat(40_000)),
    ];
    let begun = Instant::now();
    for text in &texts {
        let _ = error(text);
    }
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    assert!(error(&texts[12]).contains("at most 32 hosts"));
}
