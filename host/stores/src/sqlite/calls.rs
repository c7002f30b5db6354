//! Calls to the worker, as the parts of the store make them.

use std::{sync::Arc, time::Duration};

use tokio::{sync::oneshot, time::timeout};

use super::{
    fault::Fault,
    file::File,
    readers::Readers,
    source::Source,
    turns::{Stub, Ticket, Write},
    worker::{Handle, Message},
};
use crate::error::StoreError;

/// Calls to the worker.
#[derive(Clone)]
pub(super) struct Calls {
    pub(super) label: Arc<str>,
    pub(super) worker: Arc<Handle>,
    pub(super) readers: Arc<Readers>,
    pub(super) source: Source,
    pub(super) request_timeout: Duration,
}

impl Calls {
    /// Has the worker do `work` on the file and awaits what comes of it.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        attempted: &'static str,
        work: impl FnOnce(&mut File) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let done = self.ask(self.request_timeout, work).await;
        done.map_err(|fault| fault.into_error(attempted, &self.label))
    }

    pub(super) async fn ask<T: Send + 'static>(
        &self,
        within: Duration,
        work: impl FnOnce(&mut File) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let (reply, answer) = oneshot::channel();
        // A caller that has given up does not read the answer.
        let work = move |file: Result<&mut File, Fault>| drop(reply.send(file.and_then(work)));
        self.worker.tell(Message::Work(Box::new(work)));
        answered(within, answer).await
    }

    /// Has the worker do `work` on the file in the turn of `by`, who writes, within the
    /// request time-out. A caller that leaves before it is begun gives it up.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        by: Arc<str>,
        attempted: &'static str,
        work: impl FnOnce(&mut File) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let work = move |file: Result<&mut File, Fault>| drop(reply.send(file.and_then(work)));
        let ticket = Ticket::default();
        let stub = Stub::of(&ticket);
        self.worker.tell(Message::Write(Write { by, ticket, work: Box::new(work) }));
        let done = match timeout(self.request_timeout, answer).await {
            Ok(done) => done.unwrap_or(Err(Fault::Closed)),
            Err(_) if stub.give_up() => Err(Fault::Crowded),
            Err(_) => Err(Fault::TimedOut),
        };
        done.map_err(|fault| fault.into_error(attempted, &self.label))
    }
}

/// The worker's answer, unless it takes too long.
pub(super) async fn answered<T>(
    within: Duration,
    answer: oneshot::Receiver<Result<T, Fault>>,
) -> Result<T, Fault> {
    match timeout(within, answer).await {
        Ok(answer) => answer.unwrap_or(Err(Fault::Closed)),
        Err(_) => Err(Fault::TimedOut),
    }
}
