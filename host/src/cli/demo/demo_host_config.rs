//! The settings of each host of a demo.

use std::path::PathBuf;

use owo_colors::AnsiColors;

/// The settings of one host of the demo.
#[derive(Clone, Debug)]
pub(super) struct DemoHostConfig {
    pub(super) name: &'static str,
    pub(super) port: u16,
    pub(super) color: AnsiColors,
    pub(super) settings: PathBuf,
    pub(super) store: String,
    pub(super) plugins: PathBuf,
}

impl DemoHostConfig {
    /// The URL of its control API.
    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}
