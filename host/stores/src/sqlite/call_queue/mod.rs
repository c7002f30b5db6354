//! Queued calls, stored in the same file as the elections.
//!
//! Like those of state, reads have a connection of their own and writes take turns. Writes notify
//! only the processes that follow the queue of calls.

mod call_queue_follower;
mod steps;

pub(super) use self::steps::answer_lease;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use rusqlite::Transaction;

use super::{
    file::SqliteFile, reader::SqliteReader, sqlite_fault::SqliteFault, worker_calls::WorkerCalls,
};
use crate::{
    CallClaimer, CallQueueStore, CallQueueStream, Claim, EndedQueuedCall, QueuedCallHeader,
    QueuedCallKey, QueuedCallRequest, QueuedCallResult, QueuedCallRetry, QueuedCallState,
    StoreError, WaitingCall,
    queued_call::{
        AnswerLeases,
        attempted::{CLAIM, DEAD, LOOK, PURGE, PUT, REPLAY, SETTLE},
        check_answer, check_key, check_request, check_task,
    },
};
use soloist_heart::clock::BootTime;

/// The queued calls of one cluster.
pub(super) struct SqliteCallQueueStore {
    calls: WorkerCalls,
    reader: SqliteReader,
    answer_leases: Arc<AnswerLeases>,
}

impl SqliteCallQueueStore {
    /// # Errors
    /// [`StoreError::Refused`] outside a tokio runtime.
    pub(super) fn new(calls: WorkerCalls) -> Result<Self, StoreError> {
        Ok(Self { reader: SqliteReader::new(&calls)?, calls, answer_leases: Arc::default() })
    }

    async fn write<T: Send + 'static>(
        &self,
        task: &str,
        attempted: &'static str,
        work: impl FnOnce(&Transaction<'_>, &str) -> Result<T, SqliteFault> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.calls.write(of_task(task), attempted, |file| file.write_call_queue(work)).await
    }
}

/// The writer's name for queued calls of `task`. It contains a slash, so no action has the same
/// name.
fn of_task(task: &str) -> Arc<str> {
    format!("calls/{task}").into()
}

#[async_trait]
impl CallQueueStore for SqliteCallQueueStore {
    async fn put(
        &self,
        key: &QueuedCallKey,
        request: &QueuedCallRequest,
        limit: usize,
    ) -> Result<(), StoreError> {
        check_key(key)?;
        check_request(request)?;
        let task = &key.task;
        let (key, request) = (key.clone(), request.clone());
        let put = move |file: &mut SqliteFile| {
            let room = file.must_have_room();
            file.write_call_queue(|tx, cluster| {
                let at = steps::QueuedCallRow { tx, cluster, key: &key };
                if at.exists()? {
                    return Ok(());
                }
                room?;
                at.put(&QueuedCallHeader::of(&request), &request.payload, limit)
            })
        };
        self.calls.write(of_task(task), PUT, put).await
    }

    async fn watch(&self) -> Result<CallQueueStream, StoreError> {
        call_queue_follower::watch(self.calls.clone()).await
    }

    async fn claim(
        &self,
        by: &CallClaimer,
        queued: &WaitingCall,
    ) -> Result<Option<(Claim, Bytes)>, StoreError> {
        let (by, queued) = (by.clone(), queued.clone());
        self.write(&queued.key.task.clone(), CLAIM, move |tx, cluster| {
            steps::QueuedCallRow { tx, cluster, key: &queued.key }.claim(&by, &queued)
        })
        .await
    }

    async fn complete(
        &self,
        claim: &Claim,
        answer: &QueuedCallResult,
        keep: Duration,
    ) -> Result<(), StoreError> {
        check_answer(answer)?;
        let (claim, answer, answer_leases) =
            (claim.clone(), answer.clone(), self.answer_leases.clone());
        let task = claim.key.task.clone();
        let done = move |file: &mut SqliteFile| {
            let now = BootTime::now();
            let current = answer_leases.current(keep, now);
            let lease = file.write_call_queue_with_boot(|tx, cluster, boot| {
                let lease = steps::answer_lease(tx, current, keep, boot)?;
                steps::QueuedCallRow { tx, cluster, key: &claim.key }
                    .done(&claim, &answer, lease)?;
                Ok(lease)
            })?;
            if current != Some(lease) {
                answer_leases.add(keep, lease, now);
            }
            Ok(())
        };
        self.calls.write(of_task(&task), SETTLE, done).await
    }

    async fn requeue(&self, claim: &Claim, again: &QueuedCallRetry) -> Result<(), StoreError> {
        let (claim, head) = (claim.clone(), claim.head.requeued(again));
        self.write(&claim.key.task.clone(), SETTLE, move |tx, cluster| {
            steps::QueuedCallRow { tx, cluster, key: &claim.key }.again(&claim, &head)
        })
        .await
    }

    async fn mark_dead(&self, claim: &Claim, error: &str) -> Result<(), StoreError> {
        let (claim, head) = (claim.clone(), claim.head.dead(error));
        self.write(&claim.key.task.clone(), SETTLE, move |tx, cluster| {
            steps::QueuedCallRow { tx, cluster, key: &claim.key }.bury(&claim, &head)
        })
        .await
    }

    async fn state(&self, key: &QueuedCallKey) -> Result<Option<QueuedCallState>, StoreError> {
        check_key(key)?;
        let key = key.clone();
        let look = move |tx: &Transaction<'_>, cluster: &str| {
            steps::QueuedCallRow { tx, cluster, key: &key }.look()
        };
        self.reader.read(&self.calls, LOOK, look).await
    }

    async fn dead_letters(
        &self,
        task: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(QueuedCallKey, EndedQueuedCall)>, StoreError> {
        check_task(task)?;
        let after = QueuedCallKey::new(task, after.unwrap_or_default());
        let dead = move |tx: &Transaction<'_>, cluster: &str| {
            steps::QueuedCallRow { tx, cluster, key: &after }.dead_after(limit)
        };
        self.reader.read(&self.calls, DEAD, dead).await
    }

    async fn replay(&self, key: &QueuedCallKey) -> Result<bool, StoreError> {
        check_key(key)?;
        let at = key.clone();
        let replay = move |tx: &Transaction<'_>, cluster: &str| {
            steps::QueuedCallRow { tx, cluster, key: &at }.replay()
        };
        self.write(&key.task, REPLAY, replay).await
    }

    async fn purge(&self, key: &QueuedCallKey) -> Result<bool, StoreError> {
        check_key(key)?;
        let of = key.clone();
        let purge = move |tx: &Transaction<'_>, cluster: &str| {
            steps::purge(tx, cluster, &of.task, Some(&of.id))
        };
        Ok(self.write(&key.task, PURGE, purge).await? > 0)
    }

    async fn purge_all(&self, task: &str) -> Result<usize, StoreError> {
        check_task(task)?;
        let of = task.to_owned();
        self.write(task, PURGE, move |tx, cluster| steps::purge(tx, cluster, &of, None)).await
    }
}
