//! How errors, times and foreign texts are shown to people.

use std::{
    error::Error,
    fmt,
    time::{Duration, UNIX_EPOCH},
};

/// An error and its causes, on one line.
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let line = error.to_string();
        // Some libraries repeat the cause in their own text.
        if !text.contains(&line) {
            text = format!("{text}: {line}");
        }
        cause = error.source();
    }
    text
}

/// The last moment with a four-digit year (RFC 3339, section 5.6), in milliseconds of Unix time.
const LAST_MS: u64 = 253_402_300_799_999;

/// Milliseconds of Unix time as RFC 3339. Later moments are shown as the last one with a four-digit
/// year.
pub fn rfc3339(ms: u64) -> String {
    let moment = UNIX_EPOCH + Duration::from_millis(ms.min(LAST_MS));
    humantime::format_rfc3339_millis(moment).to_string()
}

/// A time of RFC 3339 in UTC with its offset as a number, as in `2026-12-01T10:03:06.195+00:00`.
#[must_use]
pub fn with_offset(time: &str) -> String {
    time.strip_suffix('Z').map_or_else(|| time.to_owned(), |time| format!("{time}+00:00"))
}

/// A statement, with its reason if there is one.
pub fn with_reason(what: &str, reason: &str) -> String {
    if reason.is_empty() { what.to_owned() } else { format!("{what}: {reason}") }
}

/// The help for a refused action, in addition to the reason of the refusal.
pub const REFUSED_HELP: &str = "correct that in the plugins folder, which takes effect at \
                                       once, or in soloist.toml and start the host again";

/// The first few names, and how many more there are.
pub fn list_few(mut names: impl ExactSizeIterator<Item: fmt::Display>) -> String {
    const FEW: usize = 3;
    let first: Vec<_> = names.by_ref().take(FEW).map(|name| name.to_string()).collect();
    let first = first.join(", ");
    match names.len() {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

/// The beginning of a text, at most `most` bytes and cut at a character.
pub fn truncate(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A duration in whole milliseconds, for log fields.
pub fn millis(span: Duration) -> u64 {
    span.as_millis().try_into().unwrap_or(u64::MAX)
}

/// Whether a character affects the text around it instead of standing for itself: it controls a
/// terminal (C0, C1), breaks the line, or changes the direction of the text (Unicode Standard Annex
/// 9, table 2).
pub fn affects_display(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `text` on one line, with characters that affect the display escaped. Text from others must not
/// control the terminal, or look as if somebody else had written it.
pub fn sanitize(text: &str) -> String {
    let mut tame = String::with_capacity(text.len());
    for c in text.chars() {
        if affects_display(c) && c != '\t' {
            tame.extend(c.escape_default());
        } else {
            tame.push(c);
        }
    }
    tame
}

/// Like [`sanitize`] for JSON, which keeps its meaning. JSON itself allows all of these characters
/// except C0 (RFC 8259, section 7).
pub fn sanitize_json(json: &str) -> String {
    let mut tame = String::with_capacity(json.len());
    for c in json.chars() {
        // In JSON, line breaks occur only between fencing tokens.
        if affects_display(c) && !matches!(c, '\t' | '\n' | '\r') {
            // Each of these characters is a single UTF-16 unit.
            tame += &format!("\\u{:04x}", u32::from(c));
        } else {
            tame.push(c);
        }
    }
    tame
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Characters of each kind.
    const STEERING: &str = "a\u{1b}[2J\u{7}\u{7f}\u{9b}31m\u{61c}\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\
                            \u{202e}\u{2066}\u{2069}\r\nz";

    #[test]
    fn every_number_is_a_moment() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(with_offset(&rfc3339(0)), "1970-01-01T00:00:00.000+00:00");
        assert_eq!(with_offset("none"), "none");
        for late in [LAST_MS, LAST_MS + 1, u64::MAX] {
            assert_eq!(rfc3339(late), "9999-12-31T23:59:59.999Z");
        }
    }

    #[test]
    fn nothing_steers_any_more() {
        let tamed = sanitize(STEERING);
        assert!(!tamed.chars().any(affects_display), "{tamed:?}");
        assert!(tamed.contains("\\u{202e}") && tamed.contains("\\r\\n"), "{tamed}");
        // Nothing else is escaped: letters of both directions, accents, joined emoji.
        let plain = "שלום مرحبا e\u{301} 👩\u{200d}🚀\ttab";
        assert_eq!(sanitize(plain), plain);
    }

    #[test]
    fn json_says_the_same_and_steers_nothing() {
        let value = serde_json::json!({ "name": STEERING, STEERING: [STEERING] });
        for json in [value.to_string(), format!("{value:#}\n")] {
            let tamed = sanitize_json(&json);
            assert!(!tamed.chars().any(|c| affects_display(c) && c != '\n'), "{tamed:?}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&tamed).unwrap(), value);
        }
    }
}
