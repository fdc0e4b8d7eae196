//! Whole files: the incident's, each setting, hostile ones.

use super::*;
use crate::guest::{Access, Format};
use crate::place::Place;

/// The configuration of the guest whose disk failed at its first barrier, as its owner published it.
const INCIDENT: &str = include_str!("../../../tests/fixtures/domu/drbdvm.cfg");

fn is<T>(value: T) -> Known<T> {
    Known::Is(value)
}

fn of(text: &str) -> GuestConfig {
    parse("/etc/xen/g", text).unwrap()
}

fn error(text: &str) -> String {
    parse("/etc/xen/g", text).unwrap_err().to_string()
}

#[test]
fn the_incident_goes_past_the_gate() {
    let guest = of(INCIDENT);
    let local = |target: &str, vdev: &str, line| ConfigDisk {
        text: format!("phy:{target},{vdev},w"),
        place: Place { line, column: 1 },
        target: target.into(),
        script: None,
        vdev: Some(vdev.into()),
        access: Access::ReadWrite,
        format: Format::Raw,
        backend: None,
        backendtype: None,
        cdrom: false,
        colo: false,
        prefix: Some("phy:".into()),
    };
    let expected = GuestConfig {
        path: "/etc/xen/g".into(),
        name: is(Some("drbdvm".into())),
        uuid: Known::Is(None),
        kind: is(GuestKind::Pv),
        bootloader: is(Some("/usr/lib/xen-default/bin/pygrub".into())),
        kernel: is(None),
        cmdline: is(None),
        root: is(Some("/dev/xvda2 ro".into())),
        extra: is(None),
        stubdomain: is(None),
        disks: is(vec![local("/dev/drbd3", "xvda2", 9), local("/dev/universe/drbdvm-swap", "xvda1", 10)]),
        not_evaluated: vec![],
    };
    assert_eq!(guest, expected);
    let json = serde_json::to_value(&guest).unwrap();
    assert_eq!(json["not-evaluated"], serde_json::json!([]));
    assert_eq!(json["disks"]["is"][0]["access"], "read-write");
}

#[test]
fn the_kind_of_the_guest() {
    for (text, kind) in [
        ("", GuestKind::Pv),
        ("type = 'pv'", GuestKind::Pv),
        ("type = 'pvh'", GuestKind::Pvh),
        ("type = \"hvm\"", GuestKind::Hvm),
        ("type = 'new'", GuestKind::Other("new".into())),
        ("builder = 'hvm'", GuestKind::Hvm),
        ("builder = 'generic'", GuestKind::Pv),
        ("builder = 'linux'", GuestKind::Pv),
        ("type = 'hvm'; builder = 'hvm'", GuestKind::Hvm),
        ("type = 'pv'; builder = 'linux'", GuestKind::Pv),
    ] {
        assert_eq!(of(text).kind, is(kind), "{text}");
    }
    for (text, reason) in [
        ("type = 'pv'; builder = 'hvm'", "contradict"),
        ("type = []", "type is a list"),
        ("type = x", "type of /etc/xen/g:1:1: `type` is given by Python"),
        ("builder = x", "builder of"),
    ] {
        assert!(matches!(of(text).kind, Known::Unknown(why) if why.contains(reason)), "{text}");
    }
}

#[test]
fn words_and_flags() {
    let text = "name = 5; kernel = 'k'; extra = ' barrier=off'; cmdline = \"c\"";
    let guest = of(text);
    for (field, value) in
        [(guest.name, "5"), (guest.kernel, "k"), (guest.extra, " barrier=off"), (guest.cmdline, "c")]
    {
        assert_eq!(field, is(Some(value.into())));
    }
    for (value, flag) in [
        ("0", Some(false)),
        ("1", Some(true)),
        ("'1'", Some(true)),
        ("0x10", Some(true)),
        ("00", Some(false)),
    ] {
        assert_eq!(of(&format!("device_model_stubdomain_override={value}")).stubdomain, is(flag), "{value}");
    }
    for value in ["True", "'yes'", "''", "[]", "09"] {
        let stubdomain = of(&format!("device_model_stubdomain_override={value}")).stubdomain;
        assert!(matches!(stubdomain, Known::Unknown(_)), "{value}");
    }
}

