//! The errors of commands, with what people can do next.

use std::{collections::BTreeSet, fmt};

use soloist_stores::StoreError;
use soloist_text::{rfc3339, with_causes};

/// Why a command was not carried out, and what people can do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandError {
    /// The kind, which decides the status code.
    pub kind: CommandErrorKind,
    /// What is wrong, as a text for people.
    pub error: String,
    /// What people can do about it.
    pub help: String,
}

/// The kinds of errors of commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandErrorKind {
    /// There is no such group or host.
    NotFound,
    /// The state of the cluster does not allow it.
    Refused,
    /// The store or the leader does not answer.
    Unavailable,
    /// It was started, and has not finished in time.
    Timeout,
}

impl CommandErrorKind {
    /// The status code in the control API (RFC 9110, section 15).
    #[must_use]
    pub const fn code(self) -> u16 {
        match self {
            Self::NotFound => 404,
            Self::Refused => 409,
            Self::Unavailable => 503,
            Self::Timeout => 504,
        }
    }

    /// The kind of an error that another host responded with by this status code.
    pub(in crate::cluster) const fn of_code(code: u16) -> Self {
        match code {
            404 => Self::NotFound,
            503 => Self::Unavailable,
            504 => Self::Timeout,
            _ => Self::Refused,
        }
    }
}

impl CommandError {
    fn new(kind: CommandErrorKind, error: impl Into<String>, help: impl Into<String>) -> Self {
        Self { kind, error: error.into(), help: help.into() }
    }

    pub(super) fn refused(error: impl Into<String>, help: impl Into<String>) -> Self {
        Self::new(CommandErrorKind::Refused, error, help)
    }

    /// The command was started and goes on; the command `undo` takes it back.
    pub(super) fn timeout(error: impl Into<String>, undo: &str) -> Self {
        let help = format!(
            "`soloist status` shows how far it has come; run the command again if nothing happens, \
             or undo it: {undo}"
        );
        Self::new(CommandErrorKind::Timeout, error, help)
    }

    /// It is not known whether the command was carried out; the command `undo` takes it back.
    pub(super) fn in_doubt(error: impl Into<String>, undo: &str) -> Self {
        let help = format!(
            "it may have been done nevertheless: `soloist status` shows whether, when the store \
             answers; then run the command again, or undo it: {undo}"
        );
        Self::unavailable(error, help)
    }

    pub(super) fn unavailable(error: impl Into<String>, help: impl Into<String>) -> Self {
        Self::new(CommandErrorKind::Unavailable, error, help)
    }

    /// This host does not know the state of the cluster. It did until `seen` (milliseconds of Unix
    /// time), if it ever did.
    pub(super) fn unknown_cluster(seen: Option<u64>) -> Self {
        let error = match seen {
            Some(seen) => format!("this host has not heard of the store since {}", rfc3339(seen)),
            None => "this host has not seen the store yet".to_owned(),
        };
        let help = "nothing has changed; try again later, or ask another host; /readyz of this \
                    host shows the reason";
        Self::unavailable(error, help)
    }

    /// A write to the store failed, or may have; the command `undo` takes it back.
    pub(super) fn store(error: &StoreError, undo: &str) -> Self {
        if error.is_transient() {
            return Self::in_doubt(with_causes(error), undo);
        }
        Self::unavailable(
            with_causes(error),
            "correct that, and run the command again; nothing has changed",
        )
    }

    pub(super) fn no_group(name: &str, known: &BTreeSet<&str>) -> Self {
        Self::new(
            CommandErrorKind::NotFound,
            format!("there is no group `{name}`"),
            format!("the groups are {}", listed(known)),
        )
    }

    pub(super) fn no_host(name: &str, known: &BTreeSet<&str>) -> Self {
        Self::new(
            CommandErrorKind::NotFound,
            format!("there is no host `{name}`"),
            format!("the hosts are {}", listed(known)),
        )
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.error)
    }
}

impl std::error::Error for CommandError {}

fn listed(names: &BTreeSet<&str>) -> String {
    if names.is_empty() {
        return "none yet".to_owned();
    }
    names.iter().copied().collect::<Vec<_>>().join(", ")
}
