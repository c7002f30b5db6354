//! Who leads a group, as the status of a host shows it.

use crate::term::Gaps;
use soloist_heart::Group;
use soloist_leadership::KnownRoster;
use soloist_stores::QueuedCandidate;

/// The leader of a group, as far as it is known now: the head of its queue, unless that has not
/// performed for longer than a hand-over takes.
pub(super) fn leader<'a>(
    group: &Group,
    known: &'a KnownRoster,
    gaps: &Gaps,
) -> Option<&'a QueuedCandidate> {
    known.now()?.leader(group).filter(|_| gaps.long_gap(group).is_none())
}
