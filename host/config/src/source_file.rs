//! The text of a settings file: its shape, and where in it something stands.

use std::{
    borrow::Cow,
    path::{Path, PathBuf},
};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, de::DeserializeOwned};

use super::{
    problem::{Excerpt, Location, Problem},
    small_file,
};

/// A value of the file that knows where it stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(transparent)]
pub(super) struct Located<T>(toml::Spanned<T>);

impl<T> Located<T> {
    /// `value`, which stands at `span`.
    pub(super) fn new(span: std::ops::Range<usize>, value: T) -> Self {
        Self(toml::Spanned::new(span, value))
    }

    /// Where it stands.
    pub(super) fn span(&self) -> std::ops::Range<usize> {
        self.0.span()
    }

    /// The value.
    pub(super) fn get_ref(&self) -> &T {
        self.0.get_ref()
    }

    /// The value alone.
    pub(super) fn into_inner(self) -> T {
        self.0.into_inner()
    }
}

/// In the schema it is the value: where that stands is nobody's to write.
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

/// The text of a settings file, to point into.
#[derive(Clone, Debug)]
pub(super) struct SourceFile {
    path: PathBuf,
    /// What messages call it, if not by its path.
    shown: Option<&'static str>,
    text: String,
    /// Where its lines end: of thousands of settings each says where it stands.
    ends: Vec<usize>,
}

impl SourceFile {
    /// Reads the file at `path`, which somebody has named: it may be a pipe.
    pub(super) fn open_named(path: PathBuf) -> std::io::Result<Self> {
        let text = small_file::read_named(&path)?;
        Ok(Self::new(path, text))
    }

    /// The source of what the file at `path` holds.
    pub(super) fn new(path: PathBuf, text: String) -> Self {
        let ends = text.match_indices('\n').map(|(at, _)| at).collect();
        Self { path, shown: None, text, ends }
    }

    /// Reads what has to be a file.
    pub(super) fn open_file(path: PathBuf) -> std::io::Result<Self> {
        let text = small_file::read_text(&path)?;
        Ok(Self::new(path, text))
    }

    /// The source where there is no file: one in `folder` that says nothing.
    pub(super) fn empty(folder: &Path) -> Self {
        Self::new(folder.join("soloist.toml"), String::new())
    }

    /// The same, called otherwise in messages, if so.
    pub(super) fn shown_as(self, shown: Option<&'static str>) -> Self {
        Self { shown, ..self }
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The folder that the paths in the file start from.
    pub(super) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// Where `value` stands.
    pub(super) fn place<T>(&self, value: &Located<T>) -> Location {
        Location::File(self.excerpt(value.span()))
    }

    /// What stands at `span`.
    pub(super) fn excerpt(&self, span: std::ops::Range<usize>) -> Excerpt {
        let line = self.ends.partition_point(|end| *end < span.start) + 1;
        let file = self.shown.map_or_else(|| self.path.display().to_string(), ToOwned::to_owned);
        Excerpt::new(&file, &self.text, line, span)
    }

    /// Its text.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Reads the file's shape, and stops at the first mistake.
    pub(super) fn parse<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        toml::from_str(&self.text).map_err(|error| self.describe_error(&error))
    }

    /// What a reader of the text has found to be wrong with it.
    pub(super) fn describe_error(&self, error: &toml::de::Error) -> Problem {
        let place = error.span().map(|span| Location::File(self.excerpt(span)));
        shape_problem(error.message()).at(place)
    }
}

/// The problem that serde or the TOML reader describes in `message`.
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
        "add it: this is nothing without it"
    } else if message.contains("expected a boolean") {
        "write true or false, without quotes"
    } else if message.contains("expected a sequence") {
        "write a list, as in [\"a\", \"b\"]"
    } else if message.starts_with("invalid type") {
        "examples/soloist.toml shows every key with a value of its type"
    } else {
        "mend the TOML here: KEY = \"VALUE\" a line, tables as [host] or [action.NAME]"
    };
    Problem::new(message.lines().collect::<Vec<_>>().join(": "), help)
}

/// What TOML calls what serde calls by the names of Rust.
const NUMBER: &str = "expected a whole number";
const TABLE: &str = "expected a table";

/// `message` without the names of Rust's types.
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

/// Tables, and keys of theirs that people write at the top of a file.
const ELSEWHERE: &[(&str, &[&str])] = &[
    ("lease", &["ttl", "drain", "stop", "cool_down"]),
    ("host", &["name", "listen", "advertise"]),
    ("api", &["tokens"]),
];

fn unknown_key(unknown: &str, known: &[&str]) -> Problem {
    let all = format!("known here: {}", known.join(", "));
    let elsewhere =
        ELSEWHERE.iter().find(|(table, keys)| keys.contains(&unknown) && known.contains(table));
    let help = match (elsewhere, nearest(unknown, known.iter().copied())) {
        // `[action.NAME]` is what it is called in soloist.toml.
        _ if unknown == "action" && known.contains(&"schedule") => {
            "this file holds one action's settings: leave out the heading [action.NAME], and \
             write its keys alone"
                .to_owned()
        }
        (Some((table, _)), _) => format!("write it below the heading [{table}]; {all}"),
        (None, Some(near)) => format!("did you mean `{near}`? {all}"),
        (None, None) => all,
    };
    Problem::new(format!("unknown key `{unknown}`"), help)
}

/// The one of `known` that a slip of the hand may have turned into `word`.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let slips = (word.chars().count() / 3).max(1);
    let word = word.to_lowercase();
    known
        .into_iter()
        .map(|near| (strsim::damerau_levenshtein(&word, near), near))
        .filter(|&(distance, _)| distance <= slips)
        .min()
        .map(|(_, near)| near)
}
