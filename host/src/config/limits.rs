//! How much an action may take of its host.
//!
//! Every limit has a default, so an action that says nothing is bounded too.

use std::{num::NonZeroUsize, ops::RangeInclusive, time::Duration};

use super::{file::ActionTable, problem::Problem, resolver::Resolver, value};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;

/// The most linear memory that any instance can have.
pub const MEMORY_MAX: usize = GIB as usize;

const REQUESTS: usize = 256;
const QUEUE: usize = 1024;
const FIRST_BYTE: &str = "30s";
const REQUEST_TIMEOUT: &str = "10m";
const HOOK_TIMEOUT: &str = "10s";
const BODY: &str = "16MiB";
/// Programs in interpreted languages need some 40 MiB to begin with.
const MEMORY: &str = "256MiB";
const LOG: &str = "64KiB";

/// What an action is held to; its neighbours live by that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many requests it answers at a time.
    pub requests: usize,
    /// How many more may wait for their turn.
    pub queue: usize,
    /// How long a guest may take to begin its answer.
    pub first_byte: Duration,
    /// How long a guest may be busy with one request, its whole response included.
    pub request_timeout: Duration,
    /// How long one of its hooks may take.
    pub hook_timeout: Duration,
    /// The bytes of a request's body.
    pub body: u64,
    /// The bytes of an instance's linear memories, all together.
    pub memory: usize,
    /// How many of its instances may compute for long at the same moment; all
    /// processors but one, and one at least, if that is not said.
    pub cpu: Option<NonZeroUsize>,
    /// The bytes that it may print in a second, all of its instances together.
    pub log: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests: REQUESTS,
            queue: QUEUE,
            first_byte: Duration::from_secs(30),
            request_timeout: Duration::from_secs(600),
            hook_timeout: Duration::from_secs(10),
            body: 16 * MIB,
            memory: 256 << 20,
            cpu: None,
            log: 64 * KIB,
        }
    }
}

/// The limits of `table`, or nothing after taking down what is wrong with them.
pub(super) fn read(resolver: &mut Resolver<'_>, table: &ActionTable) -> Option<Limits> {
    let requests = resolver.number(table.requests.clone(), REQUESTS, 1..=1000);
    let queue = resolver.number(table.queue.clone(), QUEUE, 0..=100_000);
    let timeout = resolver.written(table.request_timeout.clone(), REQUEST_TIMEOUT);
    let request_timeout = resolver.read(&timeout, patience);
    let first_byte = first_byte(resolver, table, request_timeout);
    let hook_timeout = resolver.written(table.hook_timeout.clone(), HOOK_TIMEOUT);
    let hook_timeout = resolver.read(&hook_timeout, patience);
    let mut size = |text: &Option<_>, default: &str, range| {
        let setting = resolver.written(text.clone(), default);
        resolver.read(&setting, |text| size_within(text, range))
    };
    let body = size(&table.body, BODY, 0..=TIB);
    let memory = size(&table.memory, MEMORY, MIB..=MEMORY_MAX as u64);
    let log = size(&table.log, LOG, 16 * KIB..=GIB);
    let cpu = match table.cpu.clone() {
        None => Some(None),
        some => resolver.number(some, 1, 1..=1024).map(NonZeroUsize::new),
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

/// Where it is not written, the whole time of a request may be the shorter one.
fn first_byte(
    resolver: &mut Resolver<'_>,
    table: &ActionTable,
    request_timeout: Option<Duration>,
) -> Option<Duration> {
    let setting = resolver.written(table.first_byte.clone(), FIRST_BYTE);
    let whole = request_timeout.unwrap_or(Duration::MAX);
    resolver.read(&setting, |text| {
        let first = patience(text)?;
        if first <= whole || setting.place.is_none() {
            return Ok(first.min(whole));
        }
        let whole = humantime::format_duration(whole);
        Err(Problem::new(
            format!("an answer that may begin after {text} is cut off after {whole}"),
            format!("write `first_byte = \"{whole}\"` or less, or a longer `request_timeout`"),
        ))
    })
}

pub(super) fn patience(text: &str) -> Result<Duration, Problem> {
    const MIN: Duration = Duration::from_millis(1);
    const MAX: Duration = Duration::from_secs(24 * 3600);
    value::span_within(text, MIN..=MAX, "write a span from 1ms to 24h")
}

pub(super) fn size_within(text: &str, range: RangeInclusive<u64>) -> Result<u64, Problem> {
    let size = value::size(text)?;
    if range.contains(&size) {
        return Ok(size);
    }
    let [least, most] = [range.start(), range.end()].map(|end| value::show_size(*end));
    Err(Problem::new(
        format!("{text} is out of range"),
        format!("write a size from {least} to {most}"),
    ))
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
        assert_eq!(read, Some(Limits::default()));
    }
}
