//! How a request to another host failed, by what may have reached that host.

/// How a request to another host failed, with the reason.
#[derive(Debug)]
pub(super) enum ForwardError {
    /// Nothing of the request was sent, so it is safe to send it again.
    Unreachable(String),
    /// The request, or a part of it, was sent before the connection failed.
    Broken(String),
}
