//! The heart's calls to the store, each answered by one event.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::{mpsc::UnboundedSender, watch},
    task::AbortHandle,
    time::sleep,
};
use tokio_util::task::TaskTracker;
use tracing::debug;

use super::health::Report;
use crate::{
    action::Offers,
    clock::BootTime,
    config::Timings,
    election::{Event, Group, LeaderKey, LeaseId},
    store::{Candidate, Member, Store, StoreError},
    words::{millis, with_causes},
};

/// An answer for the driver: the event, and how the store fared.
pub(super) struct Answer {
    pub(super) event: Event,
    /// Whether the store served the call.
    pub(super) outcome: Result<(), StoreError>,
}

/// What a leader says of itself in the store.
struct Proclamation {
    key: LeaderKey,
    /// Since when it leads, in milliseconds of Unix time.
    since: u64,
    /// When it began to say so.
    at: BootTime,
    call: AbortHandle,
}

/// Makes calls on the election thread's runtime.
pub(super) struct Calls {
    store: Arc<dyn Store>,
    candidate: Candidate,
    /// The groups that are spread, by this host's settings.
    spread: BTreeSet<Group>,
    member: Member,
    /// What has failed here, which is part of what the member says.
    report: watch::Receiver<Report>,
    /// The tasks that this host takes calls of: they are another part.
    offers: watch::Receiver<Offers>,
    retry: Duration,
    renew_every: Duration,
    ttl: Duration,
    answers: UnboundedSender<Answer>,
    tasks: TaskTracker,
    campaigns: BTreeMap<Group, AbortHandle>,
    proclamations: BTreeMap<Group, Proclamation>,
    joining: Option<AbortHandle>,
    attending: Option<AbortHandle>,
    /// Told when the store does not show this host among the members.
    join_again: watch::Sender<()>,
    releasing: Option<AbortHandle>,
}

impl Calls {
    pub(super) fn new(
        store: Arc<dyn Store>,
        member: Member,
        report: watch::Receiver<Report>,
        offers: watch::Receiver<Offers>,
        timings: Timings,
        answers: UnboundedSender<Answer>,
        spread: BTreeSet<Group>,
    ) -> Self {
        let candidate = Candidate {
            host: member.name.clone(),
            url: member.url.clone(),
            since: None,
            heir: None,
            spread: None,
        };
        Self {
            store,
            candidate,
            spread,
            member,
            report,
            offers,
            retry: timings.retry,
            renew_every: timings.renew_every,
            ttl: timings.ttl,
            answers,
            tasks: TaskTracker::new(),
            campaigns: BTreeMap::new(),
            proclamations: BTreeMap::new(),
            joining: None,
            attending: None,
            join_again: watch::Sender::default(),
            releasing: None,
        }
    }

    pub(super) fn grant(&self, ttl: Duration, sent: BootTime) {
        let store = Arc::clone(&self.store);
        self.call(async move {
            match store.grant(ttl).await {
                Ok(lease) => ok(Event::Granted { lease: lease.id, ttl: lease.ttl, sent }),
                Err(error) => failed(Event::GrantFailed, error),
            }
        });
    }

    pub(super) fn renew(&self, lease: LeaseId, sent: BootTime) {
        let store = Arc::clone(&self.store);
        self.call(async move {
            match store.renew(lease).await {
                Ok(ttl) => {
                    let took_ms = millis(BootTime::now().since(sent));
                    debug!(event = "renewed", %lease, took_ms, "session renewed");
                    ok(Event::Renewed { lease, ttl, sent })
                }
                Err(StoreError::LeaseGone) => ok(Event::LeaseGone { lease }),
                Err(error) => failed(Event::RenewFailed { lease }, error),
            }
        });
    }

    pub(super) fn revoke(&mut self, lease: LeaseId) {
        self.stop_joining();
        let (store, answers) = (Arc::clone(&self.store), self.answers.clone());
        let (retry, gone_by) = (self.retry, BootTime::now() + self.ttl);
        let task = self.call(async move {
            let Err(error) = store.revoke(lease).await else {
                return ok(Event::Released { lease });
            };
            // The heart goes on without it. Until it has run out its keys stand in
            // others' way, and after a change of its leader, or a start, etcd lets it live
            // as long again: while etcd does not answer, nobody knows how long that is.
            let _ = answers.send(failed(Event::Released { lease }, error));
            loop {
                sleep(retry).await;
                match store.revoke(lease).await {
                    Ok(()) => return ok(Event::Released { lease }),
                    Err(error) if BootTime::now() > gone_by && !error.is_transient() => {
                        return failed(Event::Tick, error);
                    }
                    Err(_) => {}
                }
            }
        });
        if let Some(former) = self.releasing.replace(task) {
            former.abort();
        }
    }

    pub(super) fn campaign(&mut self, group: Group, lease: LeaseId, attempt: u64) {
        let (store, candidate) = (Arc::clone(&self.store), self.candidate(&group));
        let key = group.clone();
        let task = self.call(async move {
            match store.campaign(&group, lease, &candidate).await {
                Ok(key) => ok(Event::Won { attempt, key }),
                Err(StoreError::LeaseGone) => ok(Event::LeaseGone { lease }),
                Err(error) => failed(Event::CampaignFailed { group, attempt }, error),
            }
        });
        self.campaigns.insert(key, task);
    }

    /// Drops the campaign, which withdraws the candidate.
    pub(super) fn withdraw(&mut self, group: &Group) {
        if let Some(campaign) = self.campaigns.remove(group) {
            campaign.abort();
        }
    }

    pub(super) fn verify(&self, key: LeaderKey) {
        let store = Arc::clone(&self.store);
        self.call(async move {
            match store.verify(&key).await {
                Ok(holds) => ok(Event::Verified { key, holds }),
                Err(error) => failed(Event::VerifyFailed { key }, error),
            }
        });
    }

