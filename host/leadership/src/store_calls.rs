//! The heart's calls to the store; each is answered by one event.

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

use soloist_heart::{
    FencingToken, Group, HeartEvent, LeaderKey, LeaseId, Timings, clock::BootTime,
};
use soloist_stores::{Candidate, Member, Store, StoreError};
use soloist_text::{millis, with_causes};

/// The answer to a call: the event for the heart, and whether the store served the call.
pub(crate) struct CallAnswer {
    pub(crate) event: HeartEvent,
    /// Whether the store served the call.
    pub(crate) outcome: Result<(), StoreError>,
}

/// The announcement in the store that this host leads.
struct Proclamation {
    key: LeaderKey,
    /// When this host began to lead, in milliseconds of Unix time.
    since: u64,
    /// When the announcement was first attempted.
    at: BootTime,
    call: AbortHandle,
}

/// Makes the heart's calls to the store, on the election thread's runtime.
pub(crate) struct StoreCalls {
    store: Arc<dyn Store>,
    candidate: Candidate,
    /// The groups whose leaderships this host's settings spread.
    spread: BTreeSet<Group>,
    /// This host's entry among the members, as it changes.
    member: watch::Receiver<Member>,
    retry: Duration,
    renew_every: Duration,
    ttl: Duration,
    answers: UnboundedSender<CallAnswer>,
    tasks: TaskTracker,
    campaigns: BTreeMap<Group, AbortHandle>,
    proclamations: BTreeMap<Group, Proclamation>,
    joining: Option<AbortHandle>,
    session_watch: Option<AbortHandle>,
    /// Notified when the store does not show this host among the members.
    join_again: watch::Sender<()>,
    releasing: Option<AbortHandle>,
}

