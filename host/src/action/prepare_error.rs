//! Why an action cannot run on this host.

use std::sync::Arc;

use soloist_config::StandbyMode;
use soloist_guests::plugin::{Kind, Kinds, PluginError};
use soloist_tls::TlsError;

/// Why an action cannot be prepared.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// This host cannot run its plugin.
    #[error(transparent)]
    Plugin(#[from] PluginError),
    /// Its certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// It has a schedule, and its plugin has no program to run.
    #[error(
        "the action {action} has a schedule and no program to run: its plugin exports no \
         `wasi:cli/run`; drop `schedule`, or give the plugin a `main`"
    )]
    NoProgram {
        /// The action.
        action: Arc<str>,
    },
    /// The settings ask for a kind that its plugin does not export.
    #[error(
        "the action {action} is to be run as {kind}, and its plugin can be run as {offered}: drop \
         `{kind}` from `kinds`, or put the right plugin there"
    )]
    NotOffered {
        /// The action.
        action: Arc<str>,
        /// The kind that the settings ask for.
        kind: Kind,
        /// The kinds that its plugin exports.
        offered: Kinds,
    },
    /// Standbys should handle its requests, and it takes none.
    #[error(
        "the action {action} answers no requests, so standbys cannot {standby} them: drop `standby`"
    )]
    NoRequests {
        /// The action.
        action: Arc<str>,
        /// What standbys should do with requests.
        standby: StandbyMode,
    },
}

impl PrepareError {
    /// The settings key that the error is about.
    pub(crate) fn key(&self) -> &'static str {
        match self {
            Self::Plugin(_) => "plugin",
            Self::Tls(_) => "tls",
            Self::NoProgram { .. } => "schedule",
            Self::NotOffered { .. } => "kinds",
            Self::NoRequests { .. } => "standby",
        }
    }

    /// Whether the same file with the same settings might be accepted later.
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
