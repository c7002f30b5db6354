//! `max_restarts` and `restart_window`: when a service that keeps ending counts as failed.

use std::time::Duration;

use super::{resolver::Resolver, settings_file::ActionTable};

const MAX_RESTARTS: usize = 4;
const RESTART_WINDOW: Duration = Duration::from_secs(60);

/// How often a service is restarted before its action has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestartLimit {
    /// The greatest number of restarts within `restart_window`.
    pub max_restarts: usize,
    /// The period over which restarts are counted. A service that ran this long has run well.
    pub restart_window: Duration,
}

impl Default for RestartLimit {
    fn default() -> Self {
        Self { max_restarts: MAX_RESTARTS, restart_window: RESTART_WINDOW }
    }
}

/// The limit of `table`; `None` after reporting what is wrong.
pub(super) fn read(resolver: &mut Resolver<'_>, table: &ActionTable) -> Option<RestartLimit> {
    let max_restarts = resolver.bounded(table.max_restarts.as_ref(), MAX_RESTARTS);
    let restart_window = resolver.bounded(table.restart_window.as_ref(), RESTART_WINDOW);
    Some(RestartLimit { max_restarts: max_restarts?, restart_window: restart_window? })
}
