//! Calls to the worker, for the various parts of the store.

use std::{sync::Arc, time::Duration};

use tokio::{sync::oneshot, time::timeout};

use super::{
    file::SqliteFile,
    readers::SqliteReaders,
    sqlite_config::SqliteConfig,
    sqlite_fault::SqliteFault,
    worker::{WorkerHandle, WorkerMessage},
    write_queue::{QueuedWrite, WriteTicket, WriteTicketStub},
};
use crate::error::StoreError;
use soloist_telemetry::measure;

/// Makes calls to the worker.
#[derive(Clone)]
pub(super) struct WorkerCalls {
    pub(super) label: Arc<str>,
    pub(super) worker: Arc<WorkerHandle>,
    pub(super) readers: Arc<SqliteReaders>,
    pub(super) source: SqliteConfig,
    pub(super) request_timeout: Duration,
}

impl WorkerCalls {
    /// Has the worker run `work` on the file, and waits for the result.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        attempted: &'static str,
        work: impl FnOnce(&mut SqliteFile) -> Result<T, SqliteFault> + Send + 'static,
    ) -> Result<T, StoreError> {
        measure::store_call();
        let done = self.ask(self.request_timeout, work).await;
        done.map_err(|fault| fault.into_error(attempted, &self.label))
    }

    pub(super) async fn ask<T: Send + 'static>(
        &self,
        within: Duration,
        work: impl FnOnce(&mut SqliteFile) -> Result<T, SqliteFault> + Send + 'static,
    ) -> Result<T, SqliteFault> {
        let (reply, answer) = oneshot::channel();
        // A caller that has given up does not read the answer.
        let work =
            move |file: Result<&mut SqliteFile, SqliteFault>| drop(reply.send(file.and_then(work)));
        self.worker.send(WorkerMessage::Work(Box::new(work)));
        answered(within, answer).await
    }

    /// Has the worker run `work` on the file when it is the turn of the writer `by`, within the
    /// request time-out. If the caller leaves before the work has begun, it is cancelled.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        by: Arc<str>,
        attempted: &'static str,
        work: impl FnOnce(&mut SqliteFile) -> Result<T, SqliteFault> + Send + 'static,
    ) -> Result<T, StoreError> {
        measure::store_call();
        let (reply, answer) = oneshot::channel();
        let work =
            move |file: Result<&mut SqliteFile, SqliteFault>| drop(reply.send(file.and_then(work)));
        let ticket = WriteTicket::default();
        let stub = WriteTicketStub::of(&ticket);
        self.worker.send(WorkerMessage::Write(QueuedWrite { by, ticket, work: Box::new(work) }));
        let done = match timeout(self.request_timeout, answer).await {
            Ok(done) => done.unwrap_or(Err(SqliteFault::Closed)),
            Err(_) if stub.cancel() => Err(SqliteFault::NoTurn),
            Err(_) => Err(SqliteFault::TimedOut),
        };
        done.map_err(|fault| fault.into_error(attempted, &self.label))
    }
}

/// The worker's answer, or a time-out.
pub(super) async fn answered<T>(
    within: Duration,
    answer: oneshot::Receiver<Result<T, SqliteFault>>,
) -> Result<T, SqliteFault> {
    match timeout(within, answer).await {
        Ok(answer) => answer.unwrap_or(Err(SqliteFault::Closed)),
        Err(_) => Err(SqliteFault::TimedOut),
    }
}
