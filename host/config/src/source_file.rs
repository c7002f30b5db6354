//! The text of a settings file: parsing it, and pointing at places in it.

use std::{
    borrow::Cow,
    path::{Path, PathBuf},
};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, de::DeserializeOwned};

use super::{
    problem::{Excerpt, Location, Problem},
    renames, small_file,
    spelling::did_you_mean,
};

/// A value of the file, with its location.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(transparent)]
pub(super) struct Located<T>(toml::Spanned<T>);

/// A text of the file, with its location.
pub(super) type LocatedText = Located<String>;

impl<T> Located<T> {
    /// `value`, located at `span`.
    pub(super) fn new(span: std::ops::Range<usize>, value: T) -> Self {
        Self(toml::Spanned::new(span, value))
    }

    /// Its position in the text.
    pub(super) fn span(&self) -> std::ops::Range<usize> {
        self.0.span()
    }

    /// The value.
    pub(super) fn get_ref(&self) -> &T {
        self.0.get_ref()
    }

    /// The value without its location.
    pub(super) fn into_inner(self) -> T {
        self.0.into_inner()
    }
}

/// In the schema this is the value itself; the location is not written by anyone.
impl<T: JsonSchema> JsonSchema for Located<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// The text of a settings file, with what is needed to point into it.
#[derive(Clone, Debug)]
pub(super) struct SourceFile {
    path: PathBuf,
    /// How messages refer to the file, if not by its path.
    shown: Option<&'static str>,
    text: String,
    /// Whether the text may hold secrets: then no message shows any of it.
    secret: bool,
    /// The positions of line breaks: thousands of settings may ask for their line.
    ends: Vec<usize>,
}

impl SourceFile {
    /// Reads the file at `path`, which a person has named: it may be a pipe.
    pub(super) fn open_named(path: PathBuf) -> std::io::Result<Self> {
        let text = small_file::read_named(&path)?;
        Ok(Self::new(path, text))
    }

    /// The file at `path` with this content.
    pub(super) fn new(path: PathBuf, text: String) -> Self {
        let ends = text.match_indices('\n').map(|(at, _)| at).collect();
        Self { path, shown: None, text, secret: false, ends }
    }

    /// Reads a regular file.
    pub(super) fn open_file(path: PathBuf) -> std::io::Result<Self> {
        let text = small_file::read_text(&path)?;
        Ok(Self::new(path, text))
    }

    /// Reads a regular file that may hold secrets.
    pub(super) fn open_secret(path: PathBuf) -> std::io::Result<Self> {
        Ok(Self { secret: true, ..Self::open_file(path)? })
    }

    /// Stands for a missing file: an empty one in `folder`.
    pub(super) fn empty(folder: &Path) -> Self {
        Self::new(folder.join("soloist.toml"), String::new())
    }

    /// Sets how messages refer to the file; `None` means by its path.
    pub(super) fn shown_as(self, shown: Option<&'static str>) -> Self {
        Self { shown, ..self }
    }

    /// Whether messages refer to it by another name than its path: no person has written it.
    pub(super) fn is_alias(&self) -> bool {
        self.shown.is_some()
    }

    /// Its path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The folder that relative paths in the file start from.
    pub(super) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// Where `value` is written.
    pub(super) fn place<T>(&self, value: &Located<T>) -> Location {
        Location::File(self.excerpt(value.span()))
    }

    /// The excerpt that shows `span`.
    pub(super) fn excerpt(&self, span: std::ops::Range<usize>) -> Excerpt {
        let line = self.ends.partition_point(|end| *end < span.start) + 1;
        let file = self.shown.map_or_else(|| self.path.display().to_string(), ToOwned::to_owned);
        let excerpt = Excerpt::new(&file, &self.text, line, span);
        if self.secret { excerpt.without_text() } else { excerpt }
    }

