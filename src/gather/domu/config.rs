//! The settings of a domain configuration or of xl.conf.
//!
//! Pure. `name = value` and `name += value` of strings, numbers and lists are
//! taken as xl takes them (libxlu_cfg_y.y); strings and lists that Python would
//! join are joined. Any other Python code is noted and never guessed at: what
//! it may have set is unknown from there on. One thing is taken for granted: a
//! value that is computed sets its own name and no other.

use super::lexer::{Lexer, Text, Token, Word};
use crate::guest::NotEvaluated;
use crate::place::{Mistake, Place, quoted};
use std::collections::BTreeMap;

/// What a setting was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A string.
    Text(Text),
    /// A number as written.
    Number(String, Place),
    /// A list.
    List(Vec<Value>, Place),
}

impl Value {
    /// Where it begins.
    pub fn place(&self) -> Place {
        match self {
            Value::Text(text) => text.place,
            Value::Number(_, place) | Value::List(_, place) => *place,
        }
    }
}

/// Every setting as the file leaves it.
#[derive(Debug, Default)]
pub struct Settings {
    given: BTreeMap<String, Result<Value, NotEvaluated>>,
    /// The last code that may have set any setting that is not in `given`.
    code: Option<NotEvaluated>,
    /// All code, in order.
    pub not_evaluated: Vec<NotEvaluated>,
}

impl Settings {
    /// The value of a setting, if it is set; or the code that may have set it.
    pub fn get(&self, name: &str) -> Result<Option<&Value>, &NotEvaluated> {
        match (self.given.get(name), &self.code) {
            (Some(given), _) => given.as_ref().map(Some),
            (None, Some(code)) => Err(code),
            (None, None) => Ok(None),
        }
    }

    /// What `name +=` adds to.
    fn take(&mut self, name: &str) -> Option<Result<Value, NotEvaluated>> {
        self.given.remove(name).or_else(|| self.code.clone().map(Err))
    }

    fn set(&mut self, name: &str, value: Result<Value, NotEvaluated>) {
        self.given.insert(name.to_string(), value);
    }

    /// Notes code, which may have set anything unless it is harmless.
    fn note(&mut self, place: Place, what: String, harmless: bool) -> NotEvaluated {
        let note = NotEvaluated { place, what };
        self.not_evaluated.push(note.clone());
        if !harmless {
            self.given.clear();
            self.code = Some(note.clone());
        }
        note
    }

    /// Notes a statement that begins with `word`.
    fn code(&mut self, place: Place, word: &str, harmless: bool) {
        self.note(place, format!("Python code is not evaluated: {}", quoted(word)), harmless);
    }
}

/// Words that begin a statement with a body.
const COMPOUND: [&str; 12] =
    ["if", "elif", "else", "for", "while", "try", "except", "finally", "with", "def", "class", "async"];
/// Words that begin a statement which sets none of the settings that are asked
/// for. What is defined runs when it is called, and the call is a statement.
const HARMLESS: [&str; 5] = ["import", "print", "pass", "def", "class"];

/// Reads a whole file.
pub fn settings(text: &str) -> Result<Settings, Mistake> {
    let mut parser = Parser { lexer: Lexer::new(text), next: None, settings: Settings::default() };
    while let Some(word) = parser.take()? {
        parser.statement(word)?;
    }
    Ok(parser.settings)
}

/// Why a value was not read to its end.
enum Stop {
    Mistake(Mistake),
    /// At this word, which is Python.
    Python(String),
}

impl From<Mistake> for Stop {
    fn from(mistake: Mistake) -> Self {
        Stop::Mistake(mistake)
    }
}

/// What the rest of a statement holds.
#[derive(Default)]
struct Rest {
    /// A `=` outside of brackets.
    assigns: bool,
    /// Its last word is a colon, so that its body begins in the next line.
    colon: bool,
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    /// The word that was looked at and not taken.
    next: Option<Word<'a>>,
    settings: Settings,
}

