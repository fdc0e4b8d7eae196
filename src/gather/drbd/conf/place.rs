//! Where in a text something stands, and errors that show it.

use crate::report::one_line;
use std::fmt;

/// A line and a column of a text. Both begin at 1; a column is a character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The character within the line.
    pub column: usize,
}

impl Place {
    /// The place of the byte at `offset` in `text`. Reads all of the text before it.
    pub fn of(text: &str, offset: usize) -> Place {
        let mut offset = offset.min(text.len());
        while !text.is_char_boundary(offset) {
            offset -= 1;
        }
        let before = &text[..offset];
        let begin = before.rfind('\n').map_or(0, |at| at + 1);
        Place { line: before.matches('\n').count() + 1, column: before[begin..].chars().count() + 1 }
    }
}

/// How much of a line is looked at, in characters.
const LONGEST: usize = 1000;

/// A file that was read. It knows its lines, so that an error about each of them is no
/// more than a look at each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    path: String,
    text: String,
    /// Where each line begins.
    lines: Vec<usize>,
}

impl File {
    /// The file at `path`, which holds `text`.
    pub fn new(path: &str, text: String) -> File {
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        File { path: path.into(), text, lines }
    }

    /// Its path.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// `what` is wrong at `place`.
    pub fn error(&self, place: Place, what: impl Into<String>) -> Error {
        let begin = self.lines.get(place.line - 1).copied().unwrap_or(self.text.len());
        Error::new(&self.path, &self.text[begin..], place, what)
    }
}

/// What is wrong with a text, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    file: String,
    place: Place,
    what: String,
    line: String,
}

impl Error {
    /// `what` is wrong at `place` of `text`, which is that of `file`.
    pub fn at(file: &str, text: &str, place: Place, what: impl Into<String>) -> Error {
        Error::new(file, text.split('\n').nth(place.line - 1).unwrap_or(""), place, what)
    }

    /// `line` is the text from the begin of the line on.
    fn new(file: &str, line: &str, place: Place, what: impl Into<String>) -> Error {
        let line: String = line.chars().take(LONGEST).take_while(|&sign| sign != '\n').collect();
        Error { file: file.into(), place, what: what.into(), line: one_line(line.trim()) }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Error { file, place, what, line } = self;
        write!(f, "{}:{}:{}: {}: `{line}`", one_line(file), place.line, place.column, one_line(what))
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        let text = "a\nné b\n";
        for (offset, line, column) in [(0, 1, 1), (1, 1, 2), (2, 2, 1), (6, 2, 4), (99, 3, 1)] {
            assert_eq!(Place::of(text, offset), Place { line, column }, "{offset}");
        }
        assert_eq!(Place::of(text, 4), Place { line: 2, column: 2 }, "within a character");
    }

    #[test]
    fn an_error_shows_its_line_and_nothing_that_steers_a_terminal() {
        let error = Error::at("f\n", "x\n  a \u{1b}[31m b\r\n", Place { line: 2, column: 3 }, "no\tgood");
        assert_eq!(error.to_string(), "f?:2:3: no?good: `a ?[31m b`");
    }
}
