//! The tree of the xenstored for tests, and what paths mean in it.

use std::collections::BTreeMap;

const PAYLOAD_MAX: usize = 4096;

#[derive(Clone, Default)]
struct Node {
    value: Vec<u8>,
    generation: u64,
}

/// The nodes, by absolute path.
#[derive(Clone)]
pub struct Tree {
    nodes: BTreeMap<String, Node>,
    generation: u64,
    /// What was changed since events were last sent.
    pub changed: Vec<String>,
}

impl Tree {
    pub fn new() -> Tree {
        let nodes = BTreeMap::from([("/".to_owned(), Node::default())]);
        Tree { nodes, generation: 0, changed: Vec::new() }
    }

    /// The value of a node.
    pub fn get(&self, path: &str) -> Option<Vec<u8>> {
        self.nodes.get(&absolute(path)).map(|node| node.value.clone())
    }

    /// Writes a node, and its parents where they are missing.
    pub fn set(&mut self, path: &str, value: &[u8]) {
        let path = absolute(path);
        if !self.nodes.contains_key(&path) {
            let parent = parent(&path);
            if !self.nodes.contains_key(&parent) {
                self.set(&parent, b"");
            }
            self.touch(&parent);
        }
        self.nodes.entry(path.clone()).or_default().value = value.to_vec();
        self.touch(&path);
        self.changed.push(path);
    }

    /// Removes a node and what is below it; "ENOENT" if even its parent is missing.
    pub fn remove(&mut self, path: &str) -> Result<(), &'static str> {
        let path = absolute(path);
        if !self.nodes.contains_key(&parent(&path)) {
            return Err("ENOENT");
        }
        if self.nodes.remove(&path).is_some() {
            let inside = format!("{path}/");
            self.nodes.retain(|node, _| !node.starts_with(&inside));
            self.touch(&parent(&path));
            self.changed.push(path);
        }
        Ok(())
    }

    fn touch(&mut self, path: &str) {
        self.generation += 1;
        if let Some(node) = self.nodes.get_mut(path) {
            node.generation = self.generation;
        }
    }

    /// The number of the last change to a node or to the set of its children.
    pub fn generation_of(&self, path: &str) -> Option<u64> {
        self.nodes.get(path).map(|node| node.generation)
    }

    /// The children of a node, each ended by a NUL.
    pub fn children(&self, path: &str) -> Option<Vec<u8>> {
        self.nodes.get(path)?;
        let inside = if path == "/" { path.to_owned() } else { format!("{path}/") };
        let names = self.nodes.keys().filter_map(|node| node.strip_prefix(&inside));
        let names = names.filter(|name| !name.is_empty() && !name.contains('/'));
        Some(names.flat_map(|name| [name.as_bytes(), b"\0"].concat()).collect())
    }

    /// The children from an offset on, as DIRECTORY_PART answers.
    pub fn part(&self, path: &str, offset: &[u8]) -> Result<Vec<u8>, &'static str> {
        let offset =
            std::str::from_utf8(offset).ok().and_then(|text| text.trim_end_matches('\0').parse().ok());
        let offset: usize = offset.ok_or("EINVAL")?;
        let names = self.children(path).ok_or("ENOENT")?;
        let mut reply = format!("{}\0", self.generation_of(path).unwrap()).into_bytes();
        let room = PAYLOAD_MAX - reply.len() - 1;
        let rest = names.get(offset..).unwrap_or_default();
        let mut len = rest.len().min(room);
        while len > 0 && rest[len - 1] != 0 {
            len -= 1;
        }
        reply.extend_from_slice(&rest[..len]);
        if len == rest.len() {
            reply.push(0);
        }
        Ok(reply)
    }
}

/// A path with the implicit one before it.
pub fn absolute(path: &str) -> String {
    if path.starts_with(['/', '@']) { path.to_owned() } else { format!("/local/domain/0/{path}") }
}

/// The path of the node above.
pub fn parent(path: &str) -> String {
    match path.rsplit_once('/') {
        Some(("", _)) | None => "/".to_owned(),
        Some((parent, _)) => parent.to_owned(),
    }
}

/// Whether xenstored takes this for a path.
pub fn valid(path: &str) -> bool {
    let limit = if path.starts_with('/') { 3072 } else { 2048 };
    let allowed = |char: char| char.is_ascii_alphanumeric() || "-/_@".contains(char);
    let shape = !path.is_empty() && !path.contains("//") && (path == "/" || !path.ends_with('/'));
    shape && path.len() <= limit && path.chars().all(allowed)
}