    pub(super) fn resign(&mut self, key: LeaderKey) {
        if let Some(proclamation) = self.proclamations.remove(&key.group) {
            proclamation.call.abort();
        }
        let store = Arc::clone(&self.store);
        self.call(async move {
            match store.resign(&key).await {
                Ok(()) | Err(StoreError::NotLeader) => ok(Event::Resigned { key }),
                Err(error) => failed(Event::ResignFailed { key }, error),
            }
        });
    }

    /// What this host says of itself in `group`.
    fn candidate(&self, group: &Group) -> Candidate {
        Candidate { spread: Some(self.spread.contains(group)), ..self.candidate.clone() }
    }

    /// Says in the store since when this host leads, again and again until that is there:
    /// others take a leader who has not said it for one who does not perform.
    pub(super) fn proclaim(&mut self, key: LeaderKey, since: u64) {
        let (store, retry) = (Arc::clone(&self.store), self.retry);
        let candidate = Candidate { since: Some(since), ..self.candidate(&key.group) };
        let (group, own) = (key.group.clone(), key.clone());
        let call = self.call(async move {
            loop {
                match store.proclaim(&key, &candidate).await {
                    Ok(()) => return ok(Event::Tick),
                    Err(StoreError::NotLeader | StoreError::LeaseGone) => {
                        return ok(Event::KeyGone { key });
                    }
                    Err(error) if !error.is_transient() => return failed(Event::Tick, error),
                    Err(error) => debug!(%error, "cannot proclaim the leader yet"),
                }
                sleep(retry).await;
            }
        });
        let proclamation = Proclamation { key: own, since, at: BootTime::now(), call };
        if let Some(former) = self.proclamations.insert(group, proclamation) {
            former.call.abort();
        }
    }

    /// Says it anew where the store does not show it; not at once, for what was just written
    /// takes a moment to show.
    pub(super) fn proclaim_again(&mut self, key: &LeaderKey) {
        let said = self.proclamations.get(&key.group).filter(|said| said.key == *key);
        if let Some(said) = said
            && said.call.is_finished()
            && BootTime::now().since(said.at) > self.ttl
        {
            self.proclaim(key.clone(), said.since);
        }
    }

    /// Enters this host among the members, again and again until it is there, and anew
    /// whenever it has something else to say. The heart hears of each outcome.
    pub(super) fn join(&mut self, lease: LeaseId) {
        let (store, member) = (Arc::clone(&self.store), self.member.clone());
        let (retry, patience) = (self.retry, self.renew_every);
        let (mut report, mut offers) = (self.report.clone(), self.offers.clone());
        let answers = self.answers.clone();
        let mut again = self.join_again.subscribe();
        let task = self.call(async move {
            let mut entered = false;
            loop {
                let failing = report.borrow_and_update().clone();
                let tasks = BTreeSet::clone(&offers.borrow_and_update());
                let joined = store.join(lease, &Member { failing, tasks, ..member.clone() }).await;
                // What was told before is done by that.
                again.mark_unchanged();
                let (answer, pause) = match joined {
                    Ok(()) => {
                        entered = true;
                        (ok(Event::Joined { lease }), Duration::MAX)
                    }
                    Err(StoreError::LeaseGone) => return ok(Event::LeaseGone { lease }),
                    Err(error @ (StoreError::NameTaken { .. } | StoreError::Removed { .. })) => {
                        entered = false;
                        (ok(Event::NotJoined { lease, reason: error.to_string() }), patience)
                    }
                    Err(error) if !error.is_transient() && !entered => {
                        (ok(Event::NotJoined { lease, reason: with_causes(&error) }), retry)
                    }
                    // What was entered before still stands.
                    Err(error) => (failed(Event::Tick, error), retry),
                };
                // The driver outlives its calls; if it is gone, so is the question.
                let _ = answers.send(answer);
                tokio::select! {
                    Ok(()) = report.changed() => {}
                    Ok(()) = offers.changed() => {}
                    Ok(()) = again.changed() => {}
                    () = sleep(pause) => {}
                }
            }
        });
        self.stop_joining();
        self.joining = Some(task);
    }

    /// Waits for what the store tells of the session by itself.
    pub(super) fn attend(&mut self, lease: LeaseId) {
        let store = Arc::clone(&self.store);
        let task =
            self.call(async move { failed(Event::LeaseGone { lease }, store.lost(lease).await) });
        if let Some(former) = self.attending.replace(task) {
            former.abort();
        }
    }

    /// Enters this host anew: the store shows that somebody has taken it out.
    pub(super) fn join_again(&self) {
        self.join_again.send_replace(());
    }

    fn stop_joining(&mut self) {
        if let Some(joining) = self.joining.take() {
            joining.abort();
        }
    }

    /// Ends every call that is still under way.
    pub(super) async fn end(&mut self) {
        let groups: Vec<_> = self.campaigns.keys().cloned().collect();
        groups.iter().for_each(|group| self.withdraw(group));
        self.proclamations.values().for_each(|it| it.call.abort());
        self.stop_joining();
        for waiting in [self.attending.take(), self.releasing.take()].into_iter().flatten() {
            waiting.abort();
        }
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn call(&self, answer: impl Future<Output = Answer> + Send + 'static) -> AbortHandle {
        let answers = self.answers.clone();
        let task = self.tasks.spawn(async move {
            // The driver outlives its calls; if it is gone, so is the question.
            let _ = answers.send(answer.await);
        });
        task.abort_handle()
    }
}

const fn ok(event: Event) -> Answer {
    Answer { event, outcome: Ok(()) }
}

const fn failed(event: Event, error: StoreError) -> Answer {
    Answer { event, outcome: Err(error) }
}