impl StoreCalls {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        member: watch::Receiver<Member>,
        timings: Timings,
        answers: UnboundedSender<CallAnswer>,
        spread: BTreeSet<Group>,
    ) -> Self {
        let candidate = Candidate::of(&member.borrow());
        Self {
            store,
            candidate,
            spread,
            member,
            retry: timings.retry,
            renew_every: timings.renew_every,
            ttl: timings.ttl,
            answers,
            tasks: TaskTracker::new(),
            campaigns: BTreeMap::new(),
            proclamations: BTreeMap::new(),
            joining: None,
            session_watch: None,
            join_again: watch::Sender::default(),
            releasing: None,
        }
    }

    pub(crate) fn grant(&self, ttl: Duration, sent: BootTime) {
        let store = Arc::clone(&self.store);
        self.call(async move {
            match store.grant(ttl).await {
                Ok(lease) => ok(HeartEvent::Granted { lease: lease.id, ttl: lease.ttl, sent }),
                Err(error) => failed(HeartEvent::GrantFailed, error),
            }
        });
    }

    pub(crate) fn renew(&self, lease: LeaseId, sent: BootTime) {
        let store = Arc::clone(&self.store);
        self.call(async move {
            match store.renew(lease).await {
                Ok(ttl) => {
                    let took_ms = millis(BootTime::now().since(sent));
                    debug!(event = "renewed", %lease, took_ms, "session renewed");
                    ok(HeartEvent::Renewed { lease, ttl, sent })
                }
                Err(StoreError::LeaseGone) => ok(HeartEvent::LeaseGone { lease }),
                Err(error) => failed(HeartEvent::RenewFailed { lease }, error),
            }
        });
    }

    pub(crate) fn revoke(&mut self, lease: LeaseId) {
        self.stop_joining();
        let (store, answers) = (Arc::clone(&self.store), self.answers.clone());
        let (retry, expired_at) = (self.retry, BootTime::now() + self.ttl);
        let task = self.call(async move {
            let Err(error) = store.revoke(lease).await else {
                return ok(HeartEvent::Released { lease });
            };
            // The heart continues without waiting. Until the lease has run out, its keys block
            // other hosts; and after etcd changes its leader or restarts, it lets the lease live
            // for another full TTL. While etcd does not answer, nobody knows how long that is.
            let _ = answers.send(failed(HeartEvent::Released { lease }, error));
            loop {
                sleep(retry).await;
                match store.revoke(lease).await {
                    Ok(()) => return ok(HeartEvent::Released { lease }),
                    Err(error) if BootTime::now() > expired_at && !error.is_transient() => {
                        return failed(HeartEvent::Tick, error);
                    }
                    Err(_) => {}
                }
            }
        });
        if let Some(former) = self.releasing.replace(task) {
            former.abort();
        }
    }

    /// `grace`: how long nobody leads afterwards.
    pub(crate) fn raise_tokens(&self, above: FencingToken, grace: Duration) {
        let store = Arc::clone(&self.store);
        self.call(async move {
            match store.raise_tokens(above, grace).await {
                Ok(()) => ok(HeartEvent::TokensRaised { above }),
                Err(error) => failed(HeartEvent::RaiseFailed, error),
            }
        });
    }

    pub(crate) fn campaign(&mut self, group: Group, lease: LeaseId, attempt: u64) {
        let (store, candidate) = (Arc::clone(&self.store), self.candidate(&group));
        let key = group.clone();
        let task = self.call(async move {
            match store.campaign(&group, lease, &candidate).await {
                Ok(key) => ok(HeartEvent::Won { attempt, key }),
                Err(StoreError::LeaseGone) => ok(HeartEvent::LeaseGone { lease }),
                Err(error) => failed(HeartEvent::CampaignFailed { group, attempt }, error),
            }
        });
        self.campaigns.insert(key, task);
    }

    /// Drops the campaign, which withdraws the candidate.
    pub(crate) fn withdraw(&mut self, group: &Group) {
        if let Some(campaign) = self.campaigns.remove(group) {
            campaign.abort();
        }
    }

    pub(crate) fn verify(&self, key: LeaderKey) {
        let store = Arc::clone(&self.store);
        self.call(async move {
            match store.verify(&key).await {
                Ok(holds) => ok(HeartEvent::Verified { key, holds }),
                Err(error) => failed(HeartEvent::VerifyFailed { key }, error),
            }
        });
    }

    pub(crate) fn resign(&mut self, key: LeaderKey) {
        if let Some(proclamation) = self.proclamations.remove(&key.group) {
            proclamation.call.abort();
        }
        let store = Arc::clone(&self.store);
        self.call(async move {
            match store.resign(&key).await {
                Ok(()) | Err(StoreError::NotLeader) => ok(HeartEvent::Resigned { key }),
                Err(error) => failed(HeartEvent::ResignFailed { key }, error),
            }
        });
    }

    /// This host's candidate entry in `group`.
    fn candidate(&self, group: &Group) -> Candidate {
        Candidate { spread: Some(self.spread.contains(group)), ..self.candidate.clone() }
    }

    /// Announces in the store since when this host leads, and retries until the store has it: other
    /// hosts assume that a leader which has not announced itself is not performing.
    pub(crate) fn proclaim(&mut self, key: LeaderKey, since: u64) {
        let (store, retry) = (Arc::clone(&self.store), self.retry);
        let candidate = Candidate { since: Some(since), ..self.candidate(&key.group) };
        let (group, own) = (key.group.clone(), key.clone());
        let call = self.call(async move {
            loop {
                match store.proclaim(&key, &candidate).await {
                    Ok(()) => return ok(HeartEvent::Tick),
                    Err(StoreError::NotLeader | StoreError::LeaseGone) => {
                        return ok(HeartEvent::KeyGone { key });
                    }
                    Err(error) if !error.is_transient() => return failed(HeartEvent::Tick, error),
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

    /// Announces it again if the store does not show it. Not at once, since a fresh write takes a
    /// moment to show up.
    pub(crate) fn proclaim_again(&mut self, key: &LeaderKey) {
        let proclamation = self.proclamations.get(&key.group).filter(|it| it.key == *key);
        if let Some(proclamation) = proclamation
            && proclamation.call.is_finished()
            && BootTime::now().since(proclamation.at) > self.ttl
        {
            self.proclaim(key.clone(), proclamation.since);
        }
    }

    /// Enters this host among the members: retries until that has worked, and enters it again
    /// whenever its entry changes. The heart is told each outcome.
    pub(crate) fn join(&mut self, lease: LeaseId) {
        let (store, mut member) = (Arc::clone(&self.store), self.member.clone());
        let (retry, retry_refused) = (self.retry, self.renew_every);
        let answers = self.answers.clone();
        let mut again = self.join_again.subscribe();
        let task = self.call(async move {
            let mut entered = false;
            loop {
                let now = member.borrow_and_update().clone();
                let joined = store.join(lease, &now).await;
                // This call has also handled every notification that came before it.
                again.mark_unchanged();
                let (answer, pause) = match joined {
                    Ok(()) => {
                        entered = true;
                        (ok(HeartEvent::Joined { lease }), Duration::MAX)
                    }
                    Err(StoreError::LeaseGone) => return ok(HeartEvent::LeaseGone { lease }),
                    // The roster says so, too, and the host leaves when its work has ended. Until
                    // then its entry stays, and with it the queued calls that it has claimed.
                    Err(StoreError::Removed { .. }) if entered => {
                        (ok(HeartEvent::Tick), retry_refused)
                    }
                    Err(error @ (StoreError::NameTaken { .. } | StoreError::Removed { .. })) => {
                        entered = false;
                        (
                            ok(HeartEvent::NotJoined { lease, reason: error.to_string() }),
                            retry_refused,
                        )
                    }
                    Err(error) if !error.is_transient() && !entered => {
                        (ok(HeartEvent::NotJoined { lease, reason: with_causes(&error) }), retry)
                    }
                    // The entry that was written earlier is still there.
                    Err(error) => (failed(HeartEvent::Tick, error), retry),
                };
                // The driver outlives its calls; if it is gone, nobody needs the answer.
                let _ = answers.send(answer);
                tokio::select! {
                    Ok(()) = member.changed() => {}
                    Ok(()) = again.changed() => {}
                    () = sleep(pause) => {}
                }
            }
        });
        self.stop_joining();
        self.joining = Some(task);
    }

    /// Waits for the store to report by itself that the session is lost.
    pub(crate) fn watch_session(&mut self, lease: LeaseId) {
        let store = Arc::clone(&self.store);
        let task = self.call(async move {
            failed(HeartEvent::LeaseGone { lease }, store.session_lost(lease).await)
        });
        if let Some(former) = self.session_watch.replace(task) {
            former.abort();
        }
    }

    /// Enters this host among the members again: the store shows that somebody has removed its
    /// entry.
    pub(crate) fn join_again(&self) {
        self.join_again.send_replace(());
    }

    fn stop_joining(&mut self) {
        if let Some(joining) = self.joining.take() {
            joining.abort();
        }
    }

    /// Ends every call that is still under way.
    pub(crate) async fn end(&mut self) {
        let groups: Vec<_> = self.campaigns.keys().cloned().collect();
        groups.iter().for_each(|group| self.withdraw(group));
        self.proclamations.values().for_each(|it| it.call.abort());
        self.stop_joining();
        for waiting in [self.session_watch.take(), self.releasing.take()].into_iter().flatten() {
            waiting.abort();
        }
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn call(&self, answer: impl Future<Output = CallAnswer> + Send + 'static) -> AbortHandle {
        let answers = self.answers.clone();
        let task = self.tasks.spawn(async move {
            // The driver outlives its calls; if it is gone, nobody needs the answer.
            let _ = answers.send(answer.await);
        });
        task.abort_handle()
    }
}

const fn ok(event: HeartEvent) -> CallAnswer {
    CallAnswer { event, outcome: Ok(()) }
}

const fn failed(event: HeartEvent, error: StoreError) -> CallAnswer {
    CallAnswer { event, outcome: Err(error) }
}
