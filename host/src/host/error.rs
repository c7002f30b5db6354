//! Why a host does not start.

use std::{io, net::SocketAddr};

use metrics_exporter_prometheus::BuildError;
use tokio::task::JoinError;

use crate::api::AccessControlError;
use soloist_guests::plugin::EngineError;
use soloist_stores::StoreError;
use soloist_tls::TlsError;
use soloist_trace::TracesError;

/// Why a host did not start.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The machine does not give what the engine needs.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// An action cannot be prepared, of a host that is to have all of them.
    #[error("{reason}")]
    Action {
        /// Why not.
        reason: String,
    },
    /// The control API cannot listen.
    #[error(
        "the control API cannot listen on {listen}: end the program that listens there, or \
         choose another address by `listen` in [host] or --listen"
    )]
    Listen {
        /// The address.
        listen: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The certificates of the control API cannot be used.
    #[error(transparent)]
    Tls(TlsError),
    /// Traces cannot be exported.
    #[error(transparent)]
    Traces(TracesError),
    /// Nobody can be let in to the control API.
    #[error(transparent)]
    AccessControl(AccessControlError),
    /// The store refused this host, or is none.
    #[error(transparent)]
    Store(StoreError),
    /// The system has no thread, runtime or socket to give.
    #[error(
        "the system gave no thread or socket: lift this user's limits (`ulimit -u`, `ulimit -n`)"
    )]
    System(#[source] io::Error),
    /// Nothing can be measured; this is a fault of soloist's.
    #[error("the metrics could not be set up; please report this")]
    Measurements(#[source] BuildError),
    /// A part of the start broke down; this is a fault of soloist's.
    #[error("the start broke down; please report this")]
    Broken(#[source] JoinError),
}

/// Who has to mend it; decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCategory {
    /// The configuration, or a plugin, must be mended.
    Configuration,
    /// Something that the host needs is not there.
    Unavailable,
    /// Soloist itself.
    Internal,
}

impl HostError {
    /// Who has to mend it.
    #[must_use]
    pub fn category(&self) -> ErrorCategory {
        match self {
            Self::Store(error) if error.is_transient() => ErrorCategory::Unavailable,
            Self::Action { .. }
            | Self::Store(_)
            | Self::Tls(_)
            | Self::Traces(_)
            | Self::AccessControl(_) => ErrorCategory::Configuration,
            Self::Engine(EngineError::Linker { .. }) | Self::Measurements(_) | Self::Broken(_) => {
                ErrorCategory::Internal
            }
            Self::Engine(_) | Self::Listen { .. } | Self::System(_) => ErrorCategory::Unavailable,
        }
    }
}
