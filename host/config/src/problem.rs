//! Problems in the settings: where, what is wrong, and what to do about it.
//!
//! Invariant: no rendering shows a password or a token of the control API, not even one in the
//! wrong place.

use std::{fmt, ops::Range};

/// What each token begins with that `soloist token new` makes; hexadecimal digits follow.
pub const TOKEN_PREFIX: &str = "soloist_";

/// All problems in the settings, found in one pass.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    problems: Vec<Problem>,
}

impl ConfigError {
    /// The error made of `problems`, which must not be empty. Those of one file are sorted by
    /// line, the warnings after the errors.
    pub(super) fn new(mut problems: Vec<Problem>) -> Self {
        let mut files: Vec<String> = Vec::new();
        for (file, ..) in problems.iter().filter_map(Problem::position) {
            if !files.iter().any(|other| other == file) {
                files.push(file.to_owned());
            }
        }
        let nth = |file: &str| files.iter().position(|other| other == file);
        problems.sort_by_key(|problem| {
            let place = problem.position().map(|(file, line, column)| (nth(file), line, column));
            (problem.warning, place)
        });
        Self { problems }
    }

    /// The problems.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }
}

impl From<Problem> for ConfigError {
    fn from(problem: Problem) -> Self {
        Self { problems: vec![problem] }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.problems.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

/// One problem in the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    what: String,
    place: Option<Location>,
    // `Box<str>` keeps `Problem` small: it is the error of most results here.
    help: Box<str>,
    external: bool,
    /// Whether this is only a warning: valid, but without effect.
    warning: bool,
}

impl Problem {
    /// A problem; `help` says what to do about it.
    pub(super) fn new(what: impl Into<String>, help: impl Into<String>) -> Self {
        let (what, help) = (what.into(), help.into().into());
        Self { what, place: None, help, external: false, warning: false }
    }

    /// A problem whose text already includes what to do about it.
    pub(super) fn from_text(text: impl Into<String>) -> Self {
        Self::new(text, "")
    }

    /// The same problem as a warning: the setting is valid but has no effect.
    pub(super) fn into_warning(self) -> Self {
        Self { warning: true, ..self }
    }

    /// Marks a problem that lies outside the settings, such as a missing file: it may come and go
    /// while no setting changes.
    pub(super) fn external(self) -> Self {
        Self { external: true, ..self }
    }

    /// The file, line and column where it was written, if it was written in a file.
    fn position(&self) -> Option<(&str, usize, usize)> {
        match &self.place {
            Some(Location::File(Excerpt { file, line, column, .. })) => {
                Some((file, *line, *column))
            }
            Some(Location::Flag(_)) | None => None,
        }
    }

    /// Whether the problem lies outside the settings.
    pub(super) fn is_external(&self) -> bool {
        self.external
    }

    /// What is wrong, and what to do about it, for output without a file excerpt.
    pub(super) fn into_parts(self) -> (String, String) {
        (conceal(&self.what), self.help.into())
    }

    /// Everything in one line, for output without a file excerpt.
    pub(super) fn one_line(&self) -> String {
        format!("{}: {}", conceal(&self.what), self.help)
    }

    /// The same problem, with the location where it was written.
    pub(super) fn at(mut self, place: Option<Location>) -> Self {
        self.place = place;
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.warning { "warning" } else { "error" };
        writeln!(f, "{word}: {}", conceal(&self.what))?;
        if let Some(place) = &self.place {
            write!(f, "{place}")?;
        }
        if self.help.is_empty() { Ok(()) } else { writeln!(f, "help: {}", self.help) }
    }
}

impl Location {
    /// The same location, without showing the text written there.
    pub(super) fn without_text(self) -> Self {
        match self {
            Self::File(excerpt) => Self::File(excerpt.without_text()),
            flag @ Self::Flag(_) => flag,
        }
    }
}

/// Where a setting was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Location {
    /// In a settings file.
    File(Excerpt),
    /// As a flag, or in the environment variable for it.
    Flag(&'static str),
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(excerpt) => write!(f, "{excerpt}"),
            Self::Flag(flag) => {
                let variable = flag.to_uppercase().replace('-', "_");
                writeln!(f, " --> --{flag} or SOLOIST_{variable}")
            }
        }
    }
}

/// A line of a file, with a part of it underlined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Excerpt {
    file: String,
    line: usize,
    column: usize,
    text: String,
    width: usize,
}

impl Excerpt {
    /// The excerpt of `text`, the content of `file`, that shows `span`; `line` is the number of
    /// the line where the span begins.
    pub(super) fn new(file: &str, text: &str, line: usize, span: Range<usize>) -> Self {
        let start = floor(text, span.start);
        let end = floor(text, span.end).max(start);
        let line_start = text[..start].rfind('\n').map_or(0, |i| i + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |i| start + i);
        Self {
            file: file.to_owned(),
            line,
            column: text[line_start..start].chars().count() + 1,
            text: text[line_start..line_end].trim_end().to_owned(),
            width: text[start..end.min(line_end)].chars().count().max(1),
        }
    }
}

impl Excerpt {
    /// The same place, without showing the line.
    pub(super) fn without_text(self) -> Self {
        Self { text: String::new(), ..self }
    }

    /// `FILE:LINE:COLUMN`, as editors accept it.
    pub(super) fn position(&self) -> String {
        format!("{}:{}:{}", self.file, self.line, self.column)
    }
}