#[test]
fn no_disk_and_an_unknown_disk_are_not_the_same() {
    for text in ["", "disk = []", "import os", "disk = [x]\ndisk = []"] {
        assert_eq!(of(text).disks, is(vec![]), "{text}");
    }
    for (text, reason) in [
        ("disk = [ 'phy:sda%d,sda1,w' % (7+vmid) ]", "disk of /etc/xen/g:1:1: `disk` is given by Python"),
        ("\nexecfile('common')", "disk of /etc/xen/g:2:1: Python code is not evaluated: `execfile`"),
        ("disk = 'phy:/dev/drbd0,xvda,w'", "/etc/xen/g:1:8: disk is not a list"),
    ] {
        let guest = of(text);
        assert!(matches!(&guest.disks, Known::Unknown(why) if why.starts_with(reason)), "{:?}", guest.disks);
    }
    assert_eq!(of("x = y").not_evaluated.len(), 1);
}

#[test]
fn a_mistake_names_the_file_the_place_and_the_line() {
    for (text, message) in [
        ("a = 1\n  disk = ['x", "/etc/xen/g:2:11: the string is never closed: `disk = ['x`"),
        (
            "disk = [\n 'phy:/dev/drbd0,xvda,w',\n \"phy:\\\"d\\\",xvdb,w, foo=1\" ]",
            "/etc/xen/g:3:21: unknown key `foo`: `\"phy:\\\"d\\\",xvdb,w, foo=1\" ]`",
        ),
        // A comma is missing between two disks: Python makes one line of them.
        (
            "disk = ['phy:/a,xvda,w'\n 'phy:/b,xvdb,w']",
            "/etc/xen/g:1:22: unknown prefix `wphy:`: `disk = ['phy:/a,xvda,w'`",
        ),
        ("disk = [5]", "/etc/xen/g:1:9: an element of `disk` is not a string: `disk = [5]`"),
        ("disk = [['a']]", "/etc/xen/g:1:9: an element of `disk` is not a string: `disk = [['a']]`"),
        ("disk=['a\\n=b']", "/etc/xen/g:1:8: unknown key `a?`: `disk=['a\\n=b']`"),
    ] {
        assert_eq!(error(text), message);
    }
}

#[test]
fn who_runs_the_scripts() {
    for (text, flag) in [
        ("", None),
        ("#run_hotplug_scripts=0", None),
        ("autoballoon=\"off\"", None),
        ("run_hotplug_scripts=0", Some(false)),
        ("run_hotplug_scripts = 1\r\n", Some(true)),
        ("run_hotplug_scripts=\"0\"", Some(false)),
        ("run_hotplug_scripts=0; run_hotplug_scripts=1", Some(true)),
    ] {
        assert_eq!(run_hotplug_scripts(text).unwrap(), flag, "{text}");
    }
    for (text, reason) in [
        ("run_hotplug_scripts=\"true\"", "/etc/xen/xl.conf is not a number"),
        ("run_hotplug_scripts=false", "not evaluated: `false`"),
        ("run_hotplug_scripts=", "/etc/xen/xl.conf:1:21: a value is missing"),
    ] {
        let error = run_hotplug_scripts(text).unwrap_err().to_string();
        assert!(error.contains(reason), "{text}: {error}");
    }
}

#[test]
fn no_part_of_a_file_makes_it_panic() {
    let sample = format!("{INCIDENT}\nif é:\n x = '''a\\'''' \ndisk += [\"é\\n,,\\\"\" + 'target=é, b']\r\n");
    for (end, _) in sample.char_indices() {
        let _ = parse("f", &sample[..end]);
        let _ = parse("f", &sample[end..]);
    }
}

#[test]
fn libvirt_is_told_from_a_mistake() {
    for text in ["<domain type='xen'/>", "\n  <?xml version='1.0'?>\n<domain/>"] {
        assert!(error(text).contains("XML of libvirt, whose disks name no script"), "{text}");
    }
}
