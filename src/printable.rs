//! What may be printed and logged: text that steers no terminal and adds no line to a log.
//!
//! Guests name themselves, peers and files say anything. So whatever prints takes a [`Line`] or a
//! [`Text`], and there is no other way to make these than to take out what is not printable.

use serde::Serialize;
use std::fmt;
use std::ops::Deref;

/// libxl prints what it finds in `hotplug-error`; xenstore takes 4096 bytes, a reader much less.
const LONGEST: usize = 1000;

/// One line of printable ASCII, without its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line(String);

impl Line {
    /// `text` on one line of at most [`LONGEST`] letters; what is not printable ASCII becomes `?`.
    pub fn of(text: &str) -> Line {
        let printable = |letter: char| if matches!(letter, ' '..='~') { letter } else { '?' };
        Line(text.chars().map(printable).take(LONGEST).collect())
    }

    /// This line with another one behind it.
    pub fn then(mut self, other: &Line) -> Line {
        self.0.push_str(&other.0);
        self
    }
}

impl Deref for Line {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // With the width that a table asks for.
        f.pad(&self.0)
    }
}

/// Lines of printable ASCII and of what draws a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text(String);

/// Marks of a colour, which a terminal obeys as the sequence beside it: letters that nothing else is
/// printed with.
pub(crate) const COLOURS: [(char, &str); 4] =
    [(GOOD, "\u{1b}[32m"), (BAD, "\u{1b}[1;31m"), (DOUBTFUL, "\u{1b}[33m"), (PLAIN, "\u{1b}[0m")];
/// Green from here on.
pub(crate) const GOOD: char = '\u{e000}';
/// Bold red from here on.
pub(crate) const BAD: char = '\u{e001}';
/// Yellow from here on.
pub(crate) const DOUBTFUL: char = '\u{e002}';
/// No colour from here on.
pub(crate) const PLAIN: char = '\u{e003}';

impl Text {
    /// The lines of `text`; what is neither printable ASCII nor draws a box becomes `?`.
    pub fn of(text: &str) -> Text {
        Text(text.chars().map(in_text).collect())
    }

    /// The same in colour, for a terminal.
    pub fn in_colour(text: &str) -> Text {
        let mut shown = String::with_capacity(text.len());
        for letter in text.chars() {
            match COLOURS.iter().find(|(mark, _)| *mark == letter) {
                Some((_, sequence)) => shown.push_str(sequence),
                None => shown.push(in_text(letter)),
            }
        }
        Text(shown)
    }

    /// JSON in printable ASCII and line ends, the same to whoever reads it: serde_json escapes only
    /// what is below the space, and a terminal obeys DEL and U+0080 to U+009F too.
    pub fn json(json: &str) -> Text {
        let mut escaped = String::with_capacity(json.len());
        for letter in json.chars() {
            match letter {
                ' '..='~' | '\n' => escaped.push(letter),
                _ => escaped
                    .extend(letter.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}"))),
            }
        }
        Text(escaped)
    }
}

/// U+2500 to U+257F draw boxes (Unicode, Box Drawing).
fn in_text(letter: char) -> char {
    if matches!(letter, ' '..='~' | '\n' | '\u{2500}'..='\u{257f}') { letter } else { '?' }
}

impl From<Line> for Text {
    fn from(line: Line) -> Text {
        Text(line.0 + "\n")
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What steers a terminal, hides or turns a text, or ends a line.
    const HOSTILE: &str =
        "a\u{7f}\u{9b}2J\u{1b}[31m\u{7}\r\0\u{202e}\u{200b}\u{85}\u{2028}\u{e9}\u{1f4be}\t\u{e000}";

    #[test]
    fn json_keeps_its_meaning_and_steers_no_terminal() {
        let json = Text::json(&serde_json::to_string(HOSTILE).unwrap());
        assert!(json.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{json:?}");
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), HOSTILE);
    }

    #[test]
    fn a_line_is_one_line() {
        assert_eq!(&*Line::of("a\u{1b}[31mb\nc\0d\u{e9}"), "a?[31mb?c?d?");
        assert_eq!(Line::of(&"x".repeat(5000)).len(), LONGEST);
        assert!(Line::of(HOSTILE).bytes().all(|byte| (b' '..=b'~').contains(&byte)));
        assert_eq!(&*Line::of("a").then(&Line::of("b\n")), "ab?");
        assert_eq!(format!("{:<4}|", Line::of("a")), "a   |");
    }

    #[test]
    fn a_text_keeps_its_lines_and_its_tree_and_has_colour_on_a_terminal_only() {
        let tree = "r0\n\u{2514}\u{2500} vda\n";
        assert_eq!(&*Text::of(tree), tree);
        let painted = format!("{BAD}bad{PLAIN}\n");
        assert_eq!(&*Text::in_colour(&painted), "\u{1b}[1;31mbad\u{1b}[0m\n");
        assert!(Text::of(&painted).chars().all(|letter| letter != '\u{1b}'));
        for text in [Text::of(HOSTILE), Text::of("\u{1b}[0m")] {
            assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{text:?}");
        }
    }
}
