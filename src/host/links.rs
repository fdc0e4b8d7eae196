//! Symbolic links, followed inside the root only.
//!
//! The kernel would follow an absolute link of a copied `/dev` out of the copy
//! and into the machine on which it is looked at.

#![allow(clippy::disallowed_methods)]

use super::Host;
use anyhow::{Context, Result, bail};
use std::io::ErrorKind;

/// As many links as the kernel follows on the way to one file (path_resolution(7)).
const MOST_LINKS: usize = 40;

/// No path inside the root becomes longer: the kernel's PATH_MAX is 4096, root included.
const LONGEST: usize = 3072;

impl Host {
    /// What the link at `path` says; `None` where there is nothing or no link. Only the last
    /// part of `path` may be a link.
    pub fn read_link(&self, path: &str) -> Result<Option<String>> {
        match self.root.read_link(path) {
            Ok(target) => match target.to_str() {
                Some(target) => Ok(Some(target.to_owned())),
                None => bail!("the link {path} is not UTF-8"),
            },
            // EINVAL: it is there, and no link (readlink(2)). Not by its kind, which a NUL in the path has too.
            Err(error)
                if error.kind() == ErrorKind::NotFound || error.raw_os_error() == Some(libc::EINVAL) =>
            {
                Ok(None)
            }
            Err(error) => Err(error).with_context(|| format!("reading the link {path}")),
        }
    }

    /// `path` with every link in it followed, part by part, without leaving the root: an absolute
    /// target counts from the root, and `..` ends at it. What does not exist stays as
    /// it is: a copied /dev has links, and not always the nodes that they lead to.
    pub fn follow(&self, path: &str) -> Result<String> {
        self.follow_past(path, |_| Ok(()))
    }

    /// The same, with a look at each directory, link and file on the way before it is passed.
    pub(super) fn follow_past(&self, path: &str, look: impl Fn(&str) -> Result<()>) -> Result<String> {
        let mut left: Vec<String> = parts_reversed(path);
        let mut done: Vec<String> = Vec::new();
        let mut links = 0;
        while let Some(part) = left.pop() {
            if part == ".." {
                done.pop();
                continue;
            }
            done.push(part);
            let here = format!("/{}", done.join("/"));
            if here.len() > LONGEST {
                bail!("{path:.100} leads to a path of more than {LONGEST} bytes");
            }
            look(&here)?;
            if let Some(target) = self.read_link(&here)? {
                links += 1;
                if links > MOST_LINKS {
                    bail!("{path:.100} leads through more than {MOST_LINKS} links");
                }
                done.pop();
                if target.starts_with('/') {
                    done.clear();
                }
                left.extend(parts_reversed(&target));
            }
        }
        Ok(format!("/{}", done.join("/")))
    }
}

fn parts_reversed(path: &str) -> Vec<String> {
    path.split('/').rev().filter(|part| !matches!(*part, "" | ".")).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{Deadline, xenstore};
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::time::Duration;

    #[test]
    fn links_stay_inside_the_root() {
        let root = std::env::temp_dir().join(format!("block-drbd-links-{}", std::process::id()));
        fs::create_dir_all(root.join("dev/vg")).unwrap();
        for (link, target) in [
            ("dev/vg/relative", "../dm-0"),
            ("dev/vg/absolute", "/dev/dm-1"),
            ("dev/vg/outside", "../../../../../../../../etc/passwd"),
            ("dev/vg/twice", "./relative"),
            ("dev/directory", "/dev/vg"),
            ("dev/itself", "itself"),
            ("dev/ping", "pong"),
            ("dev/pong", "/dev/ping"),
        ] {
            symlink(target, root.join(link)).unwrap();
        }
        let named = xenstore::Named::default();
        let host = Host::new(&root, named, Deadline::after(Duration::from_secs(10)));
        let long = format!("/dev/{}", "x/".repeat(3000));
        for (path, wanted) in [
            ("/dev/vg/relative", Ok("/dev/dm-0")),
            ("/dev/vg/absolute", Ok("/dev/dm-1")),
            ("/dev/vg/outside", Ok("/etc/passwd")),
            ("/dev/vg/twice", Ok("/dev/dm-0")),
            ("/dev/directory/relative", Ok("/dev/dm-0")),
            ("/dev/missing/../dm-3", Ok("/dev/dm-3")),
            ("dev//vg/./x", Ok("/dev/vg/x")),
            ("/../..", Ok("/")),
            ("/dev/itself", Err("/dev/itself leads through more than 40 links")),
            ("/dev/ping", Err("/dev/ping leads through more than 40 links")),
            (&long, Err("leads to a path of more than 3072 bytes")),
            ("/dev/\0", Err("reading the link")),
        ] {
            match (host.follow(path), wanted) {
                (Ok(found), Ok(wanted)) => assert_eq!(found, wanted, "{path}"),
                (Err(error), Err(wanted)) => assert!(format!("{error:#}").contains(wanted), "{error:#}"),
                (found, wanted) => panic!("{path:.80}: {found:?}, not {wanted:?}"),
            }
        }
        fs::remove_dir_all(&root).unwrap();
    }
}
