//! A tree of layers, drawn with the weak ones marked.

use super::one_line;
use super::paint::Paint;
use crate::rules::Severity;

/// A layer, and the layers below it.
pub struct Node {
    /// What it is and what it does to a flush.
    pub text: String,
    /// The device that it is, by kernel name, where it is one.
    pub device: Option<String>,
    /// The rule that has found it weak, and how grave that is.
    pub weak: Option<(&'static str, Severity)>,
    /// What it stands on.
    pub below: Vec<Node>,
}

impl Node {
    /// A layer with nothing against it.
    pub fn new(text: String, below: Vec<Node>) -> Node {
        Node { text, device: None, weak: None, below }
    }
}

/// The tree as lines.
pub fn draw(root: &Node, paint: &Paint) -> String {
    let mut lines = Vec::new();
    lines_of(root, "", "", paint, &mut lines);
    lines.concat()
}

fn lines_of(node: &Node, first: &str, rest: &str, paint: &Paint, lines: &mut Vec<String>) {
    let text = one_line(&node.text);
    let text = match node.weak {
        None => text.to_string(),
        Some((rule, Severity::Refuse)) => paint.bad(&format!("{text}  <== {rule}")),
        Some((rule, _)) => paint.doubtful(&format!("{text}  <-- {rule}")),
    };
    lines.push(format!("{first}{text}\n"));
    for (number, below) in node.below.iter().enumerate() {
        let (branch, trunk) =
            if number + 1 == node.below.len() { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        lines_of(below, &format!("{rest}{branch}"), &format!("{rest}{trunk}"), paint, lines);
    }
}
