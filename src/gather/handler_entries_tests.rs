//! Entries of `handlers { }` in a directory that stands for a machine.

#![allow(clippy::disallowed_methods)]

use super::*;
use crate::host::{Deadline, xenstore};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

struct Root(PathBuf);

impl Root {
    fn new(name: &str) -> Root {
        let path = std::env::temp_dir().join(format!("block-drbd-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Root(path)
    }

    fn file(&self, path: &str, text: &str, mode: u32) {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn host(&self) -> Host {
        Host::new(Path::new(&self.0), xenstore::Named::default(), Deadline::after(Duration::from_secs(60)))
    }

    /// The handlers of r0 under this drbd.conf.
    fn look(&self, conf: &str) -> Known<Vec<HandlerEntry>> {
        self.file("etc/drbd.conf", conf, 0o644);
        let mut resources = [resource()];
        look(&self.host(), &mut resources);
        let [resource] = resources;
        resource.handlers
    }

    /// What the program of a fence-peer handler with this text is.
    fn program(&self, text: &str) -> String {
        let conf = format!("resource r0 {{ handlers {{ fence-peer \"{text}\"; }} }}");
        let Known::Is(entries) = self.look(&conf) else { panic!("{conf}") };
        match &entries[0].program {
            Known::Is(Program { path, kind }) => format!("{path} {kind:?}"),
            Known::Unknown(why) => format!("unknown: {why}"),
        }
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn resource() -> Resource {
    Resource { handlers: Known::Unknown("it was not looked for".into()), ..crate::rules::tests::healthy() }
}

#[test]
fn the_first_word_of_a_shell_text() {
    for (text, word) in [
        ("/usr/lib/drbd/a.sh", Some("/usr/lib/drbd/a.sh")),
        ("  /a.sh -x 'y z' \"$DRBD_PEERS\"", Some("/a.sh")),
        ("/a.sh; /b.sh; echo b > /proc/sysrq-trigger", Some("/a.sh")),
        ("/a.sh&", Some("/a.sh")),
        ("/a.sh>/dev/null 2>&1", Some("/a.sh")),
        ("logger x | mail", Some("logger")),
        ("block-drbd handler fence-peer", Some("block-drbd")),
        ("/opt/a+b_1,2:3@%4", Some("/opt/a+b_1,2:3@%4")),
        ("", None),
        ("; /a", None),
        (">/dev/null /a", None),
        ("2>/dev/null /a", None),
        ("(/a)", None),
        ("f() { /a; }; f", None),
        ("'/a b' x", None),
        ("\\/a", None),
        ("$HOME/a", None),
        ("`/a`", None),
        ("~/a", None),
        ("/usr/lib/*/a", None),
        ("PATH=/x /a", None),
        ("if /a; then /b; fi", None),
        ("! /a", None),
        ("exec /a", None),
        ("exit 7", None),
        (": nothing", None),
        ("# nothing", None),
        ("bin/a", None),
        ("./a", None),
        ("/ünï", None),
    ] {
        assert_eq!(first_word(text).ok(), word, "{text:?}");
    }
}

#[test]
fn what_a_program_is() {
    let root = Root::new("what-a-program-is");
    root.file("usr/lib/drbd/good.sh", "", 0o755);
    root.file("usr/lib/drbd/bad.sh", "", 0o644);
    root.file("usr/sbin/both", "", 0o644);
    root.file("usr/bin/both", "", 0o755);
    root.file("usr/sbin/only", "", 0o644);
    root.file("lib/drbd/eight", "", 0o755);
    fs::create_dir_all(root.0.join("usr/lib/drbd/directory")).unwrap();
    std::os::unix::fs::symlink("/usr/lib/drbd/good.sh", root.0.join("usr/lib/drbd/link.sh")).unwrap();
    std::os::unix::fs::symlink("/nowhere", root.0.join("usr/lib/drbd/dead.sh")).unwrap();
    std::os::unix::fs::symlink("/opt/x/far.sh", root.0.join("usr/lib/drbd/far.sh")).unwrap();
    nix::unistd::mkfifo(&root.0.join("usr/lib/drbd/fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    for (text, is) in [
        ("/usr/lib/drbd/fifo", "/usr/lib/drbd/fifo NoFile"),
        ("/usr/lib/drbd/good.sh x; y", "/usr/lib/drbd/good.sh Executable"),
        ("/usr/lib/drbd/link.sh", "/usr/lib/drbd/link.sh Executable"),
        ("/usr/lib/drbd/bad.sh", "/usr/lib/drbd/bad.sh NotExecutable"),
        ("/usr/lib/drbd/directory", "/usr/lib/drbd/directory Directory"),
        ("/usr/lib/drbd/missing.sh", "/usr/lib/drbd/missing.sh Missing"),
        ("/usr/lib/drbd/dead.sh", "/usr/lib/drbd/dead.sh Missing"),
        ("/usr/lib/drbd/far.sh", "unknown: /opt/x is not in the directory"),
        ("/usr/lib/drbd/good.sh/x", "unknown: reading the link /usr/lib/drbd/good.sh/x: Not a directory"),
        ("/opt/x/missing.sh", "unknown: /opt/x is not in the directory that stands for the machine"),
        ("both", "/usr/bin/both Executable"),
        ("only", "unknown: /sbin is not in the directory"),
        ("missing", "unknown: /sbin is not in the directory"),
        ("if x; then y; fi", "unknown: it begins with the shell's own if"),
    ] {
        let found = root.program(text);
        assert!(found.starts_with(is), "{text}: {found}");
    }
    ["sbin", "bin"].iter().for_each(|directory| fs::create_dir_all(root.0.join(directory)).unwrap());
    assert_eq!(root.program("only"), "/usr/sbin/only NotExecutable");
    assert_eq!(root.program("missing"), "missing Missing");
    assert_eq!(root.program("eight"), "eight Missing");
    root.file("sys/module/drbd/version", "9.2.19\n", 0o644);
    assert_eq!(root.program("eight"), "eight Missing");
    root.file("sys/module/drbd/version", "8.4.11\n", 0o644);
    assert_eq!(root.program("eight"), "/lib/drbd/eight Executable");
}

#[test]
fn what_is_in_force() {
    let root = Root::new("what-is-in-force");
    let conf = "common { handlers { outdate-peer \"/c\"; split-brain \"/c -s\"; } }
        resource r0 { handlers { fence-peer \"/own\"; } }
        resource r1 { handlers { pri-lost \"/r1\"; } }";
    let Known::Is(entries) = root.look(conf) else { panic!("they are unknown") };
    let told: Vec<_> = entries
        .iter()
        .map(|entry| (entry.event.as_str(), entry.command.as_str(), entry.place.as_str()))
        .collect();
    let expected =
        [("fence-peer", "/own", "/etc/drbd.conf:2:34"), ("split-brain", "/c -s", "/etc/drbd.conf:1:40")];
    assert_eq!(told, expected);
    let common = root.look("common { handlers { outdate-peer \"/c\"; } } resource r0 { }");
    let Known::Is(common) = common else { panic!("they are unknown") };
    assert_eq!((common[0].event.as_str(), common.len()), ("fence-peer", 1));
    assert_eq!(root.look("resource r0 { }"), Known::Is(Vec::new()));
}

#[test]
fn what_cannot_be_read_is_unknown() {
    let root = Root::new("what-cannot-be-read");
    let why = |handlers| match handlers {
        Known::Unknown(why) => why,
        Known::Is(entries) => panic!("{entries:?}"),
    };
    assert_eq!(why(root.look("resource r1 { }")), "drbd.conf has no resource r0");
    assert!(why(root.look("resource r0 { handlers {")).contains("/etc/drbd.conf"));
    fs::remove_file(root.0.join("etc/drbd.conf")).unwrap();
    let mut resources = [resource()];
    look(&root.host(), &mut resources);
    assert_eq!(why(resources[0].handlers.clone()), "/etc/drbd.conf does not exist");
}
