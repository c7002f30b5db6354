//! Where the database is and how it is opened.

use std::{path::PathBuf, sync::Arc, time::Duration};

use crate::identity::StoreHistory;

/// Where the database is and how it is opened.
#[derive(Clone)]
pub(super) struct SqliteConfig {
    pub(super) path: PathBuf,
    pub(super) cluster: Arc<str>,
    /// What is known of the store.
    pub(super) history: Arc<StoreHistory>,
    /// How long a call waits for another process's lock.
    pub(super) busy: Duration,
}
