//! `max_restarts` and `window`: when a service that keeps ending counts as failed.

use std::time::Duration;

use super::{resolver::Resolver, settings_file::ActionTable};

const MAX_RESTARTS: usize = 4;
const WINDOW: Duration = Duration::from_secs(60);

/// How often a service is restarted before its action has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestartLimit {
    /// The greatest number of restarts within `window`.
    pub max_restarts: usize,
    /// The period over which restarts are counted. A service that ran this long has run well.
    pub window: Duration,
}

impl Default for RestartLimit {
    fn default() -> Self {
        Self { max_restarts: MAX_RESTARTS, window: WINDOW }
    }
}

/// The limit of `table`; `None` after reporting what is wrong.
pub(super) fn read(resolver: &mut Resolver<'_>, table: &ActionTable) -> Option<RestartLimit> {
    let max_restarts = resolver.bounded(table.max_restarts.as_ref(), MAX_RESTARTS);
    let window = resolver.bounded(table.window.as_ref(), WINDOW);
    Some(RestartLimit { max_restarts: max_restarts?, window: window? })
}
