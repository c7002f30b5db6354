//! A store that is not the one that this host knew: what must happen before the host stands again.

use super::FencingToken;
use crate::{clock::BootTime, timings::Timings};

/// The store went back, or is another one. Until its fencing tokens are known to rise above those
/// that were seen, this host stands in no election.
#[derive(Clone, Debug)]
pub(super) struct StoreSetback {
    /// What was observed about the store.
    seen: String,
    /// The highest fencing token that the store may have given out before.
    above: FencingToken,
    /// When to ask the store to raise its fencing tokens; `None` while that is under way.
    ask_at: Option<BootTime>,
}

impl StoreSetback {
    /// A setback that was noticed at `now`. `former` is one that was not overcome yet.
    pub(super) fn noticed(
        seen: String,
        above: FencingToken,
        former: Option<&Self>,
        now: BootTime,
    ) -> Self {
        let above = former.map_or(above, |former| former.above.max(above));
        Self { seen, above, ask_at: Some(now) }
    }

    pub(super) fn seen(&self) -> &str {
        &self.seen
    }

    /// Whether the store's fencing tokens, which rise above `above` now, are high enough.
    pub(super) fn is_overcome_by(&self, above: FencingToken) -> bool {
        above >= self.above
    }

    /// The request to make now, if it is time for one.
    pub(super) fn take_request(&mut self, now: BootTime) -> Option<FencingToken> {
        self.ask_at.take_if(|at| *at <= now).map(|_| self.above)
    }

    /// The request has failed; another one follows.
    pub(super) fn request_failed(&mut self, timings: &Timings, now: BootTime) {
        self.ask_at.get_or_insert(now + timings.retry);
    }

    /// When the next request is due.
    pub(super) fn next_wake(&self) -> BootTime {
        self.ask_at.unwrap_or(BootTime::NEVER)
    }
}
