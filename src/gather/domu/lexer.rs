//! The words of a domain configuration or of xl.conf.
//!
//! Pure. Takes what xl's lexer takes (libxlu_cfg_l.l), and of Python, in which
//! xm's files are written, enough to find the end of a statement. Quotes,
//! brackets and characters that neither of them takes are mistakes.

use crate::place::{Mistake, Place, quoted};

/// Deeper than any real file; the parser of lists calls itself once a level.
const DEEPEST: usize = 32;

/// A word and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word<'a> {
    pub place: Place,
    pub token: Token<'a>,
}

/// What the grammar tells apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token<'a> {
    /// The end of a line outside of brackets.
    Newline,
    /// `;` outside of brackets.
    Semicolon,
    Comma,
    /// `[`.
    Open,
    /// `]`.
    Close,
    /// `=`.
    Assign,
    /// `+=`.
    Append,
    Plus,
    /// Letters, digits, `_` and `.`, as in xl.
    Name(&'a str),
    /// As written: `2`, `0x10`.
    Number(&'a str),
    Text(Text),
    /// Whatever has a meaning in Python alone, as written.
    Python(&'a str),
}

impl Token<'_> {
    /// Whether a statement ends here.
    pub fn is_end(&self) -> bool {
        matches!(self, Token::Newline | Token::Semicolon)
    }
}

/// A string, and where each of its bytes comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// What it stands for.
    pub value: String,
    /// Where its first quote stands.
    pub place: Place,
    /// From which byte of the value on the source runs on from which place, character by character.
    runs: Vec<(usize, Place)>,
}

impl Text {
    fn new(place: Place) -> Self {
        Text { value: String::new(), place, runs: Vec::new() }
    }

    /// Where the byte `at` of the value stands in the file.
    pub fn place_of(&self, at: usize) -> Place {
        let run = self.runs.partition_point(|(from, _)| *from <= at);
        let Some((from, place)) = run.checked_sub(1).and_then(|run| self.runs.get(run)) else {
            return self.place;
        };
        self.value[*from..at].chars().fold(*place, Place::after)
    }

    /// Puts another string behind this one.
    pub fn append(&mut self, other: &Text) {
        let length = self.value.len();
        self.runs.extend(other.runs.iter().map(|(from, place)| (length + from, *place)));
        self.value.push_str(&other.value);
    }

    /// What follows runs on from `place`.
    fn run_from(&mut self, place: Place) {
        self.runs.push((self.value.len(), place));
    }
}

/// Reads one word after the other.
pub struct Lexer<'a> {
    rest: &'a str,
    place: Place,
    /// The brackets that are open.
    open: Vec<(char, Place)>,
}

impl<'a> Lexer<'a> {
    pub fn new(text: &'a str) -> Self {
        Lexer { rest: text, place: Place::START, open: Vec::new() }
    }

    /// Where the next word is looked for.
    pub fn place(&self) -> Place {
        self.place
    }

    /// How many brackets are open.
    pub fn depth(&self) -> usize {
        self.open.len()
    }

