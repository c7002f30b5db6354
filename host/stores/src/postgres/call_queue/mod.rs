//! Queued calls, in the same database as the elections.

mod follower;
mod steps;

pub(super) use self::steps::{RAISE, answer_lease, raise};

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures::FutureExt;
use tokio_postgres::types::Type;

use super::{
    calls::{PostgresCalls, PostgresWork},
    observer::Observer,
    transaction::PostgresTransaction,
};
use crate::{
    CallClaimer, CallQueueStore, CallQueueStream, Claim, EndedQueuedCall, QueuedCallHeader,
    QueuedCallKey, QueuedCallRequest, QueuedCallResult, QueuedCallRetry, QueuedCallState,
    StoreError, WaitingCall,
    queued_call::{
        AnswerLeases,
        attempted::{CLAIM, DEAD, LOOK, PURGE, PUT, REPLAY, SETTLE},
        check_answer, check_key, check_request, check_task, state_names,
    },
};
use soloist_heart::clock::BootTime;

/// The queued calls of one cluster.
pub(super) struct PostgresCallQueueStore {
    calls: PostgresCalls,
    observer: Arc<Observer>,
    answer_leases: AnswerLeases,
}

impl PostgresCallQueueStore {
    pub(super) fn new(calls: PostgresCalls, observer: Arc<Observer>) -> Arc<Self> {
        Arc::new(Self { calls, observer, answer_leases: AnswerLeases::default() })
    }

    /// Does a step that changes queued calls. This process sees it at once.
    async fn step<A: Send + Sync + 'static, T: Send + 'static>(
        &self,
        attempted: &'static str,
        args: A,
        work: PostgresWork<A, T>,
    ) -> Result<T, StoreError> {
        let done = self.calls.call(attempted, args, work).await;
        self.observer.wake();
        done
    }
}

/// The steps of a queued call in a transaction.
fn step(tx: PostgresTransaction, key: &QueuedCallKey) -> steps::QueuedCallStep<'_> {
    steps::QueuedCallStep { tx, key }
}

#[async_trait]
impl CallQueueStore for PostgresCallQueueStore {
    async fn put(
        &self,
        key: &QueuedCallKey,
        request: &QueuedCallRequest,
        limit: usize,
    ) -> Result<(), StoreError> {
        check_key(key)?;
        check_request(request)?;
        let head = QueuedCallHeader::of(request);
        let args = (key.clone(), head, request.payload.clone(), limit);
        self.step(PUT, args, |tx, (key, head, payload, limit)| {
            step(tx, key).put(head, payload, *limit).boxed()
        })
        .await
    }

    async fn watch(&self) -> Result<CallQueueStream, StoreError> {
        follower::watch(self.calls.clone(), Arc::clone(&self.observer)).await
    }

    async fn claim(
        &self,
        by: &CallClaimer,
        queued: &WaitingCall,
    ) -> Result<Option<(Claim, Bytes)>, StoreError> {
        self.step(CLAIM, (by.clone(), queued.clone()), |tx, (by, queued)| {
            step(tx, &queued.key).claim(by, queued).boxed()
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
        let now = BootTime::now();
        let current = self.answer_leases.current(keep, now);
        let args = (claim.clone(), answer.clone(), keep, current);
        let complete = self.step(SETTLE, args, |tx, (claim, answer, keep, current)| {
            step(tx, &claim.key).complete(claim, answer, *keep, *current).boxed()
        });
        let lease = complete.await?;
        if current != Some(lease) {
            self.answer_leases.add(keep, lease, now);
        }
        Ok(())
    }

    async fn requeue(&self, claim: &Claim, again: &QueuedCallRetry) -> Result<(), StoreError> {
        let head = claim.head.requeued(again);
        self.step(SETTLE, (claim.clone(), head), |tx, (claim, head)| {
            step(tx, &claim.key).end(claim, state_names::QUEUED, head).boxed()
        })
        .await
    }

    async fn mark_dead(&self, claim: &Claim, error: &str) -> Result<(), StoreError> {
        let head = claim.head.dead(error);
        self.step(SETTLE, (claim.clone(), head), |tx, (claim, head)| {
            step(tx, &claim.key).end(claim, state_names::DEAD, head).boxed()
        })
        .await
    }

    async fn state(&self, key: &QueuedCallKey) -> Result<Option<QueuedCallState>, StoreError> {
        check_key(key)?;
        let args = (key.task.to_string(), key.id.to_string());
        let look = self.calls.read(LOOK, steps::STATE, args, |(task, id)| {
            vec![(task, Type::TEXT), (id, Type::TEXT)]
        });
        let rows = look.await?;
        let state = rows.first().map(|row| steps::state(row, key)).transpose();
        state.map_err(|fault| self.calls.error(LOOK, fault))
    }

    async fn dead_letters(
        &self,
        task: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(QueuedCallKey, EndedQueuedCall)>, StoreError> {
        check_task(task)?;
        let (after, limit) = (after.unwrap_or_default(), i64::try_from(limit).unwrap_or(i64::MAX));
        let sql = "SELECT head, at, id FROM queued_calls
                   WHERE cluster = $1 AND task = $2 AND id > $3 AND state = 'dead'
                   ORDER BY id LIMIT $4";
        let args = (task.to_owned(), after.to_owned(), limit);
        let list = self.calls.read(DEAD, sql, args, |(task, after, limit)| {
            vec![(task, Type::TEXT), (after, Type::TEXT), (limit, Type::INT8)]
        });
        let rows = list.await?;
        let mut dead = Vec::new();
        for row in &rows {
            let id: &str = row.try_get(2).map_err(|it| self.calls.error(DEAD, it.into()))?;
            let key = QueuedCallKey::new(task, id);
            match steps::ended(row, &key) {
                Ok(ended) => dead.push((key, ended)),
                Err(error) => tracing::warn!(%error, "a dead letter is left out"),
            }
        }
        Ok(dead)
    }

    async fn replay(&self, key: &QueuedCallKey) -> Result<bool, StoreError> {
        check_key(key)?;
        self.step(REPLAY, key.clone(), |tx, key| step(tx, key).replay().boxed()).await
    }

    async fn purge(&self, key: &QueuedCallKey) -> Result<bool, StoreError> {
        check_key(key)?;
        let purge = self.step(PURGE, key.clone(), |tx, QueuedCallKey { task, id }| {
            steps::purge(tx, task, Some(id)).boxed()
        });
        Ok(purge.await? > 0)
    }

    async fn purge_all(&self, task: &str) -> Result<usize, StoreError> {
        check_task(task)?;
        self.step(PURGE, task.to_owned(), |tx, task| steps::purge(tx, task, None).boxed()).await
    }
}
