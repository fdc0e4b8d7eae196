//! DRBD's resources out of files below a root: which files are read, and when.

#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

#[path = "support/drbd_kernel.rs"]
mod drbd_kernel;
#[path = "support/place.rs"]
mod place;

use block_drbd::facts::{Known, Resource, Source};
use block_drbd::gather::drbd::{Purpose, conf, files, read};
use block_drbd::gather::name_peers;
use block_drbd::host::xenstore::Named;
use block_drbd::host::{Deadline, Host};
use drbd_kernel::{DrbdKernel, Fault, GET_RESOURCES, GETFAMILY};
use place::Place;
use std::fs;
use std::time::{Duration, Instant};

const PROC_83: &str = "version: 8.3.7 (api:88/proto:86-91)
 3: cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate C r----
    ns:0 nr:0 dw:0 dr:0 al:0 bm:0 lo:0 pe:0 ua:0 ap:0 ep:1 wo:f oos:0
";
const PROC_84: &str = include_str!("fixtures/drbd-8.4/connected.proc");
const PROC_9: &str = "version: 9.2.19 (api:2/proto:118-124)\nTransports (api:21): tcp (9.2.19)\n";
const STATUS: &str = include_str!("fixtures/drbd-9/two_volumes.status.json");
const SHOW: &str = include_str!("fixtures/drbd-9/two_volumes.show.json");
const CONF: &str = "resource vm { device minor 3; disk /dev/x; meta-disk internal;
    on a { address 10.0.0.1:7792; } on b { address 10.0.0.2:7792; } }";

