//! What `block-drbd check` says, by its JSON: the words of a finding may change, its rule may not.

use crate::node::Node;
use anyhow::{Context, Result};
use serde_json::Value;

/// The first finding of this rule about these resources or configurations.
pub fn finding(node: &Node, subjects: &str, rule: &str) -> Result<Value> {
    let said = node.run(&format!("block-drbd check --json {subjects}"))?.text();
    let answer: Value = serde_json::from_str(&said).with_context(|| said.clone())?;
    let subjects = answer["subjects"].as_array().context("check names no subjects")?;
    let findings = subjects.iter().flat_map(|subject| subject["findings"].as_array()).flatten();
    let mut found = findings.filter(|finding| finding["rule"] == rule);
    found.next().cloned().with_context(|| format!("{}: check does not name {rule}: {said}", node.name))
}
