//! Campaigning, and withdrawing when the caller leaves.
//!
//! etcd withdraws a candidate whose Campaign call is cut short, but late and
//! without telling, and by the create revision that it saw. Were the same
//! lease to stand again in between, it would take up that revision and lose
//! its key to the withdrawal of the former campaign, perhaps while it leads.
//!
//! Invariant: a lease's *seat* in a group is held by a campaign, and after it
//! by its withdrawal, until its key is gone. The next campaign waits for the
//! seat; its key has another create revision, which nothing late can hit.

use std::{
    collections::HashMap,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use etcd_client::{Compare, CompareOp, Txn, TxnOp};
use futures::future::BoxFuture;
use tokio::{sync::OwnedMutexGuard, time::sleep};
use tokio_util::sync::CancellationToken;

use super::client::Shared;
use crate::{
    election::{Group, LeaderKey, LeaseId, Token},
    store::StoreError,
};

/// From one look for a withdrawn candidate's key to the next.
const LOOK: Duration = Duration::from_millis(50);

/// What a campaign attempts.
const CAMPAIGN: &str = "campaign";

type Seat = Arc<tokio::sync::Mutex<()>>;
type Call = BoxFuture<'static, Result<LeaderKey, StoreError>>;

/// The seats of this process's candidates.
#[derive(Default)]
pub(super) struct Seats(Mutex<HashMap<(Group, LeaseId), Seat>>);

impl Seats {
    /// Waits for the seat of `lease` in `group`.
    pub(super) async fn take(&self, group: &Group, lease: LeaseId) -> OwnedMutexGuard<()> {
        self.seat(group, lease).lock_owned().await
    }

    fn seat(&self, group: &Group, lease: LeaseId) -> Seat {
        let mut seats = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever sits or waits holds another reference.
        seats.retain(|_, seat| Arc::strong_count(seat) > 1);
        seats.entry((group.clone(), lease)).or_default().clone()
    }
}

/// What a campaign stands with.
pub(super) struct Stand {
    pub(super) election: String,
    pub(super) key: String,
    pub(super) group: Group,
    pub(super) lease: LeaseId,
    pub(super) value: Vec<u8>,
}

/// A campaign whose caller may leave at any moment.
pub(super) struct Campaign {
    client: Shared,
    key: String,
    /// Not yet answered.
    call: Option<Call>,
    /// Held as long as a candidate may stand that nobody waits for.
    seat: Option<OwnedMutexGuard<()>>,
    stop: CancellationToken,
}

impl Campaign {
    pub(super) fn new(
        client: Shared,
        stand: Stand,
        seat: OwnedMutexGuard<()>,
        stop: CancellationToken,
    ) -> Self {
        let key = stand.key.clone();
        let call = Some(call(client.clone(), stand));
        Self { client, key, call, seat: Some(seat), stop }
    }

    /// Waits until the campaign is won.
    pub(super) async fn won(mut self) -> Result<LeaderKey, StoreError> {
        let Some(call) = &mut self.call else {
            return Err(StoreError::NotLeader);
        };
        let answer = call.await;
        self.call = None;
        if matches!(answer, Ok(_) | Err(StoreError::LeaseGone)) {
            self.seat = None;
        }
        answer
    }
}

impl Drop for Campaign {
    fn drop(&mut self) {
        if let Some(seat) = self.seat.take() {
            let withdrawal = withdraw(self.client.clone(), self.key.clone(), self.call.take());
            let stop = self.stop.clone();
            self.client.spawn(async move {
                // A store that is dropped leaves the rest to the lease's end.
                let _ = stop.run_until_cancelled(withdrawal).await;
                drop(seat);
            });
        }
    }
}

/// The Campaign call. It owns what it needs, so that a withdrawal can go on with it.
fn call(client: Shared, stand: Stand) -> Call {
    Box::pin(async move {
        let Stand { election, key, group, lease, value } = stand;
        let campaign = |mut etcd: etcd_client::Client| {
            let (election, value) = (election.clone(), value.clone());
            async move { etcd.campaign(election, value, lease.0).await }
        };
        let answer = client.stay(CAMPAIGN, campaign).await.map_err(|error| match error {
            // etcd found the key of this lease, and lost it before it could put the new value.
            StoreError::NotLeader => client.unavailable(CAMPAIGN, "the candidate was removed"),
            error => error,
        })?;
        let Some(leader) = answer.leader() else {
            return Err(client.unavailable(CAMPAIGN, "etcd named no leader key"));
        };
        Ok(LeaderKey { group, key: key.into(), token: Token(leader.rev()), lease })
    })
}

/// Deletes the candidate at `key`, and ends when it cannot come (back) any more.
///
/// The call goes on until its key shows: were it cut short at once, its put
/// could still come after the look, and a candidate would stand that nobody
/// waits for.
async fn withdraw(client: Shared, key: String, mut call: Option<Call>) {
    // A put that has not shown by then was never sent, or its key is gone already.
    let mut patience = pin!(sleep(client.request_timeout()));
    loop {
        match look(&client, &key).await {
            Ok(Some(token)) if delete(&client, &key, token).await.is_ok() => return,
            Ok(None) if call.is_none() => return,
            Err(StoreError::Refused { problem, .. }) => {
                return tracing::warn!(key, problem, "cannot withdraw a candidate");
            }
            _ => {}
        }
        match &mut call {
            None => sleep(LOOK).await,
            Some(pending) => tokio::select! {
                _ = pending => call = None,
                () = patience.as_mut() => call = None,
                () = sleep(LOOK) => {}
            },
        }
    }
}

/// The create revision of `key`, if it exists.
async fn look(client: &Shared, key: &str) -> Result<Option<Token>, StoreError> {
    let get = |etcd: etcd_client::Client| async move { etcd.kv_client().get(key, None).await };
    let found = client.call("look for the candidate", get).await?;
    Ok(found.kvs().first().map(|key| Token(key.create_revision())))
}

/// Deletes `key` if it has the create revision `token`.
async fn delete(client: &Shared, key: &str, token: Token) -> Result<(), StoreError> {
    let delete = |etcd: etcd_client::Client| {
        let same = Compare::create_revision(key, CompareOp::Equal, token.0);
        let txn = Txn::new().when([same]).and_then([TxnOp::delete(key, None)]);
        async move { etcd.kv_client().txn(txn).await }
    };
    client.call("withdraw the candidate", delete).await.map(drop)
}
