//! The loop of a running driver: events go into the heart, its commands are carried out.

use std::{sync::Arc, time::Duration};

use tokio::{
    runtime,
    sync::{
        mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
        watch,
    },
    time::sleep,
};
use tracing::{debug, info};

use crate::{
    election::{Election, ElectionSpec},
    host_view::HostView,
    performer::TermOrder,
    report,
    roster_view::RosterFreshness,
    running_terms::RunningTerms,
    session_observer::SessionObserver,
    store_calls::{CallAnswer, StoreCalls},
};
use soloist_heart::{
    CandidacyStage, Heart, HeartCommand, HeartEvent, LeaseId, Timings,
    clock::{BootTime, unix_ms},
};
use soloist_stores::{Roster, StoreError, StoreMismatch};
use soloist_telemetry::{
    journal::{Journal, Transition},
    measure,
};
use soloist_text::millis;

/// What is shown if the host crashed between noticing it and having the fencing tokens raised.
const CHANGED_BEFORE: &str =
    "the store had been reset, restored or replaced when this host crashed";
/// The longest sleep: tokio's timers stand still while the machine is suspended.
const NAP: Duration = Duration::from_millis(250);

/// The state of a running driver.
pub(crate) struct DriverLoop {
    heart: Heart,
    timings: Timings,
    calls: StoreCalls,
    answers: UnboundedReceiver<CallAnswer>,
    terms: RunningTerms,
    roster: watch::Receiver<Option<Roster>>,
    mismatches: watch::Receiver<Option<StoreMismatch>>,
    freshness: RosterFreshness,
    session_observer: Box<dyn SessionObserver>,
    journal: Journal,
    view: watch::Sender<HostView>,
    health: report::StoreHealth,
    repeated_failures: report::RepeatedFailures,
    obstacles: report::ObstacleReporter,
    /// Whether the store does not yet show something that this host has written about itself.
    needs_rewrite: bool,
}

impl DriverLoop {
    pub(crate) fn new(
        election: &Election,
        spec: ElectionSpec,
        performers: runtime::Handle,
        events: UnboundedSender<HeartEvent>,
        view: watch::Sender<HostView>,
    ) -> Self {
        let Election { store, timings, journal, .. } = election;
        let me = spec.member.borrow().clone();
        let (answers_to, answers) = unbounded_channel();
        Self {
            heart: Heart::new(me.name.as_str().into(), *timings, spec.groups),
            timings: *timings,
            health: report::StoreHealth::new(store.label(), &me.name, journal.clone()),
            mismatches: store.mismatches(),
            repeated_failures: report::RepeatedFailures::default(),
            obstacles: report::ObstacleReporter::default(),
            needs_rewrite: false,
            calls: StoreCalls::new(
                Arc::clone(store),
                spec.member,
                *timings,
                answers_to,
                spec.spread,
            ),
            answers,
            terms: RunningTerms::new(spec.performer, performers, spec.watchdog, events),
            roster: election.roster(),
            freshness: election.freshness.clone(),
            session_observer: spec.session_observer,
            journal: journal.clone(),
            view,
        }
    }

    /// Runs until the heart has stopped.
    pub(crate) async fn run(mut self, mut inbox: UnboundedReceiver<HeartEvent>) {
        // Unreported: that nothing is known yet of the groups of the start is no news.
        self.view.send_replace(HostView::of(&self.heart, None));
        if let Some(above) = self.session_observer.tokens_to_raise() {
            self.store_changed(StoreMismatch { seen: CHANGED_BEFORE.to_owned(), above });
        }
        self.feed(HeartEvent::Tick);
        while !self.heart.is_done() {
            let nap = self.heart.next_wake().since(BootTime::now()).min(NAP);
            tokio::select! {
                // Answers come first: a renewal that has arrived must count before the time is
                // checked. But no answer counts if it comes from another store, or from an older
                // state of it.
                biased;
                Ok(()) = self.mismatches.changed() => {
                    let mismatch = self.mismatches.borrow_and_update().clone();
                    mismatch.into_iter().for_each(|it| self.store_changed(it));
                }
                Some(answer) = self.answers.recv() => self.answer(answer),
                Some(event) = inbox.recv() => self.feed(event),
                Ok(()) = self.roster.changed() => self.compare(),
                () = sleep(nap) => {
                    self.feed(HeartEvent::Tick);
                    if self.needs_rewrite {
                        self.compare();
                    }
                }
            }
        }
        self.calls.end().await;
        self.terms.join().await;
    }

    fn store_changed(&mut self, StoreMismatch { seen, above }: StoreMismatch) {
        report::store_changed(&seen, self.heart.host(), &self.journal);
        measure::store_changed();
        self.session_observer.store_changed(above);
        self.feed(HeartEvent::StoreChanged { seen, above });
    }

    fn answer(&mut self, CallAnswer { event, outcome }: CallAnswer) {
        match (&event, &outcome) {
            (HeartEvent::Released { lease }, Ok(())) | (HeartEvent::LeaseGone { lease }, _) => {
                self.session_observer.ended(*lease);
            }
            (HeartEvent::Renewed { sent, .. }, Ok(())) => {
                let now = BootTime::now();
                let margin = self.heart.session().live().map(|(_, deadline)| deadline.since(now));
                measure::renewed(now.since(*sent), margin.unwrap_or_default());
                self.freshness.call_answered(*sent);
            }
            _ => {}
        }
        match outcome {
            Err(StoreError::NotLeader) | Ok(()) => self.health.answered(),
            // If a store refuses some calls but still renews the lease, the rehearsal reports that.
            Err(error) if !error.is_transient() && self.heart.session().live().is_some() => {
                debug!(%error, "the store refuses a call");
            }
            Err(error) => self.health.failed(&error),
        }
        self.feed(event);
    }

