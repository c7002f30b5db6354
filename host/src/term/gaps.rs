//! Which groups nobody performs in, since when, and why.
//!
//! To stand first in a queue is not yet to lead. What heads it may be no host's; and a host that
//! heads it may not know, or not be able to. A leader says in the store since when it leads, right
//! after it has won; so who heads a queue and has not said so does not perform. Everybody who sees
//! that says it: here is what status, metrics and log know of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::action::Programme;
use soloist_heart::{
    Group, LeaderKey,
    clock::{BootTime, unix_ms},
};
use soloist_leadership::{GroupRole, HostView, KnownRoster, RosterView};
use soloist_stores::{ForeignCandidate, QueuedCandidate, Roster};
use soloist_telemetry::journal::{Journal, Transition};
use soloist_text::with_reason;

/// The longest nap: timers stand still while the machine is suspended.
const NAP: Duration = Duration::from_millis(500);
/// How long changes may gather: a thousand groups change one by one.
const GATHER: Duration = Duration::from_millis(20);
/// How many groups a line of the log names, and how many strangers it tells of at once.
const NAMED: usize = 5;

/// A time in which nobody performs in a group, as far as this host knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// When it began.
    pub since: BootTime,
    /// The same, in milliseconds of Unix time.
    pub since_unix: u64,
    /// What keeps others from performing now.
    pub why: GapReason,
    /// Since when it is that.
    pub reason_since: BootTime,
}

/// Why nobody performs in a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GapReason {
    /// This host has no session in the store, or does not hear from it: it does not know.
    Unknown,
    /// No host stands.
    Nobody,
    /// People keep all hosts from standing.
    Frozen {
        /// Who does, and why.
        by: String,
        /// The command that lets them stand.
        resume: String,
    },
    /// What heads the queue is no host's.
    Stranger(Arc<ForeignCandidate>),
    /// The host that heads the queue has not said that it leads.
    Silent {
        /// Its name.
        host: String,
        /// The key that it stands with.
        key: LeaderKey,
    },
}

/// What is known of all groups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gaps {
    /// The groups in which nobody performs.
    pub groups: BTreeMap<Group, Gap>,
    /// When each stranger was seen first, in milliseconds of Unix time.
    pub seen: BTreeMap<Arc<ForeignCandidate>, u64>,
    /// How long a gap is when it is no hand-over any more.
    threshold: Duration,
}

impl Gaps {
    /// How long nobody has performed in `group`.
    #[must_use]
    pub fn duration(&self, group: &Group) -> Duration {
        self.groups.get(group).map_or(Duration::ZERO, |gap| BootTime::now().since(gap.since))
    }

    /// The gap of `group`, if it is longer than a hand-over takes.
    #[must_use]
    pub fn long_gap(&self, group: &Group) -> Option<&Gap> {
        self.groups.get(group).filter(|_| self.duration(group) >= self.threshold)
    }

    /// The same, if what keeps others from performing can be blamed for it: a host that has just
    /// come to head a queue may be about to say that it leads.
    #[must_use]
    pub fn blamed_gap(&self, group: &Group) -> Option<&Gap> {
        let lasts = |gap: &Gap| BootTime::now().since(gap.reason_since) >= self.threshold;
        self.long_gap(group)
            .filter(|gap| !matches!(gap.why, GapReason::Silent { .. }) || lasts(gap))
    }
}

impl fmt::Display for GapReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str(
                "this host does not hear from the store, or has no session there, and does \
                     not know",
            ),
            Self::Nobody => f.write_str("no host stands for election"),
            Self::Frozen { by, resume } => {
                write!(f, "nobody may, it is frozen by {by}; `{resume}` lets one lead")
            }
            Self::Stranger(it) => {
                write!(f, "{it} heads its queue; `{}` removes that", it.remove)
            }
            Self::Silent { host, key } => write!(
                f,
                "{host} heads its queue (entry {}, session {}) and has not said that it leads: \
                 it may hang, or be unable to write so (what does its own status say?); if it \
                 answers nothing and is stopped, the next one leads",
                key.key, key.lease
            ),
        }
    }
}

