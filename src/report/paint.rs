//! Colour, on a terminal and nowhere else.

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
        self.with("32", word)
    }

    /// What stands against it: bold red.
    pub fn bad(&self, word: &str) -> String {
        self.with("1;31", word)
    }

    /// What is to be mended: yellow.
    pub fn doubtful(&self, word: &str) -> String {
        self.with("33", word)
    }

    fn with(&self, code: &str, word: &str) -> String {
        if self.terminal { format!("\u{1b}[{code}m{word}\u{1b}[0m") } else { word.to_string() }
    }
}
