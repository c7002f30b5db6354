//! The shape of `soloist.toml`, before anything in it is judged.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::{Deserialize, de::DeserializeOwned};
use toml::Spanned;

use super::problem::{Excerpt, Place, Problem};

/// A text of the file that knows where it stands.
pub(super) type Text = Spanned<String>;

/// `soloist.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct File {
    pub(super) cluster: Option<Text>,
    pub(super) store: Option<Text>,
    pub(super) plugins: Option<Text>,
    pub(super) host: HostTable,
    pub(super) lease: LeaseTable,
    pub(super) group: BTreeMap<Text, GroupTable>,
    pub(super) action: BTreeMap<Text, ActionTable>,
}

/// `[host]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct HostTable {
    pub(super) name: Option<Text>,
    pub(super) listen: Option<Text>,
    pub(super) advertise: Option<Text>,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) priority: i64,
}

/// `[group.NAME]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct GroupTable {
    pub(super) strategy: Option<Text>,
    pub(super) prefer: Vec<Text>,
    pub(super) avoid: Vec<Text>,
    pub(super) preempt: bool,
    pub(super) settle: Option<Text>,
    pub(super) spread: bool,
}

/// `[lease]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LeaseTable {
    pub(super) ttl: Option<Text>,
    pub(super) stop: Option<Text>,
    pub(super) drain: Option<Text>,
    pub(super) cool_down: Option<Text>,
}

/// `[action.NAME]`, or the whole of `NAME.toml` in the plugins folder.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ActionTable {
    pub(super) plugin: Option<Text>,
    pub(super) group: Option<Text>,
    pub(super) listen: Option<Text>,
    pub(super) path: Option<Text>,
    pub(super) tls: Option<TlsTable>,
    pub(super) standby: Option<Text>,
    pub(super) hold: Option<Text>,
    pub(super) restart: Option<Text>,
    pub(super) max_restarts: Option<Spanned<i64>>,
    pub(super) window: Option<Text>,
    pub(super) schedule: Option<Text>,
    pub(super) zone: Option<Text>,
    pub(super) jitter: Option<Text>,
    pub(super) missed: Option<Text>,
    pub(super) concurrency: Option<Text>,
    pub(super) retries: Option<Spanned<i64>>,
    pub(super) requests: Option<Spanned<i64>>,
    pub(super) instances: Option<Text>,
    pub(super) max_reuse: Option<Spanned<i64>>,
    pub(super) max_idle: Option<Text>,
    pub(super) queue: Option<Spanned<i64>>,
    pub(super) first_byte: Option<Text>,
    pub(super) request_timeout: Option<Text>,
    pub(super) hook_timeout: Option<Text>,
    pub(super) body: Option<Text>,
    pub(super) memory: Option<Text>,
    pub(super) cpu: Option<Spanned<i64>>,
    pub(super) log: Option<Text>,
    pub(super) on: Option<Text>,
    pub(super) idempotent: bool,
    pub(super) timeout: Option<Text>,
    pub(super) max_attempts: Option<Spanned<i64>>,
    pub(super) keep: Option<Text>,
    pub(super) max_queued: Option<Spanned<i64>>,
    pub(super) payload: Option<Text>,
    pub(super) tasks: Vec<Text>,
    pub(super) state: bool,
    pub(super) outbound: Vec<Text>,
    pub(super) sockets: Vec<Text>,
    pub(super) outbound_private: bool,
    pub(super) outbound_token: Option<bool>,
    pub(super) folders: Vec<FolderTable>,
    pub(super) args: Vec<Text>,
    pub(super) env: BTreeMap<Text, Text>,
    pub(super) secrets: BTreeMap<Text, Text>,
    pub(super) config: BTreeMap<Text, Text>,
}

/// `tls`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TlsTable {
    pub(super) cert: Text,
    pub(super) key: Text,
}

/// An entry of `folders`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FolderTable {
    pub(super) from: Text,
    pub(super) at: Text,
    #[serde(default)]
    pub(super) write: bool,
}

/// The text of a settings file, to point into.
#[derive(Clone, Debug)]
pub(super) struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    /// Reads the file at `path`.
    pub(super) fn open(path: PathBuf) -> std::io::Result<Self> {
        Ok(Self { text: std::fs::read_to_string(&path)?, path })
    }

    /// The source where there is no file: one in `folder` that says nothing.
    pub(super) fn none(folder: &Path) -> Self {
        Self { path: folder.join("soloist.toml"), text: String::new() }
    }

    /// The folder that the paths in the file start from.
    pub(super) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// Where `value` stands.
    pub(super) fn place<T>(&self, value: &Spanned<T>) -> Place {
        self.excerpt(value.span())
    }

    fn excerpt(&self, span: std::ops::Range<usize>) -> Place {
        Place::File(Excerpt::new(&self.path.display().to_string(), &self.text, span))
    }

    /// Reads the file's shape.
    pub(super) fn parse<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        toml::from_str(&self.text).map_err(|error| {
            let place = error.span().map(|span| self.excerpt(span));
            misshapen(error.message()).at(place)
        })
    }
}

/// The problem that serde or the TOML reader describes in `message`.
fn misshapen(message: &str) -> Problem {
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    if let ["unknown field", ..] = message.split(" `").collect::<Vec<_>>()[..]
        && let [unknown, known @ ..] = &quoted[..]
    {
        return unknown_key(unknown, known);
    }
    let help = if message.contains("expected a string") {
        "write a text in quotes, as in \"5s\" or \"127.0.0.1:4000\""
    } else if message.starts_with("invalid type") {
        "examples/soloist.toml shows every key with a value of its type"
    } else {
        "mend the TOML here: KEY = \"VALUE\" a line, tables as [host] or [action.NAME]"
    };
    Problem::new(message.lines().collect::<Vec<_>>().join(": "), help)
}

fn unknown_key(unknown: &str, known: &[&str]) -> Problem {
    let all = format!("known here: {}", known.join(", "));
    let help = match nearest(unknown, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`? {all}"),
        None => all,
    };
    Problem::new(format!("unknown key `{unknown}`"), help)
}

/// The one of `known` that a slip of the hand may have turned into `word`.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let slips = (word.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|near| (strsim::damerau_levenshtein(word, near), near))
        .filter(|&(distance, _)| distance <= slips)
        .min()
        .map(|(_, near)| near)
}
