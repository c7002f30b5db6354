//! Parses a settings file in spite of structural mistakes, so that all of them can be reported at
//! once, together with invalid values.

use std::ops::Range;

use serde::de::DeserializeOwned;
use toml::de::{DeTable, DeValue};

use super::{problem::Problem, source_file::SourceFile};

/// How many mistakes of one file are reported at most.
const MISTAKES: usize = 50;

/// Parses `source` without its malformed parts, and returns the problems with these. The value is
/// `None` if the text is not TOML at all: then the rest of it has no known meaning.
pub(super) fn read<T: DeserializeOwned>(source: &SourceFile) -> (Option<T>, Vec<Problem>) {
    let mut text = source.text().to_owned();
    let mut problems = Vec::new();
    loop {
        let error = match toml::from_str::<T>(&text) {
            Ok(read) => return (Some(read), problems),
            Err(error) => error,
        };
        problems.push(source.describe_error(&error));
        let mistake = error.span().and_then(|span| mistake(&text, &span));
        let Some(mistake) = mistake.filter(|_| problems.len() < MISTAKES) else {
            return (None, problems);
        };
        // Overwrite with blanks, so that all other positions stay the same.
        let blank: String = (text[mistake.clone()].chars())
            .flat_map(|c| std::iter::repeat_n(if c == '\n' { '\n' } else { ' ' }, c.len_utf8()))
            .collect();
        text.replace_range(mistake, &blank);
    }
}

/// The part of `text` to leave out for the mistake at `span`: one key with its value, or a whole
/// table if the table itself is wrong.
fn mistake(text: &str, span: &Range<usize>) -> Option<Range<usize>> {
    let line = text.get(..span.start)?.rfind('\n').map_or(0, |at| at + 1);
    if text[line..].trim_start().starts_with('[') {
        return Some(line..end_of_table(text, line));
    }
    let table = DeTable::parse(text).ok()?;
    let entry = entry(text, table.get_ref(), span.start)?;
    // Includes the tables that a dotted key names.
    let line = text[..entry.start].rfind('\n').map_or(0, |at| at + 1);
    (entry.end > line).then_some(line..entry.end)
}

/// The end of the table whose header is the line at `header`.
fn end_of_table(text: &str, header: usize) -> usize {
    let mut at = header;
    for (number, line) in text[header..].split_inclusive('\n').enumerate() {
        if number > 0 && line.trim_start().starts_with('[') {
            break;
        }
        at += line.len();
    }
    at
}

/// The key with its value, on its own lines, that contains the position `at`.
fn entry(text: &str, table: &DeTable<'_>, at: usize) -> Option<Range<usize>> {
    table.iter().find_map(|(key, value)| {
        let (from, to) = (key.span(), value.span());
        match value.get_ref() {
            DeValue::Table(inner) if !text.get(to.clone())?.starts_with('{') => {
                entry(text, inner, at)
            }
            _ => {
                let whole = from.start.min(to.start)..from.end.max(to.end);
                (whole.contains(&at) || whole.end == at).then_some(whole)
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings_file::SettingsFile;

    fn told(text: &str) -> (bool, String) {
        let source = SourceFile::new("s.toml".into(), text.to_owned());
        let (read, problems) = read::<SettingsFile>(&source);
        (read.is_some(), problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn mistakes_of_the_shape_are_told_together() {
        let (read, told) = told(
            "clutser = \"demo\"\n[lease]\nttl = 5\ndrain_timeout = \"1s\"\n[hosts]\nname = \"a\"\n\
             [action.web]\nlisten = 3000\nmax_concurrent_requests = \"8\"\ntls = { cert = \"c.pem\" }\n\
             config = { \"ä\" = 1 }\n",
        );
        assert!(read, "what is left is read: {told}");
        for part in
            ["`clutser`", "s.toml:3:7", "`hosts`", "s.toml:8:10", "s.toml:9:27", ":10:", ":11:"]
        {
            assert!(told.contains(part), "no {part} in:\n{told}");
        }
        assert_eq!(told.matches("error: ").count(), 7, "{told}");
        assert!(
            told.contains("11  | config = { \"ä\" = 1 }"),
            "lines are shown as they are: {told}"
        );
    }

    #[test]
    fn what_is_no_toml_is_told_once_and_the_rest_is_not_guessed_at() {
        let (read, told) = told("[lease]\nttl = 5s\n[host]\nname = 4\n");
        assert!(!read && told.matches("error: ").count() == 1, "{told}");
    }

    #[test]
    fn nothing_makes_it_go_on_for_ever() {
        let many =
            "x = 1\n".to_owned() + &(0..200).map(|n| format!("y{n} = 1\n")).collect::<String>();
        let (read, told) = told(&many);
        assert!(!read && told.matches("error: ").count() == MISTAKES, "{told}");
    }
}
