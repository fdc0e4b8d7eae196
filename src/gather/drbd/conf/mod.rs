//! drbd.conf(5) of DRBD 8.3, 8.4 and 9: what was configured, each word with its place.
//!
//! `tree` parses one text and knows no names, `load` follows the include
//! lines, `view` and `options` know what the sections mean. Reading
//! drbd.conf proves nothing of what is in force: only the module knows that.

mod lexer;
mod load;
mod options;
mod tree;
mod view;

pub use load::load;
pub use options::{Handler, Options};
pub use tree::{Node, Word};
pub use view::{HostKind, HostSection, Resource, Volume};

use crate::place::{Error, File};

/// Everything that drbd-utils would read: /etc/drbd.conf with what it includes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conf {
    /// Each file, in the order in which they were read.
    files: Vec<File>,
    /// The outermost sections, in the order in which drbdadm comes to them.
    nodes: Vec<Node>,
}

impl Conf {
    /// Parses one text that includes nothing; an include line in it is an error.
    pub fn parse(path: &str, text: &str) -> Result<Conf, Error> {
        let nodes = tree::parse(0, path, text)?;
        let conf = Conf { files: vec![File::new(path, text.into())], nodes };
        match conf.nodes.iter().find(|node| node.is_statement("include")) {
            Some(node) => Err(conf.error(node, &node.name, "there is nothing to include from")),
            None => Ok(conf),
        }
    }

    /// The outermost sections and statements; include lines are replaced by what they name.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// An error about `word` of `node`.
    pub fn error(&self, node: &Node, word: &Word, what: impl Into<String>) -> Error {
        match self.files.get(node.file) {
            Some(file) => file.error(word.place, what),
            None => Error::at("", "", word.place, what),
        }
    }

    /// Where `node` begins: `/etc/drbd.d/vm.res:3:5`.
    pub fn place(&self, node: &Node) -> String {
        let path = self.files.get(node.file).map_or("", File::path);
        format!("{path}:{}:{}", node.name.place.line, node.name.place.column)
    }
}

#[cfg(test)]
mod tests;
