//! Whom of etcd a host believes, and what it shows there.

use std::{path::PathBuf, sync::Arc};

use super::TlsFiles;

/// TLS to etcd.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreTls {
    /// Who has signed what its members show; by default those that browsers trust.
    pub ca: Option<PathBuf>,
    /// What is shown to them, if they ask for it.
    pub own: Option<Arc<TlsFiles>>,
}
