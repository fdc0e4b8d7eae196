//! drbd.conf's words: quoted strings, bare words, and the signs `{`, `}`, `;`.
//!
//! As drbdadm reads them (drbd-utils, drbdadm_scanner.fl): `#` begins a comment
//! anywhere outside quotes, a quoted string ends on its line and keeps the
//! character after a backslash as it is. More characters than drbdadm's are let
//! into a bare word, such as those of addresses; a control character never is.

use crate::place::Place;

/// One piece of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// A word, without its quotes.
    Word(String),
    /// `{`
    Open,
    /// `}`
    Close,
    /// `;`
    End,
}

/// Goes through a text once, from its begin to its end.
pub struct Lexer<'a> {
    rest: std::iter::Peekable<std::str::Chars<'a>>,
    place: Place,
}

/// What cannot be read, and where it begins.
type Wrong = (Place, &'static str);

impl<'a> Lexer<'a> {
    /// Begins at the begin of `text`.
    pub fn new(text: &'a str) -> Self {
        Lexer { rest: text.chars().peekable(), place: Place::START }
    }

    /// The next token and where it begins; None at the end.
    pub fn next(&mut self) -> Result<Option<(Token, Place)>, Wrong> {
        self.pass_over_blanks();
        let place = self.place;
        let Some(&sign) = self.rest.peek() else { return Ok(None) };
        let token = match sign {
            '{' => Token::Open,
            '}' => Token::Close,
            ';' => Token::End,
            '"' => return self.quoted().map(|token| Some((token, place))),
            sign if bare(sign) => return Ok(Some((self.word(), place))),
            _ => return Err((place, "this character can only stand in quotes")),
        };
        self.step();
        Ok(Some((token, place)))
    }

    /// Where the next character stands.
    pub fn place(&self) -> Place {
        self.place
    }

    fn pass_over_blanks(&mut self) {
        while let Some(&sign) = self.rest.peek() {
            match sign {
                ' ' | '\t' | '\r' | '\n' => drop(self.step()),
                '#' => while self.rest.peek().is_some_and(|&sign| sign != '\n') && self.step().is_some() {},
                _ => return,
            }
        }
    }

    fn word(&mut self) -> Token {
        let mut word = String::new();
        while let Some(&sign) = self.rest.peek().filter(|&&sign| bare(sign)) {
            word.push(sign);
            self.step();
        }
        Token::Word(word)
    }

    fn quoted(&mut self) -> Result<Token, Wrong> {
        let open = self.place;
        self.step();
        let mut word = String::new();
        loop {
            let place = self.place;
            let sign = match self.step() {
                Some('"') => return Ok(Token::Word(word)),
                Some('\\') => self.step(),
                other => other,
            };
            match sign {
                None | Some('\n') => return Err((open, "this quoted string does not end on its line")),
                Some(sign) if sign.is_control() && sign != '\t' => {
                    return Err((place, "there is a control character in this quoted string"));
                }
                Some(sign) => word.push(sign),
            }
        }
    }

    fn step(&mut self) -> Option<char> {
        let sign = self.rest.next()?;
        match sign {
            '\n' => self.place = Place { line: self.place.line + 1, column: 1 },
            _ => self.place.column += 1,
        }
        Some(sign)
    }
}

/// Whether a character can stand in a word without quotes.
fn bare(sign: char) -> bool {
    sign.is_ascii_graphic() && !"{};\"#".contains(sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Result<Vec<String>, (usize, usize)> {
        let mut lexer = Lexer::new(text);
        let mut tokens = Vec::new();
        loop {
            match lexer.next() {
                Ok(Some((Token::Word(word), _))) => tokens.push(format!("'{word}'")),
                Ok(Some((token, _))) => tokens.push(format!("{token:?}")),
                Ok(None) => return Ok(tokens),
                Err((place, _)) => return Err((place.line, place.column)),
            }
        }
    }

    #[test]
    fn words_and_signs() {
        for (text, expected) in [
            ("", ""),
            ("a b;c{d}", "'a' 'b' End 'c' Open 'd' Close"),
            ("a#b;\nc", "'a' 'c'"),
            ("# only", ""),
            (r#"a"b c"d"#, "'a' 'b c' 'd'"),
            (r#""a # { ; } b""#, "'a # { ; } b'"),
            (r#""say \"hi\" \\ \n""#, r#"'say "hi" \ n'"#),
            ("\"\" \"\té\"", "'' '\té'"),
            ("10.0.0.1:7792 [fd00::1%eth0]:1 /dev/x[0]", "'10.0.0.1:7792' '[fd00::1%eth0]:1' '/dev/x[0]'"),
            ("a\r\n\tb", "'a' 'b'"),
        ] {
            assert_eq!(tokens(text).unwrap().join(" "), expected, "{text:?}");
        }
    }

    #[test]
    fn what_is_no_word() {
        for (text, line, column) in [
            ("a \"b", 1, 3),
            ("a\n \"b\n\"", 2, 2),
            ("\"a\\\n\"", 1, 1),
            ("\"a\\", 1, 1),
            ("\"a\u{1b}[31m\"", 1, 3),
            ("a\0b", 1, 2),
            ("é", 1, 1),
            ("on \u{202e}a", 1, 4),
        ] {
            assert_eq!(tokens(text), Err((line, column)), "{text:?}");
        }
    }
}
