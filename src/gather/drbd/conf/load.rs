//! Reads /etc/drbd.conf and what its include lines name, through the host.
//!
//! As drbdadm does it (drbd-utils, drbdadm_parser.c, include_stmt): a relative
//! path begins at the including file, and a file that was read already is
//! passed over, which also ends every cycle. A pattern may name nothing, a path
//! without one must not.

use super::Conf;
use super::tree::{self, Node};
use crate::host::Host;
use crate::place::{Error, File};
use anyhow::{Context, Result, bail, ensure};
use std::collections::HashSet;

/// Where drbd-utils begins to read.
const FIRST: &str = "/etc/drbd.conf";

/// drbdadm's own limit (MAX_INCLUDE_DEPTH).
const DEEPEST: usize = 10;

/// A thousand resources fit in well; their tree takes some fifty times as much memory.
const LARGEST: usize = 4 << 20;

/// Each is a directory to list.
const MOST_INCLUDES: usize = 1000;

/// The longest name a file can have (NAME_MAX).
const LONGEST_NAME: usize = 255;

/// Reads all of it. The error is a place with what is wrong there, or why a file cannot be read.
pub fn load(host: &Host) -> Result<Conf> {
    let mut loader =
        Loader { host, files: Vec::new(), seen: HashSet::from([FIRST.to_string()]), size: 0, includes: 0 };
    let nodes = loader.file(FIRST, 0)?;
    Ok(Conf { files: loader.files, nodes })
}

struct Loader<'a> {
    host: &'a Host,
    files: Vec<File>,
    seen: HashSet<String>,
    size: usize,
    includes: usize,
}

impl Loader<'_> {
    fn file(&mut self, path: &str, depth: usize) -> Result<Vec<Node>> {
        let text = self.host.read_text(path)?;
        self.size += text.len();
        ensure!(self.size <= LARGEST, "drbd.conf and its includes are larger than {} MiB", LARGEST >> 20);
        let number = self.files.len();
        let parsed = tree::parse(number, path, &text)?;
        self.files.push(File::new(path, text));
        let mut nodes = Vec::new();
        for node in parsed {
            match node.is_statement("include") {
                true => nodes.extend(self.include(number, &node, depth)?),
                false => nodes.push(node),
            }
        }
        Ok(nodes)
    }

    fn include(&mut self, number: usize, node: &Node, depth: usize) -> Result<Vec<Node>> {
        let file = &self.files[number];
        let wrong = |what: &str| file.error(node.name.place, what);
        self.includes += 1;
        ensure!(self.includes <= MOST_INCLUDES, wrong("there are too many include lines"));
        ensure!(depth < DEEPEST, wrong("includes are nested too deeply"));
        let [pattern] = &node.values[..] else { bail!(wrong("include takes one path")) };
        let paths = paths(self.host, file.path(), &pattern.text);
        let paths = paths.with_context(|| wrong("this cannot be included").to_string())?;
        let from = wrong("this cannot be included").to_string();
        let mut nodes = Vec::new();
        for path in paths {
            if self.seen.insert(path.clone()) {
                nodes.extend(self.included(&path, depth, &from)?);
            }
        }
        Ok(nodes)
    }

    /// One file; what is wrong in its text is told by its own place alone.
    fn included(&mut self, path: &str, depth: usize, from: &str) -> Result<Vec<Node>> {
        match self.file(path, depth + 1) {
            Err(error) if error.is::<Error>() => Err(error),
            result => result.with_context(|| from.to_string()),
        }
    }
}

/// The files that an include line of the file `from` names, sorted.
fn paths(host: &Host, from: &str, pattern: &str) -> Result<Vec<String>> {
    let whole = match pattern.starts_with('/') {
        true => normal(pattern),
        false => normal(&format!("{from}/../{pattern}")),
    };
    let (directory, name) = whole.rsplit_once('/').unwrap_or(("", &whole));
    ensure!(!directory.contains(['*', '?', '[']), "a pattern can only be the last part of the path");
    ensure!(!name.contains('['), "of patterns only * and ? are understood");
    ensure!(name.len() <= LONGEST_NAME, "the file's name is too long");
    if !name.contains(['*', '?']) {
        return Ok(vec![whole]);
    }
    let names = host.list(directory)?;
    let pattern: Vec<char> = name.chars().collect();
    let fits = names.iter().filter(|name| matches(&pattern, name));
    Ok(fits.map(|name| format!("{directory}/{name}")).collect())
}

/// The path without `.` and `..`, as if there were no symbolic links.
fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// glob(7), `*` and `?` only; neither takes the dot of a hidden file.
fn matches(pattern: &[char], name: &str) -> bool {
    let name: Vec<char> = name.chars().collect();
    if name.first() == Some(&'.') && pattern.first() != Some(&'.') {
        return false;
    }
    let (mut p, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&sign) if sign == '?' || sign == name[n] => (p, n) = (p + 1, n + 1),
            // The last star takes one character more.
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    (p, n) = (at + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&sign| sign == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, name, fits) in [
            ("*.res", "r0.res", true),
            ("*.res", ".res", false),
            (".*", ".res", true),
            ("*.res", "r0.res.bak", false),
            ("r?.res", "r0.res", true),
            ("r?.res", "r.res", false),
            ("*", "", true),
            ("*a*b", "xaxbxab", true),
            ("*a*b", "xaxbxa", false),
            ("r0.res", "r0.res", true),
        ] {
            let pattern: Vec<char> = pattern.chars().collect();
            assert_eq!(matches(&pattern, name), fits, "{pattern:?} {name}");
        }
        let pattern: Vec<char> = "*a".repeat(100).chars().collect();
        assert!(!matches(&pattern, &"a".repeat(99)));
    }

    #[test]
    fn paths_are_made_plain() {
        for (path, plain) in
            [("/etc/drbd.conf/../drbd.d/x", "/etc/drbd.d/x"), ("/../../a//b/./c", "/a/b/c"), ("/", "/")]
        {
            assert_eq!(normal(path), plain);
        }
    }
}
