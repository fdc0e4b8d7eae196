//! Words, and what is none.

use super::*;

/// The words as `Debug` shows them, without their places.
fn words(text: &str) -> Result<Vec<String>, Mistake> {
    let mut lexer = Lexer::new(text);
    let mut shown = Vec::new();
    while let Some(word) = lexer.next()? {
        shown.push(match word.token {
            Token::Text(text) => format!("<{}>", text.value),
            Token::Name(word) | Token::Number(word) => word.to_string(),
            Token::Python(word) => format!("py {word}"),
            other => format!("{other:?}"),
        });
    }
    Ok(shown)
}

#[test]
fn every_kind_of_word() {
    for (text, expected) in [
        ("", &[][..]),
        ("# nothing \0 here", &[]),
        ("a=1;b", &["a", "Assign", "1", "Semicolon", "b"]),
        ("a1._b 0x1F 10L 1.5", &["a1._b", "0x1F", "10L", "1.5"]),
        ("a += 'x' # c\nb", &["a", "Append", "<x>", "Newline", "b"]),
        ("a\r\nb\r", &["a", "Newline", "b"]),
        ("a \\\n b \\\r\n c", &["a", "b", "c"]),
        ("[ 1,\n # c\n]\n", &["Open", "1", "Comma", "Close", "Newline"]),
        ("'#' \"it's\" '\"'", &["<#>", "<it's>", "<\">"]),
        (r#"'a\'\"\\\n\tb'"#, &["<a'\"\\\n\tb>"]),
        ("'a\\\nb' 'c\\\r\nd'", &["<ab>", "<cd>"]),
        ("'' \"\"", &["<>", "<>"]),
        (r"'\x41' '\101' '\d'", &[r"py '\x41'", r"py '\101'", r"py '\d'"]),
        ("'''a'\n''' \"\"\"\\\"\"\"\"", &["py '''a'\n'''", "py \"\"\"\\\"\"\"\""]),
        ("a == b <= c", &["a", "py ==", "b", "py <=", "c"]),
        ("f(x=1,\ny)", &["f", "py (", "x", "Assign", "1", "Comma", "y", "py )"]),
        ("-1 + {}", &["py -", "1", "Plus", "py {", "py }"]),
    ] {
        assert_eq!(
            words(text).as_deref(),
            Ok(&expected.iter().map(ToString::to_string).collect::<Vec<_>>()[..])
        );
    }
}

#[test]
fn what_is_no_word_is_a_mistake_in_its_place() {
    let deep = "[".repeat(DEEPEST + 1);
    for (text, line, column, message) in [
        ("a = 'x", 1, 5, "string is never closed"),
        ("a = 'x\nb'", 1, 5, "string is never closed"),
        ("a = \"x\r\n\"", 1, 5, "string is never closed"),
        ("a = 'x\\", 1, 5, "string is never closed"),
        ("a\n'''x''", 2, 1, "string is never closed"),
        ("a = [\n'x',\n", 1, 5, "`[` is never closed"),
        ("f(\n[1]", 1, 2, "`(` is never closed"),
        ("a\n]", 2, 1, "`]` closes nothing"),
        ("a = [1)", 1, 7, "`)` where the `[` of 1:5 is open"),
        ("[1;2]", 1, 3, "`;` inside of brackets"),
        ("é = 1", 1, 1, "U+00E9"),
        ("\u{feff}a", 1, 1, "U+FEFF"),
        ("a\0", 1, 2, "U+0000"),
        ("a\rb", 1, 2, "U+000D"),
        ("'é\x1b'", 1, 3, "U+001B"),
        ("a \\ b", 1, 3, "`\\` stands outside"),
        ("$a", 1, 1, "`$` stands outside"),
        (deep.as_str(), 1, DEEPEST + 1, "nested deeper than 32"),
    ] {
        let mistake = words(text).unwrap_err();
        assert_eq!(mistake.place, Place { line, column }, "{text:?}");
        assert!(mistake.message.contains(message), "{text:?}: {}", mistake.message);
    }
    assert!(words(&format!("{}{}", "[".repeat(DEEPEST), "]".repeat(DEEPEST))).is_ok());
}

#[test]
fn a_byte_of_a_string_is_found_in_the_file() {
    let mut lexer = Lexer::new("\n 'é\\n\\\"x\\\n  y'   'z'");
    let mut text = |expected: &str| match lexer.next().unwrap().unwrap().token {
        Token::Newline => None,
        Token::Text(text) => {
            assert_eq!(text.value, expected);
            Some(text)
        }
        other => panic!("{other:?}"),
    };
    text("");
    let mut first = text("é\n\"x  y").unwrap();
    first.append(&text("z").unwrap());
    let byte = |wanted: &str| first.value.find(wanted).unwrap();
    for (at, line, column) in [
        (byte("é"), 2, 3),
        (byte("\n"), 2, 4),
        (byte("\""), 2, 6),
        (byte("x"), 2, 8),
        (byte("y"), 3, 3),
        (byte("z"), 3, 9),
        (first.value.len(), 3, 10),
    ] {
        assert_eq!(first.place_of(at), Place { line, column }, "{at}");
    }
}