    /// Its text.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Parses the file, and stops at the first mistake.
    pub(super) fn parse<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        toml::from_str(&self.text).map_err(|error| self.describe_error(&error))
    }

    /// Parses the file, and reports the first mistake as `mistake`: the words of the parser may
    /// repeat a secret.
    pub(super) fn parse_secret<T: DeserializeOwned>(&self, mistake: Problem) -> Result<T, Problem> {
        toml::from_str(&self.text).map_err(|error| mistake.at(self.place_of(&error)))
    }

    /// The problem that an error of the TOML parser stands for.
    pub(super) fn describe_error(&self, error: &toml::de::Error) -> Problem {
        let place = self.place_of(error);
        if !error.span().is_some_and(|span| self.is_in_secrets(span.start)) {
            return shape_problem(error.message()).at(place);
        }
        shape_problem(&without_value(error.message())).at(place.map(Location::without_text))
    }

    /// Whether what is written at `at` belongs to a setting that may hold a secret: it stands below
    /// such a heading, or on the line of such a key.
    fn is_in_secrets(&self, at: usize) -> bool {
        let Some(before) = self.text.get(..at) else { return true };
        let line = before.rfind('\n').map_or(0, |end| end + 1);
        let is_heading = |line: &&str| line.trim_start().starts_with('[');
        let heading = before.lines().rev().find(is_heading).unwrap_or_default();
        let key = self.text[line..].split(['=', '\n']).next().unwrap_or_default();
        let mut words = [heading, key].into_iter().flat_map(|part| {
            part.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-')
        });
        words.any(|word| OF_SECRETS.contains(&word))
    }

    fn place_of(&self, error: &toml::de::Error) -> Option<Location> {
        error.span().map(|span| Location::File(self.excerpt(span)))
    }
}

/// The keys and tables in which somebody may write a secret, even one in the wrong form.
const OF_SECRETS: &[&str] = &["secrets", "peer_token", "tokens"];

/// `message` without the value that the parser has met.
fn without_value(message: &str) -> String {
    match (message.find('"'), message.rfind('"')) {
        (Some(first), Some(last)) if first < last => {
            message[..first].trim_end().to_owned() + &message[last + 1..]
        }
        _ => message.to_owned(),
    }
}

/// The problem that a message of serde or of the TOML parser describes.
fn shape_problem(message: &str) -> Problem {
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    if let ["unknown field", ..] = message.split(" `").collect::<Vec<_>>()[..]
        && let [unknown, known @ ..] = &quoted[..]
    {
        return unknown_key(unknown, known);
    }
    let message = without_rust_types(message);
    let help = if message.contains("expected a string") {
        "write a text in quotes, as in \"5s\", \"64MiB\" or \"127.0.0.1:4000\""
    } else if message.contains(NUMBER) {
        "write a number without quotes, as in 8"
    } else if message.contains(TABLE) {
        "write a table: its keys below a heading, as in [action.NAME], or { KEY = \"VALUE\" }"
    } else if message.starts_with("missing field") {
        "add it: this table requires it"
    } else if message.contains("expected a boolean") {
        "write true or false, without quotes"
    } else if message.contains("expected a sequence") {
        "write a list, as in [\"a\", \"b\"]"
    } else if message.starts_with("invalid type") {
        "examples/soloist.toml shows every key with a value of its type"
    } else {
        "correct the TOML syntax here: one KEY = \"VALUE\" per line, and tables such as [host] or \
         [action.NAME]"
    };
    Problem::new(message.lines().collect::<Vec<_>>().join(": "), help)
}

/// How messages name what serde calls by Rust types.
const NUMBER: &str = "expected a whole number";
const TABLE: &str = "expected a table";

/// `message` without the names of Rust types.
fn without_rust_types(message: &str) -> String {
    let Some((met, expected)) = message.split_once(", expected ") else {
        return message.to_owned();
    };
    let is_number = |it: &str| matches!(it, "i64" | "u64" | "u32" | "u16" | "usize");
    match expected {
        it if is_number(it) => format!("{met}, {NUMBER}"),
        it if it == "a map" || it.starts_with("struct ") => format!("{met}, {TABLE}"),
        _ => message.to_owned(),
    }
}

/// Tables, and those of their keys that people tend to write at the top of a file.
const ELSEWHERE: &[(&str, &[&str])] = &[
    ("lease", &["ttl", "stop_timeout", "drain_timeout"]),
    ("host", &["name", "listen", "advertise", "cooldown"]),
    ("api", &["tokens"]),
];

fn unknown_key(unknown: &str, known: &[&str]) -> Problem {
    if let Some(rename) = renames::find(unknown, known) {
        return rename.problem();
    }
    let all = format!("known here: {}", known.join(", "));
    let elsewhere =
        ELSEWHERE.iter().find(|(table, keys)| keys.contains(&unknown) && known.contains(table));
    let help = match (elsewhere, did_you_mean(unknown, known.iter().copied())) {
        // In soloist.toml this heading would be right.
        _ if unknown == "action" && known.contains(&"schedule") => {
            "this file holds one action's settings: leave out the heading [action.NAME], and \
             write its keys alone"
                .to_owned()
        }
        (Some((table, _)), _) => format!("write it below the heading [{table}]; {all}"),
        (None, Some(question)) => question,
        (None, None) => all,
    };
    Problem::new(format!("unknown key `{unknown}`"), help)
}
