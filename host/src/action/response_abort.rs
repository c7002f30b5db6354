//! Why a response is cut off.

use wasmtime_wasi_http::Error;

use soloist_leadership::GateShut;

/// Why a response was cut off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResponseAbort {
    #[error("{0}")]
    GateShut(#[from] GateShut),
    #[error("the plugin failed before its response was complete")]
    GuestFailed,
    #[error("the plugin dropped its body, or the body does not have the length that it declared")]
    BodyFailed(#[source] Error),
    #[error("{0} bytes are missing of those that `content-length` had promised")]
    TooShort(u64),
}
