//! A machine as it was recorded, built into a directory.

#![allow(dead_code, clippy::disallowed_methods, clippy::unwrap_used)]

use crate::sysfs::Sysfs;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// The hosts of a scenario; the first is the one that is asked.
pub fn hosts(scenario: &Path) -> Vec<&'static str> {
    let is_there =
        |host: &&str| scenario.join(host).is_dir() || scenario.join(format!("{host}.from")).is_file();
    let hosts: Vec<&str> = ["a", "b", "c"].into_iter().filter(is_there).collect();
    assert!(!hosts.is_empty(), "{} has no host", scenario.display());
    hosts
}

/// Builds a host of a scenario: the base, then what its `HOST.from` names, then
/// what was recorded, then its own files.
pub fn build(scenario: &Path, host: &str, root: &Path) {
    let all = scenario.parent().unwrap();
    fs::create_dir_all(root).unwrap();
    let bare = scenario.join(host).join("bare").exists();
    if !bare {
        copy(&all.join("base"), root);
        write(root, "proc/sys/kernel/hostname", &format!("{host}\n"));
        write(root, "proc/sys/kernel/random/boot_id", &format!("boot-of-{host}\n"));
    }
    if let Ok(other) = fs::read_to_string(scenario.join(format!("{host}.from"))) {
        recorded(&all.join(other.trim()), root);
    }
    recorded(&scenario.join(host), root);
    let own = scenario.join(host).join("root");
    if own.is_dir() {
        copy(&own, root);
    }
}

/// The files of a capture, put where the machine has them.
fn recorded(capture: &Path, root: &Path) {
    for (file, place) in [
        ("proc_drbd", "proc/drbd"),
        ("drbdsetup_status_json_verbose_statistics", "drbd/status.json"),
        ("drbdsetup_show_json", "drbd/show.json"),
    ] {
        if let Ok(text) = fs::read_to_string(capture.join(file)) {
            write(root, place, &text);
        }
    }
    if let Ok(text) = fs::read_to_string(capture.join("drbdsetup_show")) {
        // What is in force in the words of drbd.conf: only the two hosts have no names.
        let own = capture.file_name().unwrap().to_str().unwrap();
        let peer = if own == "a" { "b" } else { "a" };
        let text = text.replace("_this_host {", &format!("on {own} {{"));
        write(root, "etc/drbd.conf", &text.replace("_remote_host {", &format!("on {peer} {{")));
    }
    if let Ok(text) = fs::read_to_string(capture.join("sys_block_summary")) {
        Sysfs::new(root).summary(&text);
    }
}

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(|entry| entry.unwrap()) {
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => copy(&entry.path(), &target),
            _ => {
                fs::copy(entry.path(), &target).unwrap();
                // Whatever the umask was when the tests were checked out.
                let mode = fs::metadata(&target).unwrap().permissions().mode();
                fs::set_permissions(target, Permissions::from_mode(mode & !0o022)).unwrap();
            }
        }
    }
}
