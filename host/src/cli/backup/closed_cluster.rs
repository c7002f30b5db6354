//! Closing a cluster while it moves: it is paused, its hosts are removed, and so they hand nothing
//! over, finish or give back their queued calls, and leave. A host that is started again there, by a
//! service manager say, cannot join.

use std::{collections::BTreeSet, time::Duration};

use super::{opened_store::OpenedStore, own_notes::OwnNotes};
use crate::cli::{ExitError, operator::operator};
use soloist_heart::clock;
use soloist_stores::{Note, NoteTopic, OperatorOrder, Pause, Removal, Roster};

/// How long hosts may take to leave, in addition to their drain and stop: for their queued calls.
const PATIENCE: Duration = Duration::from_secs(120);

/// How the reason of the notes begins that close a cluster.
const MOVES: &str = "the cluster moves to ";

/// A cluster that is being closed, or is closed.
pub(super) struct ClosedCluster<'a> {
    of: &'a OpenedStore,
    reason: String,
    /// The hosts that were removed.
    removed: BTreeSet<String>,
    /// The pause of before, if there was one.
    paused_before: Option<Pause>,
    /// Whether anything was written.
    begun: bool,
}

impl<'a> ClosedCluster<'a> {
    /// Nothing is closed yet; it will be since it moves to the store `to`.
    pub(super) fn new(of: &'a OpenedStore, to: &str) -> Self {
        let reason = format!("{MOVES}{to}");
        Self { of, reason, removed: BTreeSet::new(), paused_before: None, begun: false }
    }

    /// The notes that keep it closed.
    pub(super) fn notes(&self) -> OwnNotes {
        let mut notes = OwnNotes::pause();
        self.removed.iter().for_each(|host| notes.insert(NoteTopic::Removal(host.clone())));
        notes
    }

    /// The pause of people that was there before.
    pub(super) fn paused_before(&self) -> Option<&Pause> {
        self.paused_before.as_ref()
    }

    /// Closes it, and waits until no host has a session any more.
    pub(super) async fn close(&mut self) -> Result<(), ExitError> {
        let timings = &self.of.config.timings;
        let within = [timings.drain_timeout, timings.stop_limit, timings.ttl * 2, PATIENCE];
        let within = within.into_iter().fold(Duration::ZERO, Duration::saturating_add);
        let of = self.of;
        let left = of.wait_for_nobody(within, async |roster| self.keep_out(roster).await).await?;
        if left.is_empty() {
            return Ok(());
        }
        let names = left.into_iter().collect::<Vec<_>>().join(", ");
        Err(ExitError::refused(format!("hosts have not left {}: {names}", of.name))
            .help("stop them, and run this again"))
    }

    /// Ends what [`close`](Self::close) has begun. Returns what state it is in then.
    pub(super) async fn reopen(self) -> String {
        let name = &self.of.name;
        if !self.begun {
            return format!("{name} is as it was");
        }
        let store = &self.of.store;
        let pause = NoteTopic::Pause(None);
        let mut done = match self.paused_before {
            Some(pause_before) => store.write_note(&pause, &Note::Pause(pause_before)).await,
            None => store.erase_note(&pause).await.map(drop),
        };
        for host in &self.removed {
            let erased = store.erase_note(&NoteTopic::Removal(host.clone())).await.map(drop);
            done = done.and(erased);
        }
        let names = self.removed.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        match done {
            Ok(()) if names.is_empty() => format!("{name} is as it was"),
            Ok(()) => format!(
                "{name} has lost nothing; its hosts may join again: start those that have stopped \
                 ({names})"
            ),
            Err(_) => format!(
                "{name} has lost nothing, and may still be closed: when it can be reached, \
                 `soloist resume` ends its pause, and `soloist admit HOST` lets each of these in \
                 again: {names}"
            ),
        }
    }

    /// Finds what was there before, and what an earlier attempt has left that was killed.
    fn take_up(&mut self, roster: &Roster) {
        let is_ours = |order: &OperatorOrder| order.reason.starts_with(MOVES);
        let pause = roster.notes.pause.clone();
        self.paused_before = pause.filter(|pause| !is_ours(&pause.order));
        let removed = roster.notes.removed.iter().filter(|(_, removal)| is_ours(&removal.order));
        self.removed = removed.map(|(host, _)| host.clone()).collect();
    }

    /// Pauses the cluster, and removes all hosts that are there. Returns whether that was done
    /// already.
    async fn keep_out(&mut self, roster: &Roster) -> Result<bool, ExitError> {
        let of = self.of;
        let failed = |error| of.failed("the cluster cannot be closed", &error);
        let reason = self.reason.clone();
        let order =
            || OperatorOrder { by: operator(), reason: reason.clone(), since: clock::unix_ms() };
        let mut done = self.begun;
        if !self.begun {
            self.take_up(roster);
            self.begun = true;
            let pause = Note::Pause(Pause { order: order(), keep_failover: false });
            let paused = self.of.store.write_note(&NoteTopic::Pause(None), &pause).await;
            paused.map_err(failed)?;
        }
        for (_, member) in &roster.members {
            let host = &member.name;
            if self.removed.contains(host) || roster.notes.removed.contains_key(host) {
                continue;
            }
            let removal = Note::Removal(Removal { order: order() });
            let topic = NoteTopic::Removal(host.clone());
            // Before it is written: whatever becomes of the call, it may be there.
            self.removed.insert(host.clone());
            done = false;
            self.of.store.write_note(&topic, &removal).await.map_err(failed)?;
        }
        Ok(done)
    }
}
