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

use std::{pin::pin, sync::LazyLock, time::Duration};

use futures::future::BoxFuture;
use tokio::{
    sync::{OwnedMutexGuard, OwnedSemaphorePermit},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use super::{
    candidacy::{CAMPAIGN, EtcdCandidacy, QueuePosition, delete_candidate, find_candidate},
    client::SharedClient,
    lookout::Lookout,
};
use crate::StoreError;
use soloist_heart::LeaderKey;
use soloist_telemetry::log_throttle::LogThrottle;

/// Withdrawals that were refused: a store that refuses one refuses every retry too.
static REFUSED_WITHDRAWALS: LazyLock<LogThrottle> = LazyLock::new(LogThrottle::default);

/// The interval at which a withdrawal looks for the candidate's key.
const CHECK_EVERY: Duration = Duration::from_millis(50);

type CampaignCall = BoxFuture<'static, Result<LeaderKey, StoreError>>;

/// A campaign to begin.
pub(super) struct CampaignSpec {
    pub(super) candidacy: EtcdCandidacy,
    /// The lock of the lease and group.
    pub(super) lock: OwnedMutexGuard<()>,
    /// The permit for the call that enters the queue.
    pub(super) permit: Option<OwnedSemaphorePermit>,
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
    /// A campaign that waits through `lookout`. `stop` ends its withdrawal.
    pub(super) fn new(
        client: SharedClient,
        lookout: Lookout,
        stop: CancellationToken,
        spec: CampaignSpec,
    ) -> Self {
        let CampaignSpec { candidacy, lock, permit } = spec;
        let key = candidacy.key.clone();
        let call = run_campaign(client.clone(), lookout, candidacy, permit);
        Self { client, key, call: Some(Box::pin(call)), lock: Some(lock), stop }
    }

    /// Waits until the campaign is won.
    pub(super) async fn win(mut self) -> Result<LeaderKey, StoreError> {
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
        if let Some(lock) = self.lock.take() {
            let withdrawal = withdraw(self.client.clone(), self.key.clone(), self.call.take());
            let stop = self.stop.clone();
            self.client.spawn(async move {
                // If the store is dropped, the candidate stays until its lease ends.
                let _ = stop.run_until_cancelled(withdrawal).await;
                drop(lock);
            });
        }
    }
}

/// Enters the queue and waits to be first. It owns all it needs, including `permit`, because a
/// withdrawal keeps polling it: whatever it is about to send must be on its way before the key is
/// looked for.
async fn run_campaign(
    client: SharedClient,
    lookout: Lookout,
    candidacy: EtcdCandidacy,
    permit: Option<OwnedSemaphorePermit>,
) -> Result<LeaderKey, StoreError> {
    let key = candidacy.enter(&client).await?;
    drop(permit);
    loop {
        // A wait that fails does not end the candidacy.
        match candidacy.wait(&client, &lookout, key.create_revision).await {
            Err(error) if error.is_transient() => {
                tracing::debug!(%error, "waiting again");
                sleep(client.request_timeout() / 2).await;
            }
            Err(error) => return Err(error),
            Ok(QueuePosition::First) => return Ok(key),
            Ok(QueuePosition::None) => {
                return Err(client.unavailable(CAMPAIGN, "the candidate was removed"));
            }
            Ok(QueuePosition::Behind { .. }) => {}
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
            Ok(Some(create_revision))
                if delete_candidate(&client, &key, create_revision).await.is_ok() =>
            {
                return;
            }
            Ok(None) if call.is_none() => return,
            Err(StoreError::Refused { problem, .. }) => {
                return REFUSED_WITHDRAWALS.report_text(&problem, |repeats| {
                    tracing::warn!(key, problem, "cannot withdraw a candidate{repeats}");
                });
            }
            _ => {}
        }
        match &mut call {
            None => sleep(CHECK_EVERY).await,
            Some(pending) => tokio::select! {
                _ = pending => call = None,
                () = patience.as_mut() => call = None,
                () = sleep(CHECK_EVERY) => {}
            },
        }
    }
}
