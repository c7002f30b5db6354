//! Errors of `wasi:keyvalue`.

use wasmtime::component::ResourceTableError;

/// Why a call failed, as the guest sees it.
#[expect(unreachable_pub, reason = "the generated code re-exports it")]
#[derive(Debug)]
pub enum KeyvalueError {
    /// The action has no such bucket.
    NoSuchStore,
    /// The settings do not grant any state.
    AccessDenied,
    /// Any other failure.
    Other(String),
}

impl From<ResourceTableError> for KeyvalueError {
    fn from(error: ResourceTableError) -> Self {
        Self::Other(error.to_string())
    }
}
