//! `max_restarts` and `window`: when a service that keeps ending has failed.

use std::time::Duration;

use super::{file::ActionTable, problem::Problem, resolver::Resolver, value};

const MAX_RESTARTS: usize = 4;
const WINDOW: &str = "1m";

/// How often a service is started again before its action has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// So often, at most,
    pub max_restarts: usize,
    /// within so long. An action that has run for this long has run well.
    pub window: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { max_restarts: MAX_RESTARTS, window: Duration::from_secs(60) }
    }
}

/// The patience of `table`, or nothing after taking down what is wrong.
pub(super) fn read(resolver: &mut Resolver<'_>, table: &ActionTable) -> Option<Patience> {
    let window = resolver.written(table.window.clone(), WINDOW);
    let max_restarts = resolver.number(table.max_restarts.clone(), MAX_RESTARTS, 0..=1000);
    let window = resolver.read(&window, in_range);
    Some(Patience { max_restarts: max_restarts?, window: window? })
}

fn in_range(text: &str) -> Result<Duration, Problem> {
    const MIN: Duration = Duration::from_secs(1);
    const MAX: Duration = Duration::from_secs(24 * 3600);
    value::span_within(text, MIN..=MAX, "write a span from 1s to 24h")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::file::Source;

    #[test]
    fn what_is_not_written_is_the_default() {
        let source = Source::none(std::path::Path::new(""));
        let mut resolver = Resolver::new(&source);
        assert_eq!(read(&mut resolver, &ActionTable::default()), Some(Patience::default()));
    }
}
