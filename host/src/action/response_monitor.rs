//! Follows responses to their end.

use super::{access_log::RequestLine, response_abort::ResponseAbort};
use soloist_leadership::Gate;

/// Is told how a response ends.
pub(super) trait ResponseMonitor: Send + Sync {
    /// The gate of the term that answers.
    fn gate(&self) -> &Gate;

    /// The guest did not fail, but broke off its response.
    fn response_aborted(&self, request: &RequestLine, abort: &ResponseAbort);
}