/// The greatest index up to `at` that does not split a character.
fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0)
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.line.to_string();
        let gutter = " ".repeat(number.len());
        let shown = conceal(&self.text);
        writeln!(f, "{gutter} --> {}:{}:{}", self.file, self.line, self.column)?;
        if self.text.is_empty() {
            return Ok(());
        }
        writeln!(f, "{gutter}  |")?;
        writeln!(f, "{number}  | {shown}")?;
        // Once a password was removed from the line, the columns no longer fit.
        if shown == self.text {
            let indent = " ".repeat(self.column - 1);
            writeln!(f, "{gutter}  | {indent}{}", "^".repeat(self.width))?;
        }
        Ok(())
    }
}

/// `text` without the tokens that it may contain, and without the user and password of a URL.
pub(super) fn conceal(text: &str) -> String {
    conceal_login(&conceal_words(&conceal_tokens(text)))
}

/// The words of an address that say a password, which stands nowhere in them by right.
const SECRET_WORDS: [&str; 2] = ["password=", "PASSWORD="];

/// `text` without what follows such a word.
fn conceal_words(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some(at) = SECRET_WORDS.iter().filter_map(|word| rest.find(word)).min() {
        let value = at + SECRET_WORDS[0].len();
        let ends = |c: char| matches!(c, '&' | '"' | '\'' | '`') || c.is_whitespace();
        let end = rest[value..].find(ends).map_or(rest.len(), |length| value + length);
        shown += &rest[..value];
        shown.push('…');
        rest = &rest[end..];
    }
    shown + rest
}

/// The fewest hexadecimal digits that make a word a token.
const TOKEN_DIGITS_MIN: usize = 16;

/// `text` without the tokens that `soloist token new` has made.
fn conceal_tokens(text: &str) -> String {
    let mut parts = text.split(TOKEN_PREFIX);
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.bytes().take_while(u8::is_ascii_hexdigit).count();
        shown.push_str(TOKEN_PREFIX);
        if digits < TOKEN_DIGITS_MIN {
            shown.push_str(part);
        } else {
            shown.push('…');
            shown.push_str(&part[digits..]);
        }
    }
    shown
}

/// `text` without the user and password that a URL in it may contain.
fn conceal_login(text: &str) -> String {
    // The last `@`: a password may contain an unencoded one.
    let Some(at) = text.rfind('@') else {
        return text.to_owned();
    };
    let before = &text[..at];
    let start = match (before.find("://"), before.find(['"', '\'', '`'])) {
        (Some(scheme), _) => scheme + 3,
        (None, Some(quote)) => quote + 1,
        (None, None) => 0,
    };
    if text[start..at].contains(':') || text[..start].ends_with("://") {
        format!("{}…{}", &text[..start], &text[at..])
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source_file::SourceFile;

    #[test]
    fn points_at_the_text() {
        let text = "cluster = \"demo\"\n[host]\nname = \"ä b\" # me\n";
        let start = text.find("\"ä").unwrap();
        let source = SourceFile::new("soloist.toml".into(), text.into());
        let excerpt = source.excerpt(start..start + 6);
        let problem =
            Problem::new("`ä b` is no name", "drop the space").at(Some(Location::File(excerpt)));
        assert_eq!(
            problem.to_string(),
            "\
error: `ä b` is no name
  --> soloist.toml:3:8
   |
3  | name = \"ä b\" # me
   |        ^^^^^
help: drop the space
"
        );
    }

    #[test]
    fn problems_of_one_file_are_sorted_by_line() {
        let source = SourceFile::new("soloist.toml".into(), "a = 1\nb = 2\nc = 3\n".into());
        let at = |what: &str, start: usize| {
            Problem::new(what, "").at(Some(Location::File(source.excerpt(start..start + 1))))
        };
        let problems = vec![at("warned", 0).into_warning(), at("third", 12), at("second", 6)];
        let text = ConfigError::new(problems).to_string();
        let order: Vec<_> = ["second", "third", "warned"].iter().map(|it| text.find(it)).collect();
        assert!(order.is_sorted() && order[0].is_some(), "{text}");
    }

    #[test]
    fn survives_spans_beyond_the_text() {
        let excerpt = SourceFile::new("f".into(), "a = 1\n".into()).excerpt(40..50);
        assert_eq!((excerpt.line, excerpt.column), (2, 1));
        assert_eq!(SourceFile::new("f".into(), "ä".into()).excerpt(1..1).column, 1);
    }

    #[test]
    fn shows_no_password() {
        for (text, shown) in [
            ("store = \"etcd://me:s3cret@h:1\"", "store = \"etcd://…@h:1\""),
            ("store = \"etcd://me:s3c@ret@h:1\"", "store = \"etcd://…@h:1\""),
            ("store = \"etcd://h:1\"", "store = \"etcd://h:1\""),
            ("store = \"me:s3cret@h:1\"", "store = \"…@h:1\""),
            ("mail = \"a@b\"", "mail = \"a@b\""),
            (
                "store = \"postgres://h/d?password=s3cret&a=b\"",
                "store = \"postgres://h/d?password=…&a=b\"",
            ),
            (
                "--store postgres://me:s3@h/d?sslpassword=s3cret",
                "--store postgres://…@h/d?sslpassword=…",
            ),
            ("soloist_0123456789abcdef01", "soloist_…"),
            ("ada = \"soloist_0123456789abcdef\" # hers", "ada = \"soloist_…\" # hers"),
            ("soloist_hosts = 3, soloist_a", "soloist_hosts = 3, soloist_a"),
        ] {
            assert_eq!(conceal(text), shown);
        }
    }
}
