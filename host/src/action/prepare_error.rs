//! Why an action cannot be run here.

use std::sync::Arc;

use soloist_config::StandbyMode;
use soloist_guests::plugin::{Kind, Kinds, PluginError};
use soloist_tls::TlsError;

/// Why an action cannot be prepared.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// Its plugin is nothing that this host can run.
    #[error(transparent)]
    Plugin(#[from] PluginError),
    /// Its certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// It has a schedule, and nothing that could be run by it.
    #[error(
        "the action {action} has a schedule and no program to run: its plugin exports no \
         `wasi:cli/run`; drop `schedule`, or give the plugin a `main`"
    )]
    NoProgram {
        /// The action.
        action: Arc<str>,
    },
    /// It is to be what its plugin is not.
    #[error(
        "the action {action} is to be run as {kind}, and its plugin can be run as {offered}: drop \
         `{kind}` from `kinds`, or put the right plugin there"
    )]
    NotOffered {
        /// The action.
        action: Arc<str>,
        /// What it is to be.
        kind: Kind,
        /// What its plugin can be.
        offered: Kinds,
    },
    /// Standbys are to do something with its requests, and it takes none.
    #[error(
        "the action {action} answers no requests, so standbys cannot {standby} them: drop `standby`"
    )]
    NoRequests {
        /// The action.
        action: Arc<str>,
        /// What standbys should do.
        standby: StandbyMode,
    },
}

impl PrepareError {
    /// The key of the settings that is about it.
    pub(crate) fn key(&self) -> &'static str {
        match self {
            Self::Plugin(_) => "plugin",
            Self::Tls(_) => "tls",
            Self::NoProgram { .. } => "schedule",
            Self::NotOffered { .. } => "kinds",
            Self::NoRequests { .. } => "standby",
        }
    }

    /// Whether the same file under the same settings may be taken at another time.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Plugin(PluginError::Read { .. } | PluginError::CompileProcess { .. })
            | Self::Tls(_) => true,
            Self::Plugin(_)
            | Self::NoProgram { .. }
            | Self::NotOffered { .. }
            | Self::NoRequests { .. } => false,
        }
    }
}
