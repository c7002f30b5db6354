//! How the calls of a task are dealt with.

use std::time::Duration;

use super::{
    file::ActionTable,
    group::Label,
    limits::{patience, size_within},
    resolver::Resolver,
    value,
};

const TIMEOUT: &str = "30s";
const MAX_ATTEMPTS: usize = 5;
const KEEP: &str = "1h";
const KEEP_MAX: Duration = Duration::from_secs(30 * 24 * 3600);
const MAX_QUEUED: usize = 10_000;
const PAYLOAD: &str = "256KiB";
/// etcd takes requests of 1.5 MiB (`--max-request-bytes`).
const PAYLOAD_MAX: u64 = 1 << 20;

/// The settings of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskConfig {
    /// Which hosts may do it; every host, if that is not said.
    pub on: Option<Label>,
    /// Whether a call may be done twice, so that it is tried again when its host is lost.
    pub idempotent: bool,
    /// How long a call may take, and each attempt at a cast.
    pub timeout: Duration,
    /// After how many attempts a cast is given up.
    pub max_attempts: u32,
    /// How long the results of casts are kept.
    pub keep: Duration,
    /// How many casts may wait for their turn.
    pub max_queued: usize,
    /// The payload of a cast, in bytes at most.
    pub payload: u64,
}

impl Default for TaskConfig {
    fn default() -> Self {
        Self {
            on: None,
            idempotent: false,
            timeout: Duration::from_secs(30),
            max_attempts: 5,
            keep: Duration::from_secs(3600),
            max_queued: MAX_QUEUED,
            payload: 256 << 10,
        }
    }
}

/// The settings in `table`, or nothing after taking down what is wrong with them.
pub(super) fn read(resolver: &mut Resolver<'_>, table: &ActionTable) -> Option<TaskConfig> {
    let on = match &table.on {
        Some(text) => {
            let setting = resolver.written(Some(text.clone()), "");
            resolver.read(&setting, Label::parse).map(Some)
        }
        None => Some(None),
    };
    // With a schedule, it is that of the job.
    let timeout = table.timeout.clone().filter(|_| table.schedule.is_none());
    let timeout = resolver.written(timeout, TIMEOUT);
    let timeout = resolver.read(&timeout, patience);
    let max_attempts = resolver.number(table.max_attempts.clone(), MAX_ATTEMPTS, 1..=1000);
    let keep = resolver.written(table.keep.clone(), KEEP);
    let keep = resolver.read(&keep, |text| {
        let help = "write a span from 1s to 30days";
        value::span_within(text, Duration::from_secs(1)..=KEEP_MAX, help)
    });
    let max_queued = resolver.number(table.max_queued.clone(), MAX_QUEUED, 0..=1_000_000);
    let payload = resolver.written(table.payload.clone(), PAYLOAD);
    let payload = resolver.read(&payload, |text| size_within(text, 0..=PAYLOAD_MAX));
    Some(TaskConfig {
        on: on?,
        idempotent: table.idempotent,
        timeout: timeout?,
        max_attempts: u32::try_from(max_attempts?).ok()?,
        keep: keep?,
        max_queued: max_queued?,
        payload: payload?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::file::Source;

    #[test]
    fn what_is_not_written_is_the_default() {
        let source = Source::none(std::path::Path::new(""));
        let mut resolver = Resolver::new(&source);
        let read = read(&mut resolver, &ActionTable::default());
        assert_eq!(read, Some(TaskConfig::default()));
    }
}
