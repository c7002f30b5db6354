//! The errors by which the start of a host fails.

use std::{io, net::SocketAddr};

use metrics_exporter_prometheus::BuildError;
use tokio::task::JoinError;

use crate::api::AccessControlError;
use soloist_guests::plugin::EngineError;
use soloist_stores::StoreError;
use soloist_tls::TlsError;
use soloist_trace::TracesError;

/// Why a host could not start.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The machine does not have what the plugin engine needs.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// An action cannot be prepared, and the host is to start with all of them or not at all.
    #[error("{reason}")]
    Action {
        /// Why the action cannot be prepared.
        reason: String,
    },
    /// The control API cannot listen.
    #[error(
        "the control API cannot listen on {listen}: end the program that listens there, or \
         choose another address by `listen` in [host] or --listen"
    )]
    Listen {
        /// The address in the settings.
        listen: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
    /// The certificates of the control API cannot be used.
    #[error(transparent)]
    Tls(TlsError),
    /// Traces cannot be exported.
    #[error(transparent)]
    Traces(TracesError),
    /// The access settings of the control API cannot be used.
    #[error(transparent)]
    AccessControl(AccessControlError),
    /// The store refused this host, or is not usable as one.
    #[error(transparent)]
    Store(StoreError),
    /// The system gave no thread, runtime or socket.
    #[error(
        "the system gave no thread or socket: lift this user's limits (`ulimit -u`, `ulimit -n`)"
    )]
    System(#[source] io::Error),
    /// Metrics could not be set up; this is a bug in soloist.
    #[error("the metrics could not be set up; please report this")]
    Measurements(#[source] BuildError),
    /// A part of the start panicked; this is a bug in soloist.
    #[error("the start broke down; please report this")]
    Broken(#[source] JoinError),
}

/// What kind of error kept the host from starting; decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCategory {
    /// The settings are wrong.
    Configuration,
    /// A plugin cannot be used.
    Plugin,
    /// Something that the host needs is not available.
    Unavailable,
    /// A bug in soloist.
    Internal,
}

impl HostError {
    /// The category of the error.
    #[must_use]
    pub fn category(&self) -> ErrorCategory {
        match self {
            Self::Action { .. } => ErrorCategory::Plugin,
            Self::Tls(_) | Self::Traces(_) | Self::AccessControl(_) => ErrorCategory::Configuration,
            Self::Engine(EngineError::Linker { .. }) | Self::Measurements(_) | Self::Broken(_) => {
                ErrorCategory::Internal
            }
            // Also of a store that refuses this host: an operator can end that in the store.
            Self::Store(_) | Self::Engine(_) | Self::Listen { .. } | Self::System(_) => {
                ErrorCategory::Unavailable
            }
        }
    }
}
