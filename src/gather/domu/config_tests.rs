//! Settings, what is unknown after Python code, and mistakes.

use super::*;

/// A value as short text.
fn shown(value: &Value) -> String {
    match value {
        Value::Text(text) => text.value.clone(),
        Value::Number(number, _) => format!("#{number}"),
        Value::List(values, _) => format!("[{}]", values.iter().map(shown).collect::<Vec<_>>().join("|")),
    }
}

/// What `a` is: its value, `none`, or `line LINE` for the code that may have set it.
fn a_of(text: &str) -> String {
    match settings(text).unwrap().get("a") {
        Ok(Some(value)) => shown(value),
        Ok(None) => "none".into(),
        Err(code) => format!("line {}", code.place.line),
    }
}

#[test]
fn a_setting_has_the_value_that_the_file_leaves_it() {
    for (text, value) in [
        ("", "none"),
        ("# a = 1", "none"),
        ("b = 1", "none"),
        ("a = 1", "#1"),
        ("  a='x'  # c", "x"),
        ("a = 1; a = 2", "#2"),
        ("a = 1\r\nb = 2\r\n", "#1"),
        ("a = []", "[]"),
        ("a = ['x',]", "[x]"),
        ("a = [\n'x', # c\n\n\"y\"\n,\n]\n", "[x|y]"),
        ("a = [1, ['x', []]]", "[#1|[x|[]]]"),
        ("a = \\\n 'x'", "x"),
        ("a += 'x'", "x"),
        ("a = 'x'\na += 'y'", "xy"),
        ("a = ['x']\na += ['y', 'z']", "[x|y|z]"),
        ("a = 'x' \"y\"", "xy"),
        ("a = 'x' + 'y' 'z'", "xyz"),
        ("a = ['x' 'y', 'z' +\n'!']", "[xy|z!]"),
        ("a = ['x'] + ['y']", "[x|y]"),
    ] {
        assert_eq!(a_of(text), value, "{text}");
        assert!(settings(text).unwrap().not_evaluated.is_empty(), "{text}");
    }
}

#[test]
fn what_python_may_have_set_is_unknown() {
    for (text, value) in [
        // The value itself.
        ("a = b", "line 1"),
        ("a = True", "line 1"),
        ("a = -1", "line 1"),
        ("a = 'x%d' % 1", "line 1"),
        ("a = ['x', y]", "line 1"),
        ("a = ['x'] if y else []", "line 1"),
        ("a = ['x'][0]", "line 1"),
        ("a = f('x',\n'y')", "line 1"),
        ("a = f'x'", "line 1"),
        ("a = '''x'''", "line 1"),
        (r"a = '\x41'", "line 1"),
        ("a = 'x', 'y'", "line 1"),
        ("a = 1 + 2", "line 1"),
        ("a = 1\na += 2", "line 2"),
        ("a = b; a = 1", "#1"),
        ("a = b\na += 'x'", "line 1"),
        ("b = c\na = 1", "#1"),
        ("a = 1\nb = c", "#1"),
        // Several names at once.
        ("b = a = 1", "line 1"),
        ("b = f(a=1)", "none"),
        ("b = c == d", "none"),
        ("b, a = 1, 2", "line 1"),
        // Any other statement.
        ("a = 1\nexecfile('x')", "line 2"),
        ("execfile('x'); a = 1", "#1"),
        ("execfile('x')\na += [1]", "line 1"),
        ("a = []\na.append('x')", "line 2"),
        ("a = 1\nfrom x import *", "line 2"),
        ("a = 1\nimport os; print a", "#1"),
        ("\"\"\"a = 2\"\"\"\n'x'\na = 1", "#1"),
        ("a = 1\n'%s' % f()", "line 2"),
        ("a [ 'x' ]", "line 1"),
        // Bodies.
        ("a = 1\nif x:\n  a = 2\n", "line 2"),
        ("if x:\n  b = 2\n\n # c\n  a = 2\na = 3", "#3"),
        ("if x: a = 2; a = 3", "line 1"),
        ("if x: b = 1\na = 3", "#3"),
        ("for x in y:\n\tif z:\n\t\ta = 1\n\ta = 2", "line 1"),
        ("if x:\n  b = 1\nelse:\n  a = 1", "line 3"),
        ("a = 1\ndef f():\n  a = 2\n  return [\n1]\n", "#1"),
        ("a = 1\ndef f():\n  global a\nf()", "line 4"),
    ] {
        assert_eq!(a_of(text), value, "{text}");
        assert!(!settings(text).unwrap().not_evaluated.is_empty(), "{text}");
    }
}

#[test]
fn code_is_noted_with_its_place_and_its_word() {
    let text = "import os\na = 1\n\n  b = os.uname()[1]; f(1)\nif x:\n  a = 2\n";
    let notes = settings(text).unwrap().not_evaluated;
    let shown: Vec<_> = notes.iter().map(|note| format!("{} {}", note.place, note.what)).collect();
    assert_eq!(
        shown,
        [
            "1:1 Python code is not evaluated: `import`",
            "4:3 `b` is given by Python code, which is not evaluated: `os.uname`",
            "4:22 Python code is not evaluated: `f`",
            "5:1 Python code is not evaluated: `if`",
        ]
    );
}

#[test]
fn what_neither_xl_nor_python_takes_is_a_mistake() {
    for (text, line, column, message) in [
        ("a =", 1, 4, "a value is missing"),
        ("a =\nb = 1", 1, 4, "the line ends where a value is expected"),
        ("a = ;", 1, 5, "`;` stands where a value"),
        ("a = 'x' +\n", 1, 10, "the line ends where a value"),
        ("\n= 1", 2, 1, "name of a setting is missing"),
        ("1 = a", 1, 1, "name of a setting is missing"),
        ("[1]", 1, 1, "name of a setting is missing"),
        ("a = 'x' 5", 1, 9, "`5` stands where the end of the line"),
        ("a = 5 'x'", 1, 7, "`x` stands where the end of the line"),
        ("a = [,]", 1, 6, "`,` stands where a value"),
        ("a = ['x',,'y']", 1, 10, "`,` stands where a value"),
        ("a = ['x' 5]", 1, 10, "`5` stands where `,` or `]`"),
        ("a = ['x'\nb = 'y'", 1, 5, "`[` is never closed"),
        ("a = ['x' = 'y']", 1, 10, "`=` stands where `,` or `]`"),
        ("a = 'x'\na += ['y']", 2, 6, "cannot be joined"),
        ("a = 'x' + 5", 1, 11, "cannot be joined"),
        ("if x:\n  a = 'x", 2, 7, "never closed"),
    ] {
        let mistake = settings(text).map(|_| ()).unwrap_err();
        assert_eq!(mistake.place, Place { line, column }, "{text}: {}", mistake.message);
        assert!(mistake.message.contains(message), "{text}: {}", mistake.message);
    }
}