impl GapReason {
    /// The same, by what a host knows: one that leads knows that it does, and one that does not
    /// hear from the store knows nothing of others.
    #[must_use]
    pub fn of_known(group: &Group, known: &KnownRoster, view: &HostView) -> Option<Self> {
        match known {
            KnownRoster::Now(roster) => Self::of(group, roster, view),
            KnownRoster::Before { .. } | KnownRoster::Nothing => {
                Self::of(group, &Roster::default(), view).map(|_| Self::Unknown)
            }
        }
    }

    /// Why nobody performs in `group`, by what a host sees of the store and knows of itself;
    /// nothing, if somebody does.
    #[must_use]
    pub fn of(group: &Group, roster: &Roster, view: &HostView) -> Option<Self> {
        let here = view.groups.get(group).map(|view| view.role);
        if matches!(here, Some(GroupRole::Leader | GroupRole::Draining)) {
            return None;
        }
        if view.session.is_none() {
            return Some(Self::Unknown);
        }
        // Of a key that this host cannot get rid of, it knows that nothing performs under it.
        let own =
            view.session.map(|(lease, _)| lease).filter(|_| here == Some(GroupRole::Resigning));
        let performs = |leader: &QueuedCandidate| {
            leader.candidate.since.is_some() && Some(leader.key.lease) != own
        };
        match (roster.leader(group), roster.foreign_candidates(group).first()) {
            (Some(leader), _) if performs(leader) => None,
            (Some(leader), _) => {
                let (host, key) = (leader.candidate.host.clone(), leader.key.clone());
                Some(Self::Silent { host, key })
            }
            (None, Some(stranger)) => Some(Self::Stranger(Arc::clone(stranger))),
            (None, None) => Some(Self::frozen(group, roster).unwrap_or(Self::Nobody)),
        }
    }

    fn frozen(group: &Group, roster: &Roster) -> Option<Self> {
        let freeze = roster.notes.pause_of(group).filter(|pause| pause.freeze)?;
        let by = with_reason(&freeze.order.by, &freeze.order.reason);
        Some(Self::Frozen { by, resume: roster.notes.resume_command(group) })
    }

    /// The same of several groups.
    fn of_several(&self) -> String {
        match self {
            Self::Silent { host, .. } => {
                format!("{host} heads their queues and has not said that it leads")
            }
            why => why.to_string(),
        }
    }
}

/// Watches for groups in which nobody performs.
pub struct GapWatch {
    /// This host.
    pub host: Arc<str>,
    /// How long a hand-over, and a take-over, may take: what lasts longer is told.
    pub patience: Duration,
    /// What this host performs.
    pub programme: watch::Receiver<Arc<Programme>>,
    /// What is known of the cluster.
    pub sight: RosterView,
    /// What the heart lets others see.
    pub view: watch::Receiver<HostView>,
    /// Where it is taken down.
    pub journal: Journal,
}

impl GapWatch {
    /// Watches until `stop`, and tells `to`.
    pub async fn run(mut self, to: watch::Sender<Gaps>, stop: CancellationToken) {
        let mut told = ReportedGaps::default();
        let mut roster = self.sight.rosters();
        let watching = async {
            loop {
                roster.mark_unchanged();
                self.refresh(&to);
                told.report(&to.borrow(), &self);
                tokio::select! {
                    Ok(()) = roster.changed() => {}
                    Ok(()) = self.view.changed() => {}
                    Ok(()) = self.programme.changed() => {}
                    () = sleep(NAP) => {}
                }
                let gathered = async { while roster.changed().await.is_ok() {} };
                let _ = timeout(GATHER, gathered).await;
            }
        };
        stop.run_until_cancelled(watching).await;
    }

    fn refresh(&mut self, to: &watch::Sender<Gaps>) {
        let view = self.view.borrow_and_update().clone();
        let mut groups = self.programme.borrow_and_update().groups();
        let known = self.sight.current();
        let roster = known.last().cloned().unwrap_or_default();
        groups.extend(roster.groups.keys().cloned());
        let now = (BootTime::now(), unix_ms());
        to.send_modify(|gaps| {
            let mut found = Gaps { threshold: self.patience, ..Gaps::default() };
            for group in groups {
                if let Some(why) = GapReason::of_known(&group, &known, &view) {
                    let before = gaps.groups.get(&group);
                    let (since, since_unix) = before.map_or(now, |gap| (gap.since, gap.since_unix));
                    let same = before.filter(|gap| gap.why == why);
                    let why_since = same.map_or(now.0, |gap| gap.reason_since);
                    found
                        .groups
                        .insert(group, Gap { since, since_unix, why, reason_since: why_since });
                }
            }
            for stranger in roster.foreign_candidates.values().flatten() {
                let first = gaps.seen.get(stranger).copied().unwrap_or(now.1);
                found.seen.insert(Arc::clone(stranger), first);
            }
            *gaps = found;
        });
    }
}

