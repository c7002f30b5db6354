//! How far a command has come, for a person at a terminal.

use std::time::Duration;

use crate::cli::terminal::ProgressLine;
use soloist_heart::clock::BootTime;

/// How often the line changes.
const EVERY: Duration = Duration::from_millis(100);

/// A line on the terminal with the number of records, which is gone when this is dropped.
pub(super) struct Progress {
    line: Option<ProgressLine>,
    done: &'static str,
    of: Option<u64>,
    shown: Option<BootTime>,
}

impl Progress {
    /// Shows how many records are `done`. Without a terminal it shows nothing.
    pub(super) fn new(done: &'static str) -> Self {
        Self { line: ProgressLine::begin(), done, of: None, shown: None }
    }

    /// The same for a number that is known.
    pub(super) fn of(self, total: u64) -> Self {
        Self { of: Some(total), ..self }
    }

    pub(super) fn show(&mut self, count: u64) {
        let (Some(line), now) = (&mut self.line, BootTime::now()) else { return };
        if self.shown.is_some_and(|shown| now.since(shown) < EVERY) {
            return;
        }
        self.shown = Some(now);
        let of = self.of.map_or_else(String::new, |total| format!(" of {total}"));
        line.show(&format!("{count}{of} records {}", self.done));
    }
}
