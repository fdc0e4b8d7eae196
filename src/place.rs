//! A place in a text that somebody wrote, and the one line that shows what is wrong there.
//!
//! Pure. The mistakes of every file that this program parses look alike through it.

use serde::Serialize;
use std::fmt;

/// How much of a line an error shows, in characters.
const LONGEST_LINE: usize = 120;
/// How much of a line is looked at, in characters, where many errors may be in one.
const LONGEST_LOOK: usize = 1000;
/// How much of a word an error shows, in characters.
const LONGEST_WORD: usize = 60;

/// Where something stands in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Place {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
}

impl Place {
    /// The beginning of a text.
    pub const START: Place = Place { line: 1, column: 1 };

    /// Where the byte at `offset` stands; past the end, where the text ends.
    /// Reads the text up to there once.
    pub fn of(text: &str, offset: usize) -> Place {
        let passed = text.char_indices().take_while(|(at, c)| at + c.len_utf8() <= offset);
        passed.fold(Place::START, |place, (_, c)| place.after(c))
    }

    /// The place behind `passed`, which stands here.
    pub fn after(self, passed: char) -> Place {
        match passed {
            '\n' => Place { line: self.line + 1, column: 1 },
            _ => Place { column: self.column + 1, ..self },
        }
    }
}

/// `LINE:COLUMN`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// What is wrong with a text, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Mistake {
    /// Where.
    pub place: Place,
    /// One clause, lower case.
    pub message: String,
}

impl Mistake {
    /// A mistake at `place`.
    pub fn at(place: Place, message: impl Into<String>) -> Self {
        Mistake { place, message: message.into() }
    }

    /// The error to give for the file at `path` that holds `text`.
    pub fn in_file(&self, path: &str, text: &str) -> anyhow::Error {
        anyhow::Error::msg(render(path, text, self.place, &self.message))
    }
}

/// A mistake with its file and its line: what [`render`] says, as an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(String);

impl Error {
    /// `message` is wrong at `place` of `text`, which is that of the file at `path`.
    pub fn at(path: &str, text: &str, place: Place, message: impl Into<String>) -> Error {
        Error(render(path, text, place, &message.into()))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

/// A file that was read. It knows its lines, so that a mistake in each of them costs no
/// more than a look at each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    path: String,
    text: String,
    /// The byte at which each line begins.
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

    /// `message` is wrong at `place`.
    pub fn error(&self, place: Place, message: impl Into<String>) -> Error {
        let begin = self.lines.get(place.line.saturating_sub(1)).copied().unwrap_or(self.text.len());
        // A file may be one line of megabytes, with a mistake in every word: only its begin is looked at.
        let line = &self.text[begin..];
        let line = line.char_indices().nth(LONGEST_LOOK).map_or(line, |(end, _)| &line[..end]);
        let line = line.split('\n').next().unwrap_or("");
        Error(render_line(&self.path, line, place, &message.into()))
    }
}

/// ``PATH:LINE:COLUMN: message: `the line itself` `` on one line, whatever the text holds.
pub fn render(path: &str, text: &str, place: Place, message: &str) -> String {
    let line = text.split('\n').nth(place.line.saturating_sub(1)).unwrap_or("");
    render_line(path, line, place, message)
}

fn render_line(path: &str, line: &str, place: Place, message: &str) -> String {
    format!("{}:{place}: {}: `{}`", printable(path), printable(message), excerpt(line, place.column))
}

/// `word` as a message shows it: in back quotes, on one line, not longer than a message should be.
pub fn quoted(word: &str) -> String {
    let cut = if word.chars().nth(LONGEST_WORD).is_some() { "…" } else { "" };
    let shown: String = word.chars().take(LONGEST_WORD).collect();
    format!("`{}{cut}`", printable(&shown))
}

/// The line, or of a long one the part around the column.
fn excerpt(line: &str, column: usize) -> String {
    let long = line.chars().nth(LONGEST_LINE).is_some();
    let skipped = if long { column.saturating_sub(LONGEST_LINE / 2) } else { 0 };
    let at = |skipped| line.chars().skip(skipped).take(LONGEST_LINE).collect::<String>();
    let around = at(skipped);
    let shown = if around.is_empty() { at(0) } else { around };
    printable(shown.trim())
}

fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_stands_in_a_line_and_a_column() {
        let text = "ab\nä=1\r\n\nz";
        for (offset, line, column) in [
            (0, 1, 1),
            (2, 1, 3),
            (3, 2, 1),
            (4, 2, 1), // the second byte of ä
            (5, 2, 2),
            (9, 3, 1),
            (10, 4, 1),
            (11, 4, 2),
            (99, 4, 2),
        ] {
            assert_eq!(Place::of(text, offset), Place { line, column }, "{offset}");
        }
        assert_eq!(Place::of("", 5), Place::START);
    }

    #[test]
    fn an_error_is_one_line_that_shows_the_line() {
        let at = |line, column| Place { line, column };
        let text = "a = 1\n\tb\x1b[2J = 'x\r\nc";
        for (place, message, rendered) in [
            (at(1, 5), "wrong", "/etc/f:1:5: wrong: `a = 1`"),
            (at(2, 1), "wrong", "/etc/f:2:1: wrong: `b?[2J = 'x`"),
            (at(3, 2), "two\nlines", "/etc/f:3:2: two?lines: `c`"),
            (at(9, 1), "past the end", "/etc/f:9:1: past the end: ``"),
        ] {
            assert_eq!(render("/etc/f", text, place, message), rendered);
            assert_eq!(Mistake::at(place, message).in_file("/etc/f", text).to_string(), rendered);
        }
        assert_eq!(render("a\nb", "x", Place::START, "m"), "a?b:1:1: m: `x`");
    }

    #[test]
    fn of_a_long_line_the_part_around_the_column_is_shown() {
        let line = format!("{}!{}", "a".repeat(5000), "b".repeat(5000));
        let shown = excerpt(&line, 5001);
        assert_eq!(shown.chars().count(), LONGEST_LINE);
        assert!(shown.contains("a!b"), "{shown}");
        assert_eq!(excerpt(&line, 1), "a".repeat(LONGEST_LINE));
        assert_eq!(excerpt(&"ä".repeat(LONGEST_LINE), LONGEST_LINE), "ä".repeat(LONGEST_LINE));
    }

    #[test]
    fn a_word_is_quoted_and_cut() {
        for (word, shown) in [
            ("vdev", "`vdev`".to_string()),
            ("a\nb\0", "`a?b?`".to_string()),
            (&"ä".repeat(LONGEST_WORD), format!("`{}`", "ä".repeat(LONGEST_WORD))),
            (&"ä".repeat(LONGEST_WORD + 1), format!("`{}…`", "ä".repeat(LONGEST_WORD))),
        ] {
            assert_eq!(quoted(word), shown);
        }
    }
}
