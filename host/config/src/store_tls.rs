//! TLS between a host and etcd.

use std::{path::PathBuf, sync::Arc};

use super::TlsFiles;

/// TLS between a host and etcd.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreTls {
    /// The authority that signed the members' certificates; by default the public ones.
    pub ca: Option<PathBuf>,
    /// The client certificate for members that ask for one.
    pub own: Option<Arc<TlsFiles>>,
}
