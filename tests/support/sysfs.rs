//! A `/sys/block` in a directory.

#![allow(dead_code, clippy::disallowed_methods, clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

/// The root under which it stands.
pub struct Sysfs(PathBuf);

impl Sysfs {
    pub fn new(root: &Path) -> Sysfs {
        Sysfs(root.to_owned())
    }

    /// Writes a file, whose path counts from the root; its directories are made.
    pub fn file(&self, path: &str, text: &str) -> &Sysfs {
        let path = self.made(path);
        fs::write(path, format!("{text}\n")).unwrap();
        self
    }

    pub fn link(&self, path: &str, target: &str) -> &Sysfs {
        let path = self.made(path);
        std::os::unix::fs::symlink(target, path).unwrap();
        self
    }

    /// A disk with this cache, and what it stands on. `slaves/` is there even when it is empty.
    pub fn disk(&self, name: &str, write_cache: &str, slaves: &[&str]) -> &Sysfs {
        let dir = format!("sys/block/{name}");
        self.file(&format!("{dir}/queue/write_cache"), write_cache);
        self.file(&format!("{dir}/queue/fua"), "0");
        self.file(&format!("{dir}/queue/rotational"), "1");
        fs::create_dir_all(self.0.join(&dir).join("slaves")).unwrap();
        for slave in slaves {
            self.file(&format!("{dir}/slaves/{slave}"), "");
        }
        self
    }

    /// What a `sys_block_summary` of the captures tells: one device a line,
    /// `dm-0 write_cache=write back fua=0 … slaves=[vdc vdd] dmname=vgxen-disk0 …`.
    pub fn summary(&self, text: &str) -> &Sysfs {
        for line in text.lines() {
            let (name, fields) = line.split_once(' ').unwrap();
            let field = |key: &str| field(fields, key);
            let slaves = field("slaves");
            let slaves: Vec<&str> = slaves.trim_matches(['[', ']']).split_whitespace().collect();
            self.disk(name, field("write_cache"), &slaves);
            let dir = format!("sys/block/{name}");
            for (key, file) in [
                ("fua", "queue/fua"),
                ("rotational", "queue/rotational"),
                ("stable_writes", "queue/stable_writes"),
                ("size", "size"),
                ("ro", "ro"),
                ("dmname", "dm/name"),
            ] {
                if !field(key).is_empty() {
                    self.file(&format!("{dir}/{file}"), field(key));
                }
            }
            for holder in field("holders").trim_matches(['[', ']']).split_whitespace() {
                self.file(&format!("{dir}/holders/{holder}"), "");
            }
        }
        self
    }

    fn made(&self, path: &str) -> PathBuf {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }
}

/// The value of `key=`, up to the next ` word=` or the end: values contain spaces.
fn field<'a>(fields: &'a str, key: &str) -> &'a str {
    let start = format!("{key}=");
    let at = fields.match_indices(&start).map(|(at, _)| at);
    let at = at.into_iter().find(|&at| at == 0 || fields.as_bytes()[at - 1] == b' ').unwrap();
    let rest = &fields[at + start.len()..];
    let end = rest.find('=').map_or(rest.len(), |equals| rest[..equals].rfind(' ').unwrap_or(0));
    &rest[..end]
}
