//! How large the parts of a queued call may be.

/// The longest payload, in bytes; a task's settings may set a lower limit. etcd accepts requests of
/// up to 1.5 MiB (`--max-request-bytes`).
pub const PAYLOAD_MAX: usize = 1 << 20;
/// The longest answer, in bytes.
pub const ANSWER_MAX: usize = 256 << 10;
/// The longest content type, in bytes.
pub const CONTENT_TYPE_MAX: usize = 256;
/// Whether `text` can be the content type of a payload (RFC 9110, section 8.3). It is sent in
/// headers and stored with each queued call.
#[must_use]
pub fn is_content_type(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    (1..=CONTENT_TYPE_MAX).contains(&text.len()) && text.bytes().all(plain)
}

/// The longest error text, in bytes; longer ones are cut.
pub const ERROR_MAX: usize = 4 << 10;
/// How many answers of one task are kept at most. Those of the oldest queued calls are deleted
/// first.
pub(crate) const ANSWERS_MAX: usize = 10_000;
/// The longest id, in bytes.
pub(super) const ID_MAX: usize = 64;

/// Cuts a text to at most [`ERROR_MAX`] bytes.
pub(crate) fn cut_error(text: &str) -> String {
    soloist_text::truncate(text, ERROR_MAX).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_cut_between_characters() {
        assert_eq!(cut_error("short"), "short");
        let long = format!("a{}", "é".repeat(ERROR_MAX));
        assert_eq!(cut_error(&long).len(), ERROR_MAX - 1);
        assert!(long.starts_with(&cut_error(&long)));
    }
}
