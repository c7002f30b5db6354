//! The settings of a task: how its calls and queued calls are handled.

use std::time::Duration;

use soloist_heart::HostLabel;

use super::{bounded::KIB, group::label, resolver::Resolver, settings_file::ActionTable};

const CALL_TIMEOUT: Duration = Duration::from_secs(30);
const MAX_ATTEMPTS: usize = 5;
const RESULT_RETENTION: Duration = Duration::from_secs(3600);
const MAX_QUEUED_CALLS: usize = 10_000;
/// A full queue of such payloads takes less than a third of what etcd holds by default, 2 GiB.
const MAX_PAYLOAD_SIZE: u64 = 64 * KIB;

/// The settings of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskConfig {
    /// The label of the hosts that may run it; `None` allows every host.
    pub require_label: Option<HostLabel>,
    /// Whether a call may run twice, so that it is retried when its host is lost.
    pub idempotent: bool,
    /// How long a call, or an attempt at a queued call, may take.
    pub call_timeout: Duration,
    /// The number of attempts after which a queued call is given up.
    pub max_attempts: u32,
    /// How long the results of queued calls are kept.
    pub result_retention: Duration,
    /// How many queued calls may be waiting.
    pub max_queued_calls: usize,
    /// The greatest payload of a queued call, in bytes.
    pub max_payload_size: u64,
}

impl Default for TaskConfig {
    fn default() -> Self {
        Self {
            require_label: None,
            idempotent: false,
            call_timeout: CALL_TIMEOUT,
            max_attempts: 5,
            result_retention: RESULT_RETENTION,
            max_queued_calls: MAX_QUEUED_CALLS,
            max_payload_size: MAX_PAYLOAD_SIZE,
        }
    }
}

/// The settings of `table`; `None` after reporting what is wrong.
pub(super) fn read(resolver: &mut Resolver<'_>, table: &ActionTable) -> Option<TaskConfig> {
    let require_label = match &table.require_label {
        Some(text) => {
            let setting = resolver.written(Some(text.clone()), "");
            resolver.read(&setting, label).map(Some)
        }
        None => Some(None),
    };
    let call_timeout = resolver.bounded(table.call_timeout.as_ref(), CALL_TIMEOUT);
    let max_attempts = resolver.bounded(table.max_attempts.as_ref(), MAX_ATTEMPTS);
    let result_retention = resolver.bounded(table.result_retention.as_ref(), RESULT_RETENTION);
    let max_queued_calls = resolver.bounded(table.max_queued_calls.as_ref(), MAX_QUEUED_CALLS);
    let max_payload_size = resolver.bounded(table.max_payload_size.as_ref(), MAX_PAYLOAD_SIZE);
    Some(TaskConfig {
        require_label: require_label?,
        idempotent: table.idempotent,
        call_timeout: call_timeout?,
        max_attempts: u32::try_from(max_attempts?).ok()?,
        result_retention: result_retention?,
        max_queued_calls: max_queued_calls?,
        max_payload_size: max_payload_size?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_of_the_greatest_payloads_fits_etcd_by_default() {
        // `--quota-backend-bytes`; each payload may be there twice until etcd compacts.
        const QUOTA: u64 = 2 << 30;
        let TaskConfig { max_queued_calls, max_payload_size, .. } = TaskConfig::default();
        let queued = u64::try_from(max_queued_calls).unwrap();
        assert!(queued * max_payload_size * 2 < QUOTA);
    }
}
