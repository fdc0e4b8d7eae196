//! Colour, on a terminal and nowhere else.

use crate::printable::{BAD, DOUBTFUL, GOOD, PLAIN, Text};

/// Paints words, or leaves them as they are.
pub struct Paint {
    terminal: bool,
}

impl Paint {
    /// Paints where the output is a terminal.
    pub fn new(terminal: bool) -> Paint {
        Paint { terminal }
    }

    /// What is well: green.
    pub fn good(&self, word: &str) -> String {
        self.with(GOOD, word)
    }

    /// What stands against it: bold red.
    pub fn bad(&self, word: &str) -> String {
        self.with(BAD, word)
    }

    /// What is to be mended: yellow.
    pub fn doubtful(&self, word: &str) -> String {
        self.with(DOUBTFUL, word)
    }

    /// What may be printed of a painted text.
    pub fn finish(&self, text: &str) -> Text {
        if self.terminal { Text::in_colour(text) } else { Text::of(text) }
    }

    fn with(&self, colour: char, word: &str) -> String {
        if self.terminal { format!("{colour}{word}{PLAIN}") } else { word.to_string() }
    }
}