    /// The next word; `None` at the end of the text.
    pub fn next(&mut self) -> Result<Option<Word<'a>>, Mistake> {
        self.skip_space();
        let place = self.place;
        let Some(first) = self.peek() else {
            return match self.open.last() {
                Some((bracket, place)) => Err(Mistake::at(*place, format!("`{bracket}` is never closed"))),
                None => Ok(None),
            };
        };
        let token = match first {
            'a'..='z' | 'A'..='Z' | '_' => Token::Name(self.take_word()),
            '0'..='9' => Token::Number(self.take_word()),
            '\'' | '"' => self.string(first)?,
            _ => self.sign(first)?,
        };
        Ok(Some(Word { place, token }))
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let mut characters = self.rest.chars();
        let passed = characters.next()?;
        self.rest = characters.as_str();
        self.place = self.place.after(passed);
        Some(passed)
    }

    /// Passes `word` if it is next.
    fn pass(&mut self, word: &str) -> bool {
        let Some(rest) = self.rest.strip_prefix(word) else { return false };
        self.rest = rest;
        self.place = word.chars().fold(self.place, Place::after);
        true
    }

    fn skip_space(&mut self) {
        while self.pass_blank() || self.pass_comment() {}
    }

    /// Passes a blank, a continued line, or inside of brackets the end of a line.
    fn pass_blank(&mut self) -> bool {
        let line_end = self.rest.starts_with("\r\n")
            || self.rest == "\r" // Host::read_text takes the newline off the last line
            || (self.depth() > 0 && self.rest.starts_with('\n'));
        if line_end {
            self.bump();
        }
        line_end || [" ", "\t", "\\\n", "\\\r\n"].iter().any(|blank| self.pass(blank))
    }

    fn pass_comment(&mut self) -> bool {
        let comment = self.rest.starts_with('#');
        while comment && self.peek().is_some_and(|c| c != '\n') {
            self.bump();
        }
        comment
    }

    fn take_word(&mut self) -> &'a str {
        let from = self.rest;
        while self.peek().is_some_and(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.') {
            self.bump();
        }
        &from[..from.len() - self.rest.len()]
    }

    /// What is neither a name, a number nor a string.
    fn sign(&mut self, first: char) -> Result<Token<'a>, Mistake> {
        if self.pass("+=") {
            return Ok(Token::Append);
        }
        let (from, place) = (self.rest, self.place);
        if ["==", "!=", "<=", ">="].iter().any(|comparison| self.pass(comparison)) {
            return Ok(Token::Python(&from[..2]));
        }
        self.bump();
        let written = &from[..first.len_utf8()];
        match first {
            '\n' => Ok(Token::Newline),
            ';' if self.open.is_empty() => Ok(Token::Semicolon),
            ',' => Ok(Token::Comma),
            '=' => Ok(Token::Assign),
            '+' => Ok(Token::Plus),
            '[' => self.opened('[', place).map(|()| Token::Open),
            ']' => self.closed(']', place).map(|()| Token::Close),
            '(' | '{' => self.opened(first, place).map(|()| Token::Python(written)),
            ')' | '}' => self.closed(first, place).map(|()| Token::Python(written)),
            ':' | '.' | '-' | '*' | '/' | '%' | '<' | '>' | '!' | '&' | '|' | '^' | '~' | '@' | '`' => {
                Ok(Token::Python(written))
            }
            ';' => Err(Mistake::at(place, "`;` inside of brackets")),
            _ if !first.is_ascii_graphic() => Err(strange(first, place)),
            _ => Err(Mistake::at(place, format!("{} stands outside of a string", quoted(written)))),
        }
    }

    fn opened(&mut self, bracket: char, place: Place) -> Result<(), Mistake> {
        if self.open.len() == DEEPEST {
            return Err(Mistake::at(place, format!("brackets are nested deeper than {DEEPEST}")));
        }
        self.open.push((bracket, place));
        Ok(())
    }

    fn closed(&mut self, bracket: char, place: Place) -> Result<(), Mistake> {
        match (self.open.pop(), bracket) {
            (Some(('[', _)), ']') | (Some(('(', _)), ')') | (Some(('{', _)), '}') => Ok(()),
            (Some((opener, at)), _) => {
                Err(Mistake::at(place, format!("`{bracket}` where the `{opener}` of {at} is open")))
            }
            (None, _) => Err(Mistake::at(place, format!("`{bracket}` closes nothing"))),
        }
    }

    /// A string up to its closing quote. What xl and Python read differently is left to Python.
    fn string(&mut self, quote: char) -> Result<Token<'a>, Mistake> {
        let (from, mut text, mut plain) = (self.rest, Text::new(self.place), true);
        let triple = if quote == '"' { "\"\"\"" } else { "'''" };
        if self.pass(triple) {
            self.triple(triple, text.place)?;
            return Ok(Token::Python(&from[..from.len() - self.rest.len()]));
        }
        self.bump();
        text.run_from(self.place);
        loop {
            let place = self.place;
            match self.bump() {
                Some(c) if c == quote => break,
                Some('\\') => plain &= self.escape(&mut text, place),
                None | Some('\n') => return Err(unterminated(text.place)),
                Some('\r') if matches!(self.peek(), None | Some('\n')) => {
                    return Err(unterminated(text.place));
                }
                Some(c) if c.is_control() && c != '\t' => return Err(strange(c, place)),
                Some(c) => text.value.push(c),
            }
        }
        Ok(if plain { Token::Text(text) } else { Token::Python(&from[..from.len() - self.rest.len()]) })
    }

    /// What follows a backslash at `place`; false where xl and Python differ: xl
    /// drops numeric escapes and refuses unknown ones (xlu__cfgl_dequote).
    fn escape(&mut self, text: &mut Text, place: Place) -> bool {
        // Python: the string goes on in the next line.
        if self.pass("\n") || self.pass("\r\n") {
            text.run_from(self.place);
            return true;
        }
        let stands_for = match self.peek() {
            Some(c @ ('\'' | '"' | '\\')) => c,
            Some('a') => '\x07',
            Some('b') => '\x08',
            Some('f') => '\x0c',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('v') => '\x0b',
            _ => return false,
        };
        text.run_from(place);
        text.value.push(stands_for);
        self.bump();
        text.run_from(self.place);
        true
    }

    /// The rest of a string in triple quotes.
    fn triple(&mut self, quotes: &str, opened: Place) -> Result<(), Mistake> {
        while !self.pass(quotes) {
            self.pass("\\");
            self.bump().ok_or_else(|| unterminated(opened))?;
        }
        Ok(())
    }
}

fn unterminated(opened: Place) -> Mistake {
    Mistake::at(opened, "the string is never closed")
}

/// A character that may not show on a screen.
fn strange(c: char, place: Place) -> Mistake {
    Mistake::at(place, format!("the character U+{:04X} cannot stand here", u32::from(c)))
}

#[cfg(test)]
#[path = "lexer_tests.rs"]
mod tests;
