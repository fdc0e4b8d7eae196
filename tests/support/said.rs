//! What the program said, held to what holds for everything that it says.

#![allow(dead_code, clippy::unwrap_used)]

use std::process::{Command, Output};

/// An exit code with both outputs.
#[derive(Debug, PartialEq, Eq)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// Runs the command to its end.
#[track_caller]
pub fn said(command: &mut Command) -> Said {
    of(command.output().unwrap())
}

/// No panic, and nothing that a terminal would obey.
#[track_caller]
pub fn of(output: Output) -> Said {
    let text = |bytes: Vec<u8>| {
        let text = String::from_utf8(bytes).unwrap();
        assert!(!text.contains("panicked"), "{text}");
        assert!(!text.chars().any(|letter| letter.is_control() && letter != '\n'), "{text:?}");
        text
    };
    Said { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
}

impl Said {
    /// It is refused as a wrong call: one line on stderr with `words`, nothing on stdout.
    #[track_caller]
    pub fn is_wrong(&self, words: &str) {
        assert_eq!((self.code, self.out.as_str()), (2, ""), "{self:?}");
        assert_eq!(self.err.lines().count(), 1, "{self:?}");
        assert!(self.err.starts_with("block-drbd: ") && self.err.contains(words), "{words}: {self:?}");
    }
}