impl<'a> Parser<'a> {
    fn take(&mut self) -> Result<Option<Word<'a>>, Mistake> {
        match self.next.take() {
            Some(word) => Ok(Some(word)),
            None => self.lexer.next(),
        }
    }

    fn peek(&mut self) -> Result<Option<&Word<'a>>, Mistake> {
        if self.next.is_none() {
            self.next = self.lexer.next()?;
        }
        Ok(self.next.as_ref())
    }

    /// Takes the next word if it is `token`.
    fn pass(&mut self, token: &Token) -> Result<bool, Mistake> {
        let next = self.peek()?.is_some_and(|word| word.token == *token);
        if next {
            self.next = None;
        }
        Ok(next)
    }

    /// Takes what comes before the first word that is an `end`.
    fn skip(&mut self, end: impl Fn(&Token) -> bool) -> Result<Rest, Mistake> {
        let mut rest = Rest::default();
        while self.peek()?.is_some_and(|word| !end(&word.token)) {
            let word = self.take()?;
            let token = word.as_ref().map(|word| &word.token);
            rest.assigns |= token == Some(&Token::Assign) && self.lexer.depth() == 0;
            rest.colon = token == Some(&Token::Python(":"));
        }
        Ok(rest)
    }

    fn statement(&mut self, first: Word<'a>) -> Result<(), Mistake> {
        let place = first.place;
        match first.token {
            Token::Newline | Token::Semicolon => Ok(()),
            Token::Name(name) if COMPOUND.contains(&name) => self.compound(name, place),
            Token::Name(name) if self.pass(&Token::Assign)? => self.assignment(name, place, false),
            Token::Name(name) if self.pass(&Token::Append)? => self.assignment(name, place, true),
            Token::Name(name) => self.other_code(name, place, HARMLESS.contains(&name)),
            Token::Text(text) => {
                let alone = self.at_end()?;
                self.other_code(&text.value, place, alone)
            }
            Token::Python(word) => {
                let alone = self.at_end()?;
                self.other_code(word, place, alone && word.starts_with(['\'', '"']))
            }
            _ => Err(Mistake::at(place, "the name of a setting is missing")),
        }
    }

    fn at_end(&mut self) -> Result<bool, Mistake> {
        Ok(self.peek()?.is_none_or(|word| word.token.is_end()))
    }

    /// Any other statement: a call, an assignment to several names, a string that is a comment.
    fn other_code(&mut self, word: &str, place: Place, harmless: bool) -> Result<(), Mistake> {
        self.skip(|token| token.is_end())?;
        self.settings.code(place, word, harmless);
        Ok(())
    }

    /// A statement with a body: all lines that begin further right than it does.
    fn compound(&mut self, keyword: &str, place: Place) -> Result<(), Mistake> {
        let line_end = |token: &Token| *token == Token::Newline;
        let mut in_body = self.skip(line_end)?.colon;
        while in_body {
            if !self.pass(&Token::Newline)? {
                in_body = self.peek()?.is_some_and(|word| word.place.column > place.column);
                if in_body {
                    self.skip(line_end)?;
                }
            }
        }
        self.settings.code(place, keyword, HARMLESS.contains(&keyword));
        Ok(())
    }

    fn assignment(&mut self, name: &str, place: Place, append: bool) -> Result<(), Mistake> {
        let value = self.sum().and_then(|value| self.ended().map(|()| value));
        let before = if append { self.settings.take(name) } else { None };
        let value = match (before, value) {
            (Some(Ok(before)), Ok(value)) => joined(before, value).map(Ok),
            (Some(Err(code)), Ok(_)) => Ok(Err(code)),
            (_, value) => value.map(Ok),
        };
        match value {
            Err(Stop::Mistake(mistake)) => return Err(mistake),
            Err(Stop::Python(word)) => self.python_value(name, place, &word)?,
            Ok(value) => self.settings.set(name, value),
        }
        Ok(())
    }

    fn python_value(&mut self, name: &str, place: Place, word: &str) -> Result<(), Mistake> {
        let what =
            format!("{} is given by Python code, which is not evaluated: {}", quoted(name), quoted(word));
        // `a = b = 1` sets b too.
        let harmless = !self.skip(|token| token.is_end())?.assigns;
        let note = self.settings.note(place, what, harmless);
        self.settings.set(name, Err(note));
        Ok(())
    }

    /// Nothing may follow a value.
    fn ended(&mut self) -> Result<(), Stop> {
        match self.peek()? {
            Some(Word { token: Token::Assign, .. }) => Err(Stop::Python("=".into())),
            Some(Word { token: Token::Comma, .. }) => Err(Stop::Python(",".into())),
            Some(word) if !word.token.is_end() => Err(unexpected(word, "the end of the line or `;`")),
            _ => Ok(()),
        }
    }

    /// Values that `+` joins.
    fn sum(&mut self) -> Result<Value, Stop> {
        let mut value = self.term()?;
        while self.pass(&Token::Plus)? {
            value = joined(value, self.term()?)?;
        }
        Ok(value)
    }

    fn term(&mut self) -> Result<Value, Stop> {
        let place = self.lexer.place();
        let word = self.take()?.ok_or_else(|| Mistake::at(place, "a value is missing"))?;
        match word.token {
            Token::Text(text) => self.text(text),
            Token::Number(number) => Ok(Value::Number(number.to_string(), word.place)),
            Token::Open => self.list(word.place),
            _ => Err(unexpected(&word, "a value")),
        }
    }

    /// Strings side by side are one string to Python.
    fn text(&mut self, mut text: Text) -> Result<Value, Stop> {
        while let Some(Word { token: Token::Text(more), .. }) = self.peek()? {
            text.append(more);
            self.next = None;
        }
        Ok(Value::Text(text))
    }

    /// The lexer nests no deeper than it allows, and so does this.
    fn list(&mut self, place: Place) -> Result<Value, Stop> {
        let mut values = Vec::new();
        while !self.pass(&Token::Close)? {
            values.push(self.sum()?);
            match self.peek()? {
                Some(Word { token: Token::Comma, .. }) => self.next = None,
                Some(word) if word.token != Token::Close => return Err(unexpected(word, "`,` or `]`")),
                _ => (),
            }
        }
        Ok(Value::List(values, place))
    }
}