    fn feed(&mut self, event: HeartEvent) {
        if let HeartEvent::Granted { lease, ttl, .. } = &event {
            // Before the step that may make it stand for election.
            self.session_observer.opened(*lease);
            info!(event = "session", %lease, ttl_ms = millis(*ttl), "session opened");
            self.journal.record(Transition::of("session", self.heart.host()));
            self.calls.join(*lease);
            self.calls.watch_session(*lease);
        }
        let overcomes = match &event {
            HeartEvent::TokensRaised { above } if self.heart.setback().is_some() => Some(*above),
            _ => None,
        };
        self.repeated_failures.observe(&event);
        let commands = self.heart.step(event, BootTime::now());
        // Before anything that takes time, even writing a log line.
        commands.iter().for_each(|command| self.terms.close_gate(command));
        // Anyone who reads of a change in the log and then looks must find it.
        self.publish();
        if let Some(above) = overcomes.filter(|_| self.heart.setback().is_none()) {
            self.session_observer.tokens_raised();
            report::tokens_raised(above, self.heart.host(), &self.journal);
        }
        for command in commands {
            if !self.repeated_failures.repeats(&command) {
                report::transition(&command, self.heart.host(), &self.journal);
                report::command(&command, self.heart.host());
            }
            self.carry_out(command);
        }
    }

    fn publish(&mut self) {
        let view = HostView::of(&self.heart, self.health.error());
        self.view.send_if_modified(|old| {
            self.obstacles.report(old, &view, self.heart.host(), &self.journal);
            let changed = *old != view;
            *old = view;
            changed
        });
    }

    fn carry_out(&mut self, command: HeartCommand) {
        match command {
            HeartCommand::Grant { sent } => self.calls.grant(self.timings.ttl, sent),
            HeartCommand::Renew { lease, sent } => self.calls.renew(lease, sent),
            HeartCommand::Revoke { lease } => self.calls.revoke(lease),
            // As long as a lease: one that the store has forgotten may still be relied on.
            HeartCommand::RaiseTokens { above } => {
                self.calls.raise_tokens(above, self.timings.ttl);
            }
            HeartCommand::Campaign { group, lease, attempt } => {
                self.calls.campaign(group, lease, attempt);
            }
            HeartCommand::Withdraw { group, .. } => self.calls.withdraw(&group),
            HeartCommand::Verify { key } => self.calls.verify(key),
            HeartCommand::Start { key, deadline } => {
                self.terms.begin(&key, self.heart.host(), deadline);
                self.calls.proclaim(key, unix_ms());
            }
            HeartCommand::Extend { lease, deadline } => self.terms.extend(lease, deadline),
            HeartCommand::Drain { key, .. } => self.terms.order(&key, TermOrder::Drain),
            HeartCommand::Stop { key, cause } => {
                measure::term_ended(key.group.as_str(), cause.word());
                self.terms.order(&key, TermOrder::Stop);
            }
            HeartCommand::Resign { key } => {
                self.terms.forget(&key.group);
                self.calls.resign(key);
            }
        }
    }

    /// Compares what the store shows with what the heart believes.
    fn compare(&mut self) {
        let roster = self.roster.borrow_and_update().clone();
        let (Some(roster), Some((lease, _))) = (roster, self.heart.session().live()) else {
            return;
        };
        self.needs_rewrite = self.rewrite_missing(&roster);
        // Groups in which the host stands or leads are known already; skipping them leaves few out
        // of a thousand.
        let idle = |group| {
            let candidacy = self.heart.candidacies().get(group);
            candidacy
                .is_some_and(|candidacy| matches!(candidacy.stage(), CandidacyStage::Idle { .. }))
        };
        let queues = roster.groups.iter().filter(|(group, _)| idle(group));
        let standing = queues.flat_map(|(_, queue)| queue).filter(|s| s.key.lease == lease);
        let mut events: Vec<_> =
            standing.map(|s| HeartEvent::KeyQueued { key: s.key.clone() }).collect();
        for candidacy in self.heart.candidacies().values() {
            if let Some(key) = candidacy.stage().key()
                && roster.is_after(key.fencing_token)
                && !roster.has(key)
            {
                events.push(HeartEvent::KeyGone { key: key.clone() });
            }
        }
        events.into_iter().for_each(|event| self.feed(event));
    }

    /// Writes this host's own entries again where somebody has deleted them. Returns whether
    /// anything is missing; a fresh write takes a moment to show up.
    fn rewrite_missing(&mut self, roster: &Roster) -> bool {
        let host = &**self.heart.host();
        let entry = roster.members.iter().find(|(_, member)| member.name == host);
        // An entry under another lease belongs to another host of the same name, or to an earlier
        // session of this host; it disappears by itself.
        let mut missing = entry.is_none_or(|(lease, _)| *lease == LeaseId::NONE);
        if missing {
            self.calls.join_again();
        }
        for candidacy in self.heart.candidacies().values() {
            if let CandidacyStage::Leading { key, .. } = candidacy.stage()
                && let Some(own) = roster.leader(&key.group)
                && own.key == *key
                && own.candidate.since.is_none()
            {
                self.calls.proclaim_again(key);
                missing = true;
            }
        }
        missing
    }
}
