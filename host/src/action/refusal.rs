//! Why a client does not get what a guest answers.

use ::http::StatusCode;
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;

use crate::capability::Shut;

/// Why the guest's answer is not what the client gets.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("{0}; ask again, the next leader answers")]
    Shut(#[from] Shut),
    #[error("too many requests at once; ask again in a moment")]
    Busy,
    #[error("the request names no valid host; send a `host` header")]
    NoHost,
    #[error("the plugin did not begin to answer in time")]
    Late,
    #[error("the plugin failed before it answered; the log of this host says why")]
    Failed,
    #[error("the plugin answered with an error: {0}")]
    Error(ErrorCode),
}

impl Refusal {
    /// The status of the response that says so.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Shut(_) | Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::NoHost => StatusCode::BAD_REQUEST,
            Self::Late => StatusCode::GATEWAY_TIMEOUT,
            Self::Failed | Self::Error(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}
