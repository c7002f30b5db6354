//! Who plays in a demo, and where.

use std::path::PathBuf;

use owo_colors::AnsiColors;

/// What a host of the demo is told.
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
    /// Where its control API answers.
    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}
