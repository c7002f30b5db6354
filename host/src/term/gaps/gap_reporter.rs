//! Reports gaps and strangers in the log and the journal.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tracing::{info, warn};

use super::{Gap, Gaps};
use soloist_heart::Group;
use soloist_leadership::GapReason;
use soloist_stores::ForeignCandidate;
use soloist_telemetry::journal::{Journal, Transition};

/// How many groups a line of the log names, and how many strangers are reported at once.
const NAMED: usize = 5;

/// Reports each gap and stranger once, and a gap again when its reason changes.
pub(super) struct GapReporter {
    host: Arc<str>,
    journal: Journal,
    /// The gaps that were reported and are not over.
    gaps: BTreeMap<Group, GapReason>,
    /// The strangers that were reported and are still there.
    strangers: BTreeSet<Arc<ForeignCandidate>>,
}

impl GapReporter {
    pub(super) fn new(host: Arc<str>, journal: Journal) -> Self {
        Self { host, journal, gaps: BTreeMap::new(), strangers: BTreeSet::new() }
    }

    /// Reports what is new in `gaps`.
    pub(super) fn report(&mut self, gaps: &Gaps) {
        self.report_strangers(gaps);
        self.report_begun(gaps);
        self.report_ended(gaps);
    }

    /// Reports gaps that have become long, in one line for all groups with the same reason.
    fn report_begun(&mut self, gaps: &Gaps) {
        let mut begun = BTreeMap::<String, Vec<(&Group, &GapReason)>>::new();
        for (group, Gap { reason, .. }) in &gaps.groups {
            // The loss of the store is reported elsewhere, once for all groups.
            let blamed = gaps.blamed_gap(group).is_some() && *reason != GapReason::Unknown;
            if blamed && self.gaps.get(group) != Some(reason) {
                self.gaps.insert(group.clone(), reason.clone());
                begun.entry(reason.of_several()).or_default().push((group, reason));
            }
        }
        for (of_several, groups) in begun {
            let reason = match &groups[..] {
                [(_, reason)] => reason.to_string(),
                _ => of_several,
            };
            let groups: Vec<_> = groups.iter().map(|(group, _)| *group).collect();
            let names = group_list(&groups);
            warn!(event = "nobody-leads", groups = names, "nobody leads {names}: {reason}");
            self.journal.record(self.transition("nobody-leads", &groups).because(reason));
        }
    }

    fn report_ended(&mut self, gaps: &Gaps) {
        let is_over = |group: &Group| !gaps.groups.contains_key(group);
        let over: Vec<_> = self.gaps.keys().filter(|group| is_over(group)).cloned().collect();
        if !over.is_empty() {
            self.gaps.retain(|group, _| !is_over(group));
            let over: Vec<_> = over.iter().collect();
            let names = group_list(&over);
            info!(event = "led-again", groups = names, "somebody leads {names} again");
            self.journal.record(self.transition("led-again", &over));
        }
    }

    /// Reports strangers before they do any harm: each of them will head its queue one day.
    fn report_strangers(&mut self, gaps: &Gaps) {
        let seen = &gaps.strangers_seen;
        let new = seen.keys().filter(|stranger| !self.strangers.contains(*stranger));
        for (number, stranger) in new.enumerate() {
            if number == NAMED {
                warn!(event = "stranger", "and others; `soloist status` shows them");
                break;
            }
            let remove = &*stranger.remove;
            warn!(
                event = "stranger",
                remove,
                "{stranger} stands for election: when it heads the queue nobody leads; \
                 `{remove}` removes it"
            );
            let transition = Transition::of("stranger", &self.host);
            self.journal.record(transition.because(format!("{stranger}; `{remove}` removes it")));
        }
        self.strangers = seen.keys().cloned().collect();
    }

    fn transition(&self, event: &str, groups: &[&Group]) -> Transition {
        let transition = Transition::of(event, &self.host);
        match groups {
            [group] => transition.in_group(group),
            _ => transition,
        }
    }
}

/// The names of the first [`NAMED`] groups, and how many more there are.
fn group_list(groups: &[&Group]) -> String {
    let named: Vec<_> = groups.iter().take(NAMED).map(|group| group.as_str()).collect();
    match groups.len().saturating_sub(NAMED) {
        0 => named.join(", "),
        more => format!("{} and {more} more groups", named.join(", ")),
    }
}
