//! Where the control API learns what it says.

use super::status::Status;

/// Where the control API learns what it says.
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
