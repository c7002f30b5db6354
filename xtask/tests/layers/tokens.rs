//! Rust's source as words: no comments, no texts, nothing of tests.

/// Splits `source` into identifiers, `::`, and single characters of punctuation. Comments,
/// lifetimes, and literals are left out.
pub(crate) fn split(source: &str) -> Vec<&str> {
    let bytes = source.as_bytes();
    let mut tokens = Vec::with_capacity(bytes.len() / 4);
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let rest = &bytes[at..];
        at += match byte {
            b'/' if rest.starts_with(b"//") => find(rest, b"\n", 2),
            b'/' if rest.starts_with(b"/*") => block_comment(rest),
            b'"' => text(rest),
            b'\'' => quote(rest),
            b'r' if raw_text(rest) > 0 => raw_text(rest),
            b':' if rest.starts_with(b"::") => {
                tokens.push(&source[at..at + 2]);
                2
            }
            _ if is_word(byte) => {
                let length = rest.iter().take_while(|byte| is_word(**byte)).count();
                // `b"…"`, `br#"…"#` and `c"…"`: the text is what follows.
                if !matches!(rest.get(length), Some(b'"')) || length > 1 {
                    tokens.push(&source[at..at + length]);
                }
                length
            }
            _ if byte.is_ascii_whitespace() || !byte.is_ascii() => 1,
            _ => {
                tokens.push(&source[at..=at]);
                1
            }
        };
    }
    tokens
}

/// What is left without the items under `#[cfg(test)]`.
pub(crate) fn without_tests<'a>(tokens: &[&'a str]) -> Vec<&'a str> {
    const MARK: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut kept = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        if tokens[at..].starts_with(&MARK) {
            at += MARK.len();
            at += item(&tokens[at..]);
        } else {
            kept.push(tokens[at]);
            at += 1;
        }
    }
    kept
}

/// How many tokens the item takes that `tokens` begin with: to its `;`, or to the brace that
/// closes it; a field or a variant ends with a comma.
fn item(tokens: &[&str]) -> usize {
    let mut depth = 0_usize;
    for (position, token) in tokens.iter().enumerate() {
        match *token {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" if depth == 0 => return position,
            "}" if depth == 1 => return position + 1,
            ")" | "]" | "}" => depth -= 1,
            ";" | "," if depth == 0 => return position + 1,
            _ => {}
        }
    }
    tokens.len()
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The length up to and with the next `end`, from `start` on.
fn find(bytes: &[u8], end: &[u8], start: usize) -> usize {
    let found = bytes[start..].windows(end.len()).position(|window| window == end);
    found.map_or(bytes.len(), |found| start + found + end.len())
}

/// Comments in comments are comments.
fn block_comment(bytes: &[u8]) -> usize {
    let (mut at, mut depth) = (2, 1);
    while depth > 0 && at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if bytes[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
        } else {
            at += 1;
        }
    }
    at
}

fn text(bytes: &[u8]) -> usize {
    let mut at = 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// The length of a raw text, 0 if this is none.
fn raw_text(bytes: &[u8]) -> usize {
    let marks = bytes[1..].iter().take_while(|byte| **byte == b'#').count();
    if bytes.get(1 + marks) != Some(&b'"') {
        return 0;
    }
    let end = [&b"\""[..], &b"#".repeat(marks)].concat();
    find(bytes, &end, marks + 2)
}

/// The length of a character, or of the quote of a lifetime.
fn quote(bytes: &[u8]) -> usize {
    match bytes.get(1) {
        Some(b'\\') => find(bytes, b"'", 3),
        Some(_) => {
            // A character of several bytes is followed by the closing quote all the same.
            let rest = String::from_utf8_lossy(&bytes[1..bytes.len().min(6)]);
            let length = rest.chars().next().map_or(1, char::len_utf8);
            if bytes.get(1 + length) == Some(&b'\'') { length + 2 } else { 1 }
        }
        None => 1,
    }
}

#[test]
fn words_are_what_is_left() {
    let source = r##"
        // use a::b;
        /* use /* nested */ c::d; */
        let _ = ("use e::f;\"", r#"g::"h"#, b"i::j", 'k', '\'', '\u{1f}', 'ä');
        impl<'a> l::M<'a> for N {}
    "##;
    let words = split(source);
    let is_name = |word: &&str| *word == "::" || is_word(word.as_bytes()[0]);
    let names: Vec<_> = words.into_iter().filter(is_name).collect();
    assert_eq!(names, ["let", "_", "impl", "a", "l", "::", "M", "a", "for", "N"]);
}

#[test]
fn tests_are_left_out() {
    let source = "
        #[cfg(test)] mod tests;
        #[cfg(test)]
        #[allow(x)]
        pub(crate) fn f() -> [u8; 2] { { g() } }
        struct S { #[cfg(test)] a: A<(u8, u8)>, b: B }
        #[cfg(test)] mod more { use super::*; }
    ";
    assert_eq!(without_tests(&split(source)).concat(), "structS{b:B}");
}
