//! Campaigning, and withdrawing the candidate when the caller leaves.
//!
//! This uses the queue of etcd's own elections (etcd: `clientv3/concurrency`), so Leader, Proclaim
//! and Resign of etcd's Election API work on it. But the host itself waits in the queue; it does
//! not use the API's Campaign, for these reasons:
//!
//! - Campaign's candidate disappears with its connection. Here it stays as long as its lease, so a
//!   host that loses a member of etcd keeps its place.
//! - With logins, Campaign is dangerous. A wait inside etcd continues under the login that it began
//!   with; once that has expired it may never win, and with the next candidate the member runs in a
//!   loop until its memory is full (seen with etcd 3.4.23; etcd-io/etcd#17623 has more). Here each
//!   read renews the login.
//! - Campaign does not watch its own key. Here a candidate that loses its key learns it at once.
//!
//! Invariant: a campaign holds the *lock* of its lease and group, and after it its withdrawal does,
//! until the candidate's key is gone. The next campaign of that lease waits for the lock. So a late
//! withdrawal can never delete the next campaign's key, perhaps while that one leads.

use std::{
    collections::HashMap,
    pin::pin,
    sync::{Arc, LazyLock},
    time::Duration,
};

use etcd_client::{
    Compare, CompareOp, GetOptions, KeyValue, PutOptions, ResponseHeader, SortOrder, SortTarget,
    Txn, TxnOp,
};
use futures::future::BoxFuture;
use parking_lot::Mutex;
use tokio::{
    sync::{OwnedMutexGuard, OwnedSemaphorePermit},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use super::{client::SharedClient, lookout::Lookout, requests::first_key};
use crate::StoreError;
use soloist_heart::{Group, LeaderKey, LeaseId, Token};
use soloist_telemetry::log_throttle::LogThrottle;

/// Withdrawals that were refused: a store that refuses one refuses every retry too.
static UNDONE: LazyLock<LogThrottle> = LazyLock::new(LogThrottle::default);

/// The interval at which a withdrawal looks for the candidate's key.
const LOOK: Duration = Duration::from_millis(50);

/// The attempted action, for error texts.
const CAMPAIGN: &str = "campaign";

/// As long as a typical candidate entry: the store must have room for that much.
const REHEARSAL: [u8; 256] = [b' '; 256];

type CandidacyLock = Arc<tokio::sync::Mutex<()>>;
type CampaignCall = BoxFuture<'static, Result<LeaderKey, StoreError>>;

/// The candidacy locks of this process, by group and lease.
#[derive(Default)]
pub(super) struct CandidacyLocks(Mutex<HashMap<(Group, LeaseId), CandidacyLock>>);

impl CandidacyLocks {
    /// Waits for the lock of `lease` in `group`.
    pub(super) async fn acquire(&self, group: &Group, lease: LeaseId) -> OwnedMutexGuard<()> {
        self.lock_of(group, lease).lock_owned().await
    }

    fn lock_of(&self, group: &Group, lease: LeaseId) -> CandidacyLock {
        let mut seats = self.0.lock();
        // A lock that is held or waited for has another reference.
        seats.retain(|_, seat| Arc::strong_count(seat) > 1);
        seats.entry((group.clone(), lease)).or_default().clone()
    }
}

/// What a campaign stands with.
pub(super) struct CampaignSpec {
    /// The common prefix of all candidates' keys in this group.
    pub(super) queue: String,
    pub(super) key: String,
    pub(super) group: Group,
    pub(super) lease: LeaseId,
    pub(super) value: Vec<u8>,
}

/// A campaign whose caller may leave at any moment.
pub(super) struct EtcdCampaign {
    client: SharedClient,
    key: String,
    /// The campaign itself; `None` once it has returned.
    call: Option<CampaignCall>,
    /// Held as long as a candidate may exist that nobody waits for.
    lock: Option<OwnedMutexGuard<()>>,
    stop: CancellationToken,
}

impl EtcdCampaign {
    pub(super) fn new(
        client: SharedClient,
        stand: CampaignSpec,
        seat: OwnedMutexGuard<()>,
        place: Option<OwnedSemaphorePermit>,
        lookout: Lookout,
        stop: CancellationToken,
    ) -> Self {
        let key = stand.key.clone();
        let call: CampaignCall = Box::pin(run_campaign(client.clone(), lookout, stand, place));
        Self { client, key, call: Some(call), lock: Some(seat), stop }
    }

    /// Waits until the campaign is won.
    pub(super) async fn wait_for_change(mut self) -> Result<LeaderKey, StoreError> {
        let Some(call) = &mut self.call else {
            return Err(StoreError::NotLeader);
        };
        let answer = call.await;
        self.call = None;
        if matches!(answer, Ok(_) | Err(StoreError::LeaseGone)) {
            self.lock = None;
        }
        answer
    }
}

impl Drop for EtcdCampaign {
    fn drop(&mut self) {
        if let Some(seat) = self.lock.take() {
            let withdrawal = withdraw(self.client.clone(), self.key.clone(), self.call.take());
            let stop = self.stop.clone();
            self.client.spawn(async move {
                // If the store is dropped, the candidate stays until its lease ends.
                let _ = stop.run_until_cancelled(withdrawal).await;
                drop(seat);
            });
        }
    }
}

/// Enters the queue and waits to be first. It owns all it needs, including `to_enter`, because a
/// withdrawal keeps polling it: whatever it is about to send must be on its way before the key is
/// looked for.
async fn run_campaign(
    client: SharedClient,
    lookout: Lookout,
    stand: CampaignSpec,
    to_enter: Option<OwnedSemaphorePermit>,
) -> Result<LeaderKey, StoreError> {
    let token = enter_queue(&client, &stand).await?;
    drop(to_enter);
    loop {
        // A wait that fails does not end the candidacy.
        match wait(&client, &lookout, &stand, token).await {
            Err(error) if error.is_transient() => {
                tracing::debug!(%error, "waiting anew");
                sleep(client.request_timeout() / 2).await;
            }
            Err(error) => return Err(error),
            Ok(QueuePosition::First) => {
                let CampaignSpec { key, group, lease, .. } = stand;
                return Ok(LeaderKey { group, key: key.into(), token, lease });
            }
            Ok(QueuePosition::None) => {
                return Err(client.unavailable(CAMPAIGN, "the candidate was removed"));
            }
            Ok(QueuePosition::Behind { .. }) => {}
        }
    }
}

/// Enters the queue, or finds the candidate of this lease there. Returns its token.
async fn enter_queue(client: &SharedClient, stand: &CampaignSpec) -> Result<Token, StoreError> {
    let options = PutOptions::new().with_lease(stand.lease.0);
    let put = TxnOp::put(stand.key.as_str(), stand.value.as_slice(), Some(options));
    let none = Compare::create_revision(stand.key.as_str(), CompareOp::Equal, 0);
    let get = TxnOp::get(stand.key.as_str(), None);
    let txn = Txn::new().when([none]).and_then([put.clone()]).or_else([put, get]);
    let entered = client.transact(CAMPAIGN, &txn).await?;
    // Only a candidate that was in the queue already is read.
    let found = first_key(entered.op_responses().get(1)).map(KeyValue::create_revision);
    let revision = found.or_else(|| entered.header().map(ResponseHeader::revision));
    revision.map(Token).ok_or_else(|| client.unavailable(CAMPAIGN, "an answer without header"))
}

/// Proposes to enter the queue at `key`, under a condition that never holds.
///
/// etcd checks both branches of a transaction: the permission to write each key (etcd:
/// `auth_applier.go`, `checkTxnAuth`), room in its quota, and the absence of alarms (`costTxn`,
/// `applierV3Capped`); and all members agree on the transaction in their logs. A transaction that
/// changes nothing makes no revision (`storeTxnWrite.End`).
pub(super) async fn rehearse(
    client: &SharedClient,
    key: &str,
    lease: LeaseId,
) -> Result<(), StoreError> {
    let put = TxnOp::put(key, REHEARSAL, Some(PutOptions::new().with_lease(lease.0)));
    let never = Compare::create_revision(key, CompareOp::Less, 0);
    let txn = Txn::new().when([never]).and_then([put]);
    client.transact("rehearse a campaign", &txn).await.map(drop)
}

/// The position of a candidate in the queue.
enum QueuePosition {
    First,
    Behind {
        /// The key right before the candidate's, whoever put it there.
        predecessor: Vec<u8>,
        /// The store's revision at which that was read.
        revision: i64,
    },
    /// The candidate is no longer in the queue.
    None,
}

/// Finds the candidate's position. If it is not the first, waits until the key before it or its own
/// key is deleted, or until it is time to check again.
async fn wait(
    client: &SharedClient,
    lookout: &Lookout,
    stand: &CampaignSpec,
    token: Token,
) -> Result<QueuePosition, StoreError> {
    let place = find_position(client, stand, token).await?;
    if let QueuePosition::Behind { predecessor, revision } = &place {
        let mut before = lookout.wait_for_deletion(CAMPAIGN, predecessor, *revision);
        let mut own = lookout.wait_for_deletion(CAMPAIGN, stand.key.as_bytes(), *revision);
        tokio::select! {
            told = before.wait(client) => told?,
            told = own.wait(client) => told?,
            () = sleep(client.recheck_interval()) => {}
        }
    }
    Ok(place)
}

/// Reads two keys, however long the queue is.
async fn find_position(
    client: &SharedClient,
    stand: &CampaignSpec,
    token: Token,
) -> Result<QueuePosition, StoreError> {
    let own = GetOptions::new().with_keys_only();
    let last_before = GetOptions::new()
        .with_prefix()
        .with_keys_only()
        .with_limit(1)
        .with_max_create_revision(token.0 - 1)
        .with_sort(SortTarget::Create, SortOrder::Descend);
    let txn = Txn::new().and_then([
        TxnOp::get(stand.key.as_str(), Some(own)),
        TxnOp::get(stand.queue.as_str(), Some(last_before)),
    ]);
    let found = {
        let _permit = client.group_call_permit().await;
        client.transact(CAMPAIGN, &txn).await?
    };
    let answers = found.op_responses();
    let own = first_key(answers.first()).filter(|own| own.create_revision() == token.0);
    match (own, first_key(answers.get(1)), found.header()) {
        (None, _, _) => Ok(QueuePosition::None),
        (Some(_), None, _) => Ok(QueuePosition::First),
        (Some(_), Some(_), None) => Err(client.unavailable(CAMPAIGN, "an answer without header")),
        (Some(_), Some(before), Some(header)) => {
            let predecessor = before.key().to_vec();
            Ok(QueuePosition::Behind { predecessor, revision: header.revision() })
        }
    }
}

/// Deletes the candidate at `key`, and returns when it cannot exist or reappear any more.
///
/// The pending call is still polled until its key is found: if it were dropped at once, its put
/// could arrive after the check, and leave a candidate that nobody waits for.
async fn withdraw(client: SharedClient, key: String, mut call: Option<CampaignCall>) {
    // A put that has not shown up by then was never sent, or its key is already gone.
    let mut patience = pin!(sleep(client.request_timeout()));
    loop {
        match find_candidate(&client, &key).await {
            Ok(Some(token)) if delete_candidate(&client, &key, token).await.is_ok() => return,
            Ok(None) if call.is_none() => return,
            Err(StoreError::Refused { problem, .. }) => {
                return UNDONE.said(&problem, |told| {
                    tracing::warn!(key, problem, "cannot withdraw a candidate{told}");
                });
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
async fn find_candidate(client: &SharedClient, key: &str) -> Result<Option<Token>, StoreError> {
    let found = client.get("look for the candidate", key, &GetOptions::new()).await?;
    Ok(found.kvs().first().map(|key| Token(key.create_revision())))
}

/// Deletes `key` if it has the create revision `token`.
async fn delete_candidate(
    client: &SharedClient,
    key: &str,
    token: Token,
) -> Result<(), StoreError> {
    let same = Compare::create_revision(key, CompareOp::Equal, token.0);
    let txn = Txn::new().when([same]).and_then([TxnOp::delete(key, None)]);
    client.transact("withdraw the candidate", &txn).await.map(drop)
}
