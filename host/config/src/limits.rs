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

const REQUESTS: usize = 256;
const QUEUE: usize = 1024;
const FIRST_BYTE: Duration = Duration::from_secs(30);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(600);
const HOOK_TIMEOUT: Duration = Duration::from_secs(10);
const BODY: u64 = 16 * MIB;
/// The default memory of an instance, in bytes. Interpreted languages need about 40 MiB to start.
const MEMORY: u64 = 256 * MIB;
const LOG: u64 = 64 * KIB;

/// The limits of an action, which protect its neighbours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many requests it answers at a time.
    pub requests: usize,
    /// How many further requests may wait for their turn.
    pub queue: usize,
    /// How long a guest may take to begin its response.
    pub first_byte: Duration,
    /// How long a guest may work on one request, including the whole response.
    pub request_timeout: Duration,
    /// How long one of its hooks may take.
    pub hook_timeout: Duration,
    /// The greatest request body, in bytes.
    pub body: u64,
    /// The total linear memory of an instance, in bytes.
    pub memory: usize,
    /// How many of its instances may compute at the same moment. By default one less than there
    /// are processors, but at least one.
    pub cpu: Option<NonZeroUsize>,
    /// How much it may print per second, in bytes, over all of its instances.
    pub log: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests: REQUESTS,
            queue: QUEUE,
            first_byte: FIRST_BYTE,
            request_timeout: REQUEST_TIMEOUT,
            hook_timeout: HOOK_TIMEOUT,
            body: BODY,
            memory: MEMORY as usize,
            cpu: None,
            log: LOG,
        }
    }
}

/// The limits of `table`; `None` after reporting what is wrong.
pub(super) fn read(resolver: &mut Resolver<'_>, table: &ActionTable) -> Option<Limits> {
    let requests = resolver.bounded(table.requests.as_ref(), REQUESTS);
    let queue = resolver.bounded(table.queue.as_ref(), QUEUE);
    let request_timeout = resolver.bounded(table.request_timeout.as_ref(), REQUEST_TIMEOUT);
    let first_byte = first_byte(resolver, table, request_timeout);
    let hook_timeout = resolver.bounded(table.hook_timeout.as_ref(), HOOK_TIMEOUT);
    let body = resolver.bounded(table.body.as_ref(), BODY);
    let memory = resolver.bounded(table.memory.as_ref(), MEMORY);
    let log = resolver.bounded(table.log.as_ref(), LOG);
    let cpu = match &table.cpu {
        None => Some(None),
        some => resolver.bounded(some.as_ref(), 1).map(NonZeroUsize::new),
    };
    Some(Limits {
        requests: requests?,
        queue: queue?,
        first_byte: first_byte?,
        request_timeout: request_timeout?,
        hook_timeout: hook_timeout?,
        body: body?,
        memory: usize::try_from(memory?).ok()?,
        cpu: cpu?,
        log: log?,
    })
}

/// `first_byte`; its default is cut to the whole time of a request if that is shorter.
fn first_byte(
    resolver: &mut Resolver<'_>,
    table: &ActionTable,
    request_timeout: Option<Duration>,
) -> Option<Duration> {
    let first = resolver.bounded(table.first_byte.as_ref(), FIRST_BYTE)?;
    let Some(whole) = request_timeout else { return Some(first) };
    let place = resolver.place_of(table.first_byte.as_ref());
    if first <= whole || place.is_none() {
        return Some(first.min(whole));
    }
    let [first, whole] = [first, whole].map(humantime::format_duration);
    let problem = Problem::new(
        format!("an answer that may begin after {first} is cut off after {whole}"),
        format!("write `first_byte = \"{whole}\"` or less, or a longer `request_timeout`"),
    );
    resolver.report(problem.at(place));
    None
}
