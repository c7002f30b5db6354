//! The settings of a task: how its calls and queued calls are handled.

use std::time::Duration;

use soloist_heart::HostLabel;

use super::{
    bounded::{BoundedSpan, KIB},
    group::label,
    resolver::Resolver,
    settings_file::{ActionTable, TimeoutSetting},
};

const TIMEOUT: Duration = Duration::from_secs(30);
const MAX_ATTEMPTS: usize = 5;
const KEEP: Duration = Duration::from_secs(3600);
const MAX_QUEUED: usize = 10_000;
/// A full queue of such payloads takes less than a third of what etcd holds by default, 2 GiB.
const PAYLOAD: u64 = 64 * KIB;

/// The settings of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskConfig {
    /// The label of the hosts that may run it; `None` allows every host.
    pub on: Option<HostLabel>,
    /// Whether a call may run twice, so that it is retried when its host is lost.
    pub idempotent: bool,
    /// How long a call, or an attempt at a queued call, may take.
    pub timeout: Duration,
    /// The number of attempts after which a queued call is given up.
    pub max_attempts: u32,
    /// How long the results of queued calls are kept.
    pub keep: Duration,
    /// How many queued calls may be waiting.
    pub max_queued: usize,
    /// The greatest payload of a queued call, in bytes.
    pub payload: u64,
}

impl Default for TaskConfig {
    fn default() -> Self {
        Self {
            on: None,
            idempotent: false,
            timeout: TIMEOUT,
            max_attempts: 5,
            keep: KEEP,
            max_queued: MAX_QUEUED,
            payload: PAYLOAD,
        }
    }
}

/// The settings of `table`; `None` after reporting what is wrong.
pub(super) fn read(resolver: &mut Resolver<'_>, table: &ActionTable) -> Option<TaskConfig> {
    let on = match &table.on {
        Some(text) => {
            let setting = resolver.written(Some(text.clone()), "");
            resolver.read(&setting, label).map(Some)
        }
        None => Some(None),
    };
    // With a schedule it is the job's `timeout`, which may be longer.
    let timeout = table.timeout.clone().filter(|_| table.schedule.is_none());
    let timeout: Option<TimeoutSetting> = timeout.map(BoundedSpan::narrowed);
    let timeout = resolver.bounded(timeout.as_ref(), TIMEOUT);
    let max_attempts = resolver.bounded(table.max_attempts.as_ref(), MAX_ATTEMPTS);
    let keep = resolver.bounded(table.keep.as_ref(), KEEP);
    let max_queued = resolver.bounded(table.max_queued.as_ref(), MAX_QUEUED);
    let payload = resolver.bounded(table.payload.as_ref(), PAYLOAD);
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

    #[test]
    fn a_full_queue_of_the_greatest_payloads_fits_etcd_by_default() {
        // `--quota-backend-bytes`; each payload may be there twice until etcd compacts.
        const QUOTA: u64 = 2 << 30;
        let TaskConfig { max_queued, payload, .. } = TaskConfig::default();
        let queued = u64::try_from(max_queued).unwrap();
        assert!(queued * payload * 2 < QUOTA);
    }
}
