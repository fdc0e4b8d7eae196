//! drbd.conf's statements and sections as a tree, whatever their names.

use super::lexer::{Lexer, Token};
use crate::place::{Error, Place};

/// drbd.conf has sections in sections in sections, five deep at most (a proxy's
/// plugins in a connection); what is much deeper is no drbd.conf.
const DEEPEST: usize = 10;

/// A word and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// The word, without its quotes.
    pub text: String,
    /// Where it begins.
    pub place: Place,
}

/// `name values…;` or `name values… { body }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The file, as its number in [`super::Conf`].
    pub file: usize,
    /// The first word.
    pub name: Word,
    /// The words after it.
    pub values: Vec<Word>,
    /// What is in the braces of a section; None for a statement.
    pub body: Option<Vec<Node>>,
}

impl Node {
    /// Whether this is a statement of that name.
    pub fn is_statement(&self, name: &str) -> bool {
        self.body.is_none() && self.name.text == name
    }

    /// What is in the braces of a section of that name.
    pub fn section(&self, name: &str) -> Option<&[Node]> {
        self.body.as_deref().filter(|_| self.name.text == name)
    }

    /// The values' texts.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.values.iter().map(|word| word.text.as_str())
    }
}

/// Parses one file, the `number`th, which is called `path`.
pub fn parse(number: usize, path: &str, text: &str) -> Result<Vec<Node>, Error> {
    let mut parser = Parser { number, lexer: Lexer::new(text), depth: 0 };
    parser.body().map_err(|(place, what)| Error::at(path, text, place, what))
}

type Wrong = (Place, &'static str);

struct Parser<'a> {
    number: usize,
    lexer: Lexer<'a>,
    depth: usize,
}

impl Parser<'_> {
    /// Everything up to the brace that closes it, or to the end of the file.
    fn body(&mut self) -> Result<Vec<Node>, Wrong> {
        let mut nodes = Vec::new();
        loop {
            match self.lexer.next()? {
                None if self.depth == 0 => return Ok(nodes),
                None => return Err((self.lexer.place(), "the file ends within a section")),
                Some((Token::Close, _)) if self.depth > 0 => return Ok(nodes),
                Some((Token::Close, place)) => return Err((place, "this closes no section")),
                Some((Token::Open, place)) => return Err((place, "this section has no name")),
                Some((Token::End, _)) => {}
                Some((Token::Word(text), place)) => {
                    let node = self.node(Word { text, place })?;
                    // What is skipped is read by nobody (drbd.conf(5)).
                    if node.section("skip").is_none() {
                        nodes.push(node);
                    }
                }
            }
        }
    }

    fn node(&mut self, name: Word) -> Result<Node, Wrong> {
        let mut values = Vec::new();
        loop {
            let body = match self.lexer.next()? {
                Some((Token::Word(text), place)) => {
                    values.push(Word { text, place });
                    continue;
                }
                Some((Token::End, _)) => None,
                Some((Token::Open, place)) => Some(self.deeper(place)?),
                Some((Token::Close, place)) => return Err((place, "there is no ; before this")),
                None => return Err((name.place, "this statement does not end")),
            };
            return Ok(Node { file: self.number, name, values, body });
        }
    }

    fn deeper(&mut self, place: Place) -> Result<Vec<Node>, Wrong> {
        if self.depth == DEEPEST {
            return Err((place, "sections are nested too deeply"));
        }
        self.depth += 1;
        let body = self.body();
        self.depth -= 1;
        body
    }
}