/// A directory with these files.
fn root(files: &[(&str, &str)]) -> Place {
    let place = Place::new();
    for (path, text) in files {
        let path = place.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    place
}

fn host(place: &Place) -> Host {
    let named = Named { path: None, rundir: None };
    Host::new(place.path(), named, Deadline::after(Duration::from_secs(10)))
}

/// The names of the resources in drbd.conf, or the error.
fn names(files: &[(&str, &str)]) -> Result<Vec<String>, String> {
    let place = root(files);
    let conf = conf::load(&host(&place)).map_err(|error| format!("{error:#}"))?;
    let resources = conf.resources().map_err(|error| error.to_string())?;
    Ok(resources.iter().map(|resource| resource.name().to_string()).collect())
}

#[test]
fn include_lines_name_files_and_patterns() {
    let (main, a, b) = ("etc/drbd.conf", "resource a { }", "resource b { }");
    for (files, expected) in [
        (&[(main, a)][..], &["a"][..]),
        (
            &[
                (main, "include \"drbd.d/*.res\"; resource z { }"),
                ("etc/drbd.d/b.res", b),
                ("etc/drbd.d/a.res", a),
            ],
            &["a", "b", "z"],
        ),
        (
            &[
                (main, "include \"/srv/a\";"),
                ("srv/a", "include \"sub/?\"; "),
                ("srv/sub/b", b),
                ("srv/sub/cc", "no"),
            ],
            &["b"],
        ),
        (
            &[(main, "include \"drbd.d/*.res\";"), ("etc/drbd.d/a.res~", "no"), ("etc/drbd.d/.b.res", "no")],
            &[],
        ),
        (&[(main, "include \"nothing/*\";")], &[]),
        (&[(main, "include a; include a; include ../etc/a;"), ("etc/a", a)], &["a"]),
        (
            &[
                (main, "include a;"),
                ("etc/a", "include b; resource a { }"),
                ("etc/b", "include drbd.conf; include a; resource b { }"),
            ],
            &["b", "a"],
        ),
    ] {
        assert_eq!(names(files).unwrap(), expected, "{files:?}");
    }
}

#[test]
fn what_cannot_be_included_is_said() {
    let main = "etc/drbd.conf";
    for (files, expected) in [
        (&[][..], "/etc/drbd.conf does not exist"),
        (
            &[(main, "\n include \"a\";")],
            "/etc/drbd.conf:2:2: this cannot be included: `include \"a\";`: /etc/a does not exist",
        ),
        (
            &[(main, "include \"x*/a\";")],
            "/etc/drbd.conf:1:1: this cannot be included: `include \"x*/a\";`: a pattern can only be",
        ),
        (
            &[(main, "include \"[ab]\";")],
            "/etc/drbd.conf:1:1: this cannot be included: `include \"[ab]\";`: of patterns only",
        ),
        (&[(main, "include a b;")], "/etc/drbd.conf:1:1: include takes one path: `include a b;`"),
        (&[(main, "include;")], "/etc/drbd.conf:1:1: include takes one path"),
        (
            &[(main, "include a;"), ("etc/a", "resource {")],
            "/etc/a:1:11: the file ends within a section: `resource {`",
        ),
        (
            &[(main, "include a;"), ("etc/a", "resource r { } resource r { }")],
            "/etc/a:1:25: there is another resource of this name",
        ),
    ] {
        let error = names(files).unwrap_err();
        assert!(error.starts_with(expected), "{files:?}: {error}");
    }
    let long = format!("include \"{}\";", "x".repeat(300));
    assert!(names(&[(main, &long)]).unwrap_err().contains("the file's name is too long"));
}

#[test]
fn includes_have_an_end() {
    let main = "etc/drbd.conf";
    let chain: Vec<_> = (0..12).map(|n| (format!("etc/{n}"), format!("include \"{}\";", n + 1))).collect();
    let mut files: Vec<_> = chain.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    files.push((main, "include \"0\";"));
    let error = names(&files).unwrap_err();
    assert!(error.starts_with("/etc/9:1:1: includes are nested too deeply: `include \"10\";`"), "{error}");

    let many = "include \"no/*\";\n".repeat(1001);
    let error = names(&[(main, &many)]).unwrap_err();
    assert!(error.starts_with("/etc/drbd.conf:1001:1: there are too many include lines"), "{error}");

    let large = "#".repeat(3 << 20);
    let error = names(&[(main, "include a; include b;"), ("etc/a", &large), ("etc/b", &large)]).unwrap_err();
    assert!(error.contains("larger than 4 MiB"), "{error}");

    let begun = Instant::now();
    let lines = "include \"d/*\";\n".repeat(999);
    let texts: Vec<_> = (0..200).map(|n| (format!("etc/d/{n}"), "include \"*\";")).collect();
    let mut files: Vec<_> = texts.iter().map(|(path, text)| (path.as_str(), *text)).collect();
    files.push((main, &lines));
    assert!(names(&files).is_err(), "too deep, or too many");
    assert!(begun.elapsed() < Duration::from_secs(30));
}

#[test]
fn a_directory_that_links_to_itself() {
    let place = root(&[("etc/drbd.conf", "include \"d/drbd.conf\";")]);
    std::os::unix::fs::symlink(".", place.path().join("etc/d")).unwrap();
    fs::write(place.path().join("etc/drbd.conf"), "include \"d/drbd.conf\"; include \"d/*\";").unwrap();
    let error = format!("{:#}", conf::load(&host(&place)).unwrap_err());
    assert!(error.contains("nested too deeply"), "{error}");
}

/// What `files::resources` makes of these files.
fn found(files: &[(&str, &str)], only: Option<&str>) -> Result<Vec<Resource>, String> {
    let place = root(files);
    files::resources(&host(&place), only).map_err(|error| format!("{error:#}"))
}

#[test]
fn saved_json_comes_before_proc() {
    let (proc, status, show) = ("proc/drbd", "drbd/status.json", "drbd/show.json");
    let all = found(&[(proc, PROC_84), (status, STATUS), (show, SHOW)], None).unwrap();
    assert_eq!((all.len(), all[0].source), (1, Source::Drbdsetup));
    assert_eq!(found(&[(status, STATUS)], Some("other")).unwrap(), []);
    let alone = found(&[(status, STATUS)], Some("drbdvm")).unwrap();
    let why = Known::Unknown("/drbd/show.json does not exist".into());
    assert_eq!((alone[0].volumes[0].minor, &alone[0].volumes[0].options), (3, &why));

    let known = [(proc, PROC_83), ("etc/drbd.conf", CONF), ("proc/sys/kernel/hostname", "a\n")];
    let [resource] = &found(&known, Some("vm")).unwrap()[..] else { panic!() };
    assert_eq!((resource.source, resource.connections[0].peer.as_str()), (Source::ProcAndConf, "b"));
    for (files, why) in [
        (&known[..1], "/etc/drbd.conf does not exist"),
        (&known[..2], "/proc/sys/kernel/hostname does not exist"),
    ] {
        let [resource] = &found(files, None).unwrap()[..] else { panic!() };
        assert_eq!((resource.name.as_str(), &resource.on_no_data), ("minor-3", &Known::Unknown(why.into())));
    }
}

#[test]
fn files_that_tell_nothing() {
    for (files, expected) in [
        (&[][..], "there is neither /drbd/status.json nor /proc/drbd"),
        (
            &[("proc/drbd", PROC_9)],
            "the /proc/drbd of DRBD 9 tells no states, and there is no drbd/status.json: put what",
        ),
        (&[("proc/drbd", "gibberish")], "/proc/drbd:1:1: this does not begin with a version"),
        (&[("drbd/status.json", "gibberish")], "drbd/status.json: expected value at line 1"),
    ] {
        let error = found(files, None).unwrap_err();
        assert!(error.starts_with(expected), "{error}");
    }
    assert_eq!(found(&[("proc/drbd", "version: 8.4.11\n")], None).unwrap(), []);
}

/// Why the module does not answer.
enum Netlink {
    Nothing,
    NoFamily,
    NotPermitted,
    Answers,
    Other,
}

/// Whether files serve, or the error.
fn source(netlink: Netlink, proc: Option<&str>, status: bool, purpose: Purpose) -> Result<Source, String> {
    let mut files = vec![("etc/drbd.conf", CONF), ("proc/sys/kernel/hostname", "a")];
    files.extend(proc.map(|text| ("proc/drbd", text)));
    files.extend(status.then_some(("drbd/status.json", STATUS)));
    let place = root(&files);
    let _kernel = match netlink {
        Netlink::Nothing => None,
        _ => {
            let kernel = DrbdKernel::start(place.path());
            kernel.with(|model| {
                model.resources = vec![drbd_kernel::Resource::healthy("vm", &[3])];
                match netlink {
                    Netlink::NoFamily => model.faults.insert(GETFAMILY, Fault::Errno(2)),
                    Netlink::NotPermitted => model.faults.insert(GET_RESOURCES, Fault::Errno(1)),
                    Netlink::Other => model.faults.insert(GET_RESOURCES, Fault::Errno(12)),
                    _ => None,
                };
            });
            Some(kernel)
        }
    };
    let found = read(&host(&place), None, purpose).map_err(|error| format!("{error:#}"))?;
    Ok(found[0].source)
}

#[test]
fn when_files_serve() {
    use Netlink::*;
    use Purpose::*;
    const ROOT_ONLY: &str = "drbd permits this to root only";
    let (kernel, proc, json) = (Ok(Source::Kernel), Ok(Source::ProcAndConf), Ok(Source::Drbdsetup));
    for (row, (netlink, text, status, purpose, expected)) in [
        (Answers, Some(PROC_84), true, Act, kernel),
        (Answers, Some(PROC_84), true, Look, kernel),
        (NoFamily, Some(PROC_83), false, Act, proc),
        (NoFamily, Some(PROC_83), false, Look, proc),
        (NoFamily, Some(PROC_9), true, Act, json),
        (NoFamily, None, true, Act, json),
        (NoFamily, Some(PROC_84), false, Act, Err("DRBD 8.4.11 is loaded and has no generic netlink family")),
        (NoFamily, Some(PROC_84), false, Look, proc),
        (NoFamily, None, false, Act, Err("the drbd module is not loaded")),
        (NoFamily, None, false, Look, Err("the drbd module is not loaded")),
        (
            NoFamily,
            Some(PROC_9),
            false,
            Look,
            Err("files in its place: the /proc/drbd of DRBD 9 tells no states"),
        ),
        (NotPermitted, Some(PROC_84), true, Act, Err(ROOT_ONLY)),
        (NotPermitted, Some(PROC_84), false, Look, proc),
        (NotPermitted, Some(PROC_84), true, Look, json),
        (NotPermitted, None, false, Look, Err(ROOT_ONLY)),
        (Nothing, Some(PROC_83), false, Act, Err("run/generic-netlink")),
        (Nothing, Some(PROC_84), true, Act, Err("run/generic-netlink")),
        (Nothing, Some(PROC_84), false, Look, proc),
        (Nothing, None, true, Look, json),
        (Nothing, None, false, Look, Err("run/generic-netlink")),
        (Other, Some(PROC_84), true, Look, Err("ENOMEM")),
    ]
    .into_iter()
    .enumerate()
    {
        match (source(netlink, text, status, purpose), expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "row {row}"),
            (Err(error), Err(words)) => assert!(error.contains(words), "row {row}: {error}"),
            (found, expected) => panic!("row {row}: {found:?} is not {expected:?}"),
        }
    }
}

#[test]
fn peers_are_called_by_their_host_names() {
    let place = root(&[("etc/drbd.conf", CONF)]);
    let kernel = DrbdKernel::start(place.path());
    let resource = |name, minor| drbd_kernel::Resource::healthy(name, &[minor]);
    kernel.with(|model| model.resources = vec![resource("vm", 3), resource("other", 4)]);
    let host = host(&place);
    let mut found = read(&host, None, Purpose::Act).unwrap();
    name_peers(&host, &mut found);
    let peers: Vec<_> = found.iter().map(|one| one.connections[0].peer.as_str()).collect();
    assert_eq!(peers, ["b", "10.0.0.2:7793"]);
    fs::write(place.path().join("etc/drbd.conf"), "resource {").unwrap();
    name_peers(&host, &mut found);
    assert_eq!(found[0].connections[0].peer, "b", "a conf that cannot be read changes nothing");
}
