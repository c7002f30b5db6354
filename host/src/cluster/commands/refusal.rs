//! Why a command was not carried out.

use std::{collections::BTreeSet, fmt};

use crate::{store::StoreError, words::with_causes};

/// Why a command was not carried out, and what to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandError {
    /// What kind of obstacle it is.
    pub kind: Obstacle,
    /// What is wrong.
    pub error: String,
    /// What to do next.
    pub help: String,
}

/// What keeps a command from being carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// What it names is not there.
    Missing,
    /// It cannot be done as things stand.
    Refused,
    /// What it needs does not answer.
    Unavailable,
    /// It was begun and is not done yet.
    Late,
}

impl Obstacle {
    /// As the control API puts it (RFC 9110, section 15).
    #[must_use]
    pub const fn code(self) -> u16 {
        match self {
            Self::Missing => 404,
            Self::Refused => 409,
            Self::Unavailable => 503,
            Self::Late => 504,
        }
    }

    /// What another host's answer of this code says.
    pub(in crate::cluster) const fn of_code(code: u16) -> Self {
        match code {
            404 => Self::Missing,
            503 => Self::Unavailable,
            504 => Self::Late,
            _ => Self::Refused,
        }
    }
}

impl CommandError {
    fn new(kind: Obstacle, error: impl Into<String>, help: impl Into<String>) -> Self {
        Self { kind, error: error.into(), help: help.into() }
    }

    pub(super) fn refused(error: impl Into<String>, help: impl Into<String>) -> Self {
        Self::new(Obstacle::Refused, error, help)
    }

    pub(super) fn late(error: impl Into<String>) -> Self {
        let help = "`soloist status` shows how far it has come; ask again if it does not go on";
        Self::new(Obstacle::Late, error, help)
    }

    pub(super) fn unavailable(error: impl Into<String>, help: impl Into<String>) -> Self {
        Self::new(Obstacle::Unavailable, error, help)
    }

    pub(super) fn unknown_cluster() -> Self {
        Self::unavailable(
            "this host has not seen the store yet",
            "ask again when it has, or ask another host; /readyz says what is in its way",
        )
    }

    pub(super) fn store(error: &StoreError) -> Self {
        let help = "ask again when the store answers; nothing is known to have changed";
        Self::unavailable(with_causes(error), help)
    }

    pub(super) fn no_group(name: &str, known: &BTreeSet<&str>) -> Self {
        Self::new(
            Obstacle::Missing,
            format!("there is no group `{name}`"),
            format!("the groups are {}", listed(known)),
        )
    }

    pub(super) fn no_host(name: &str, known: &BTreeSet<&str>) -> Self {
        Self::new(
            Obstacle::Missing,
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
