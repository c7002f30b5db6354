//! Where the control API gets its status from.

use super::status::Status;

/// Provides what the control API reports.
pub trait StatusSource: Send + Sync + 'static {
    /// The cluster as this host sees it now.
    fn status(&self) -> Status;

    /// The measurements of this host, in Prometheus' text format.
    fn metrics(&self) -> String;

    /// Whether plugins are prepared and the session in the store is live.
    ///
    /// # Errors
    /// Says what is missing.
    fn ready(&self) -> Result<(), String>;
}
