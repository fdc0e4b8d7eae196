//! JSON that is a promise: the same keys with the same kinds of values as in a fixture.

#![allow(dead_code, clippy::disallowed_methods, clippy::unwrap_used)]

use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Each field's path with the type of its value; names and numbers of devices vary.
fn shape(path: &str, value: &Value, found: &mut BTreeSet<String>) {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(items) => {
            items.iter().for_each(|item| shape(&format!("{path}[]"), item, found));
            "array"
        }
        Value::Object(fields) => {
            for (key, value) in fields {
                let key = if path == ".devices" { "*" } else { key };
                shape(&format!("{path}.{key}"), value, found);
            }
            "object"
        }
    };
    found.insert(format!("{path}: {kind}"));
}

/// The document has every field of the fixture, and no other. `BLESS=1` writes the fixture.
#[track_caller]
pub fn has_the_shape_of(document: &Value, fixture: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(fixture);
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, serde_json::to_string_pretty(document).unwrap() + "\n").unwrap();
    }
    let promised: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let shapes = [&promised, document].map(|value| {
        let mut found = BTreeSet::new();
        shape("", value, &mut found);
        found
    });
    let differs: Vec<_> = shapes[0].symmetric_difference(&shapes[1]).collect();
    assert!(differs.is_empty(), "{fixture} is a promise; these differ: {differs:#?}");
}
