//! How a request to another host has failed.

/// How a request to another host has failed.
#[derive(Debug)]
pub(super) enum ForwardError {
    /// Nothing of it was sent.
    Unreachable(String),
    /// It was sent, or a part of it.
    Broken(String),
}
