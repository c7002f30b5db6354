//! How much of its host an action may use.
//!
//! Every limit has a default, so an action without settings is bounded too.

use std::{num::NonZeroUsize, time::Duration};

use super::{
    bounded::{KIB, MIB},
    problem::Problem,
    resolver::Resolver,
    settings_file::{self, ActionTable},
};

/// The greatest linear memory that any instance can have, in bytes.
pub const MEMORY_MAX: usize = settings_file::MEMORY_MAX as usize;

const MAX_CONCURRENT_REQUESTS: usize = 256;
const MAX_QUEUED_REQUESTS: usize = 1024;
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(600);
const HOOK_TIMEOUT: Duration = Duration::from_secs(10);
const MAX_BODY_SIZE: u64 = 16 * MIB;
/// The default memory of an instance, in bytes. Interpreted languages need about 40 MiB to start.
const MAX_MEMORY: u64 = 256 * MIB;
const MAX_LOG_RATE: u64 = 64 * KIB;
/// etcd keeps 2 GiB by default, for all actions and clusters.
const MAX_STATE_SIZE: u64 = 64 * MIB;

/// The limits of an action, which protect its neighbours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many requests it answers at a time.
    pub max_concurrent_requests: usize,
    /// How many further requests may wait for their turn.
    pub max_queued_requests: usize,
    /// How long a guest may take to begin its response.
    pub response_timeout: Duration,
    /// How long a guest may work on one request, including the whole response.
    pub request_timeout: Duration,
    /// How long one of its hooks may take.
    pub hook_timeout: Duration,
    /// The greatest request body, in bytes.
    pub max_body_size: u64,
    /// The total linear memory of an instance, in bytes.
    pub max_memory: usize,
    /// How many of its instances may compute at the same moment. By default one less than there
    /// are processors, but at least one.
    pub max_busy_instances: Option<NonZeroUsize>,
    /// How much it may print per second, in bytes, over all of its instances.
    pub max_log_rate: u64,
    /// How much state it may keep in the store, in bytes of its keys and values.
    pub max_state_size: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_concurrent_requests: MAX_CONCURRENT_REQUESTS,
            max_queued_requests: MAX_QUEUED_REQUESTS,
            response_timeout: RESPONSE_TIMEOUT,
            request_timeout: REQUEST_TIMEOUT,
            hook_timeout: HOOK_TIMEOUT,
            max_body_size: MAX_BODY_SIZE,
            max_memory: MAX_MEMORY as usize,
            max_busy_instances: None,
            max_log_rate: MAX_LOG_RATE,
            max_state_size: MAX_STATE_SIZE,
        }
    }
}

/// The limits of `table`; `None` after reporting what is wrong.
pub(super) fn read(resolver: &mut Resolver<'_>, table: &ActionTable) -> Option<Limits> {
    let max_concurrent_requests =
        resolver.bounded(table.max_concurrent_requests.as_ref(), MAX_CONCURRENT_REQUESTS);
    let max_queued_requests =
        resolver.bounded(table.max_queued_requests.as_ref(), MAX_QUEUED_REQUESTS);
    let request_timeout = resolver.bounded(table.request_timeout.as_ref(), REQUEST_TIMEOUT);
    let response_timeout = response_timeout(resolver, table, request_timeout);
    let hook_timeout = resolver.bounded(table.hook_timeout.as_ref(), HOOK_TIMEOUT);
    let max_body_size = resolver.bounded(table.max_body_size.as_ref(), MAX_BODY_SIZE);
    let max_memory = resolver.bounded(table.max_memory.as_ref(), MAX_MEMORY);
    let max_log_rate = resolver.bounded(table.max_log_rate.as_ref(), MAX_LOG_RATE);
    let max_state_size = resolver.bounded(table.max_state_size.as_ref(), MAX_STATE_SIZE);
    let max_busy_instances = match &table.max_busy_instances {
        None => Some(None),
        some => resolver.bounded(some.as_ref(), 1).map(NonZeroUsize::new),
    };
    Some(Limits {
        max_concurrent_requests: max_concurrent_requests?,
        max_queued_requests: max_queued_requests?,
        response_timeout: response_timeout?,
        request_timeout: request_timeout?,
        hook_timeout: hook_timeout?,
        max_body_size: max_body_size?,
        max_memory: usize::try_from(max_memory?).ok()?,
        max_busy_instances: max_busy_instances?,
        max_log_rate: max_log_rate?,
        max_state_size: max_state_size?,
    })
}

/// `response_timeout`; its default is cut to the whole time of a request if that is shorter.
fn response_timeout(
    resolver: &mut Resolver<'_>,
    table: &ActionTable,
    request_timeout: Option<Duration>,
) -> Option<Duration> {
    let first = resolver.bounded(table.response_timeout.as_ref(), RESPONSE_TIMEOUT)?;
    let Some(whole) = request_timeout else { return Some(first) };
    let place = resolver.place_of(table.response_timeout.as_ref());
    if first <= whole || place.is_none() {
        return Some(first.min(whole));
    }
    let [first, whole] = [first, whole].map(humantime::format_duration);
    let problem = Problem::new(
        format!("an answer that may begin after {first} is cut off after {whole}"),
        format!("write `response_timeout = \"{whole}\"` or less, or a longer `request_timeout`"),
    );
    resolver.report(problem.at(place));
    None
}