/// What `first + second` is.
fn joined(first: Value, second: Value) -> Result<Value, Stop> {
    match (first, second) {
        (Value::Text(mut first), Value::Text(second)) => {
            first.append(&second);
            Ok(Value::Text(first))
        }
        (Value::List(mut first, place), Value::List(second, _)) => {
            first.extend(second);
            Ok(Value::List(first, place))
        }
        // Python adds them, xl puts one behind the other.
        (Value::Number(..), Value::Number(..)) => Err(Stop::Python("+".into())),
        (_, second) => {
            Err(Mistake::at(second.place(), "a string, a number and a list cannot be joined").into())
        }
    }
}

/// Python, if `word` can go on a Python expression; else a mistake.
fn unexpected(word: &Word, expected: &str) -> Stop {
    let shown = match &word.token {
        Token::Name(python) | Token::Python(python) => return Stop::Python(python.to_string()),
        Token::Open => return Stop::Python("[".into()),
        Token::Plus => return Stop::Python("+".into()),
        Token::Newline => "the line ends".to_string(),
        Token::Text(text) => format!("{} stands", quoted(&text.value)),
        Token::Number(number) => format!("{} stands", quoted(number)),
        Token::Semicolon => "`;` stands".to_string(),
        Token::Comma => "`,` stands".to_string(),
        Token::Close => "`]` stands".to_string(),
        Token::Assign => "`=` stands".to_string(),
        Token::Append => "`+=` stands".to_string(),
    };
    Mistake::at(word.place, format!("{shown} where {expected} is expected")).into()
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
