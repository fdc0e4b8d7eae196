//! A text file in place of xenstore: `xenstore-ls -f` output, read only.
//!
//! What the file says was cut short when it was written is an error to read,
//! never a shorter value.

use super::error::{Cause, Error};
use super::wire::HOME;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

pub(super) struct Dump {
    /// Values by absolute path; one that the file does not hold whole is the reason.
    nodes: BTreeMap<String, Result<Vec<u8>, &'static str>>,
}

impl Dump {
    /// Reads the lines `path = "value"` of `text`, which was read from `file`.
    pub(super) fn parse(file: &Path, text: &[u8]) -> Result<Dump, Error> {
        let mut nodes = BTreeMap::new();
        for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let line = line.trim_ascii();
            if line.is_empty() {
                continue;
            }
            let error = || Error::Dump { file: file.to_owned(), line: index + 1 };
            let (path, value) = parse_line(line).ok_or_else(error)?;
            nodes.insert(absolute(&path), value);
        }
        Ok(Dump { nodes })
    }

    /// The value of a node. One that exists only as the parent of others is empty.
    pub(super) fn read(&self, path: &str) -> Result<Option<Vec<u8>>, Cause> {
        match self.nodes.get(&absolute(path)) {
            Some(Ok(value)) => Ok(Some(value.clone())),
            Some(Err(why)) => Err(Cause::Protocol((*why).to_owned())),
            None => Ok(self.directory(path).map(|_| Vec::new())),
        }
    }

    /// The names of a node's children.
    pub(super) fn directory(&self, path: &str) -> Option<Vec<String>> {
        let path = absolute(path);
        let inside = format!("{}/", path.trim_end_matches('/'));
        let below = self.nodes.range(inside.clone()..).map_while(|(node, _)| node.strip_prefix(&inside));
        let names: BTreeSet<&str> =
            below.filter_map(|rest| rest.split('/').next()).filter(|name| !name.is_empty()).collect();
        if names.is_empty() && !self.nodes.contains_key(&path) {
            return None;
        }
        Some(names.into_iter().map(str::to_owned).collect())
    }
}

fn absolute(path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("{HOME}{path}") }
}

type Entry = (String, Result<Vec<u8>, &'static str>);

/// A line of do_ls in xenstore_client.c: `path = "value"`, with -p followed by
/// `  (n0,r1)`, or `path:` where the value could not be read.
fn parse_line(line: &[u8]) -> Option<Entry> {
    let line = std::str::from_utf8(line).ok()?;
    let Some((path, rest)) = line.split_once(" = \"") else {
        let path = line.strip_suffix(':')?.trim_end();
        return Some((path.to_owned(), Err("the dump was made without being able to read it")));
    };
    // Quotes are not escaped in the value: the last one is its end.
    let (value, permissions) = rest.rsplit_once('"')?;
    let permissions = permissions.trim();
    let well_formed = permissions.is_empty() || (permissions.starts_with('(') && permissions.ends_with(')'));
    super::wire::check_path(path).ok().filter(|()| well_formed)?;
    Some((path.to_owned(), unescape(value)?))
}

/// Undoes sanitise_value of xs_lib.c: `\t \n \r \\`, `\ooo` and `\xhh`. A value
/// that ends in `\...` was cut to the width of the terminal.
fn unescape(text: &str) -> Option<Result<Vec<u8>, &'static str>> {
    let mut value = Vec::new();
    let mut rest = text;
    while let Some((plain, escape)) = rest.split_once('\\') {
        value.extend_from_slice(plain.as_bytes());
        if escape == "..." {
            return Some(Err("the dump holds only the beginning of the value"));
        }
        let (byte, len) = match escape.bytes().next()? {
            b't' => (b'\t', 1),
            b'n' => (b'\n', 1),
            b'r' => (b'\r', 1),
            b'\\' => (b'\\', 1),
            b'x' => (number(escape.get(1..3)?, 16)?, 3),
            b'0'..=b'7' => (number(escape.get(..3)?, 8)?, 3),
            _ => return None,
        };
        value.push(byte);
        rest = escape.get(len..)?;
    }
    value.extend_from_slice(rest.as_bytes());
    Some(Ok(value))
}

/// A byte in digits; from_str_radix alone would let a sign pass.
fn number(digits: &str, radix: u32) -> Option<u8> {
    let all_digits = digits.chars().all(|digit| digit.is_digit(radix));
    u8::from_str_radix(digits, radix).ok().filter(|_| all_digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dump(text: &str) -> Dump {
        Dump::parse(Path::new("xenstore"), text.as_bytes()).unwrap()
    }

    #[test]
    fn values_and_directories_come_from_the_lines() {
        let dump = dump(
            "/local/domain/0/name = \"Domain-0\"\n/local/domain/1 = \"\"\n\n/local/domain/1/memory/target = \"1024\"\n",
        );
        assert_eq!(dump.read("name").unwrap(), Some(b"Domain-0".to_vec()));
        assert_eq!(dump.read("/local/domain/1").unwrap(), Some(Vec::new()));
        assert_eq!(dump.read("/local/domain/1/memory").unwrap(), Some(Vec::new()));
        assert_eq!(dump.read("/local/domain/2").unwrap(), None);
        assert_eq!(dump.directory("/local/domain").unwrap(), ["0", "1"]);
        assert_eq!(dump.directory("/").unwrap(), ["local"]);
        assert_eq!(dump.directory("name").unwrap(), Vec::<String>::new());
        assert_eq!(dump.directory("/local/dom"), None);
    }

    #[test]
    fn escapes_and_quotes_are_undone() {
        let dump = dump(r#"/a = "1\t\n\r\\ "x" = "y"\x7f\xff\000\007""#);
        assert_eq!(dump.read("/a").unwrap().unwrap(), b"1\t\n\r\\ \"x\" = \"y\"\x7f\xff\0\x07");
    }

    #[test]
    fn permissions_are_passed_over() {
        assert_eq!(dump("/a = \"1\"  (n0,r1)\n").read("/a").unwrap(), Some(b"1".to_vec()));
    }

    #[test]
    fn a_value_that_is_not_whole_cannot_be_read() {
        let dump = dump("/a = \"drbd:r0\\...\"\n/b:\n/c = \"fine...\"\n");
        assert!(dump.read("/a").is_err());
        assert!(dump.read("/b").is_err());
        assert_eq!(dump.read("/c").unwrap(), Some(b"fine...".to_vec()));
        assert_eq!(dump.directory("/").unwrap(), ["a", "b", "c"]);
    }

    #[test]
    fn a_line_that_makes_no_sense_is_named() {
        for bad in [
            "/a",
            "/a = \"1",
            "/a = \"\\q\"",
            "/a = \"\\x1\"",
            "/a = \"\\x+1\"",
            "/a = \"\\8\"",
            "/a = \"1\" x",
            "/a b = \"1\"",
            "\u{1}",
        ] {
            let error =
                Dump::parse(Path::new("xenstore"), format!("/ok = \"\"\n{bad}\n").as_bytes()).err().unwrap();
            assert_eq!(error.to_string(), "xenstore: xenstore: line 2 is not `path = \"value\"`", "{bad}");
        }
        assert!(Dump::parse(Path::new("xenstore"), b"/a = \"\xff\"").is_err());
    }
}