/// What was said already: once, and again when it changes.
#[derive(Default)]
struct ReportedGaps {
    gaps: BTreeMap<Group, GapReason>,
    strangers: BTreeSet<Arc<ForeignCandidate>>,
}

impl ReportedGaps {
    fn report(&mut self, gaps: &Gaps, watch: &GapWatch) {
        self.report_strangers(gaps, watch);
        let mut news = BTreeMap::<String, Vec<(&Group, &GapReason)>>::new();
        for (group, Gap { why, .. }) in &gaps.groups {
            // Of a lost store it is said elsewhere, once for all groups.
            let known = gaps.blamed_gap(group).is_some() && *why != GapReason::Unknown;
            if known && self.gaps.get(group) != Some(why) {
                self.gaps.insert(group.clone(), why.clone());
                news.entry(why.of_several()).or_default().push((group, why));
            }
        }
        for (of_several, groups) in news {
            let why = match &groups[..] {
                [(_, why)] => why.to_string(),
                _ => of_several,
            };
            let groups: Vec<_> = groups.iter().map(|(group, _)| *group).collect();
            let names = group_list(&groups);
            warn!(event = "nobody-leads", groups = names, "nobody leads {names}: {why}");
            watch.journal.record(transition("nobody-leads", watch, &groups).because(why));
        }
        let over: Vec<_> =
            self.gaps.keys().filter(|group| !gaps.groups.contains_key(*group)).cloned().collect();
        if !over.is_empty() {
            self.gaps.retain(|group, _| gaps.groups.contains_key(group));
            let over: Vec<_> = over.iter().collect();
            let names = group_list(&over);
            info!(event = "led-again", groups = names, "somebody leads {names} again");
            watch.journal.record(transition("led-again", watch, &over));
        }
    }

    /// Whatever stands in a queue will head it one day.
    fn report_strangers(&mut self, gaps: &Gaps, watch: &GapWatch) {
        let new = gaps.seen.keys().filter(|stranger| !self.strangers.contains(*stranger));
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
            let told = Transition::of("stranger", &watch.host);
            watch.journal.record(told.because(format!("{stranger}; `{remove}` removes it")));
        }
        self.strangers = gaps.seen.keys().cloned().collect();
    }
}

fn transition(event: &str, watch: &GapWatch, groups: &[&Group]) -> Transition {
    let transition = Transition::of(event, &watch.host);
    match groups {
        [group] => transition.in_group(group),
        _ => transition,
    }
}

/// The first of them, and how many others there are.
fn group_list(groups: &[&Group]) -> String {
    let named: Vec<_> = groups.iter().take(NAMED).map(|group| group.as_str()).collect();
    match groups.len().saturating_sub(NAMED) {
        0 => named.join(", "),
        more => format!("{} and {more} more groups", named.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use soloist_heart::{LeaseId, Token};

    #[test]
    fn who_has_just_come_to_head_a_queue_is_not_blamed_yet() {
        let group = Group::main();
        let (key, lease, token) = ("key".into(), LeaseId(1), Token(1));
        let key = LeaderKey { group: group.clone(), key, token, lease };
        let silent = GapReason::Silent { host: "a".into(), key };
        let later = BootTime::now() + Duration::from_secs(3600);
        let blamed = |why: &GapReason, why_since: BootTime| {
            let gap = Gap {
                since: BootTime::ZERO,
                since_unix: 0,
                why: why.clone(),
                reason_since: why_since,
            };
            let gaps = Gaps {
                groups: BTreeMap::from([(group.clone(), gap)]),
                threshold: Duration::from_millis(1),
                ..Gaps::default()
            };
            assert!(gaps.long_gap(&group).is_some());
            gaps.blamed_gap(&group).is_some()
        };
        assert!(!blamed(&silent, later), "it may be about to say so");
        assert!(blamed(&silent, BootTime::ZERO));
        assert!(blamed(&GapReason::Nobody, later));
    }
}
