//! Notifies waiting campaigns when a key is deleted. All waits of a host share one watch stream.
//!
//! A candidate waits only for its predecessor's key and its own, as etcd's own recipes do (etcd:
//! `clientv3/concurrency/key.go`). So a host that leaves the queue wakes a single candidate however
//! long the queue is, and a thousand groups cost one stream.
//!
//! Invariant: no wait outlives its turn, nor the login under which its stream was opened. When the
//! turn or the stream ends, every wait ends with an error, and whoever waits checks again. So does
//! a wait that hears nothing for long: a lost notification, whatever the reason, costs a few TTLs
//! and not forever.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use etcd_client::{
    Error, WatchFilterType, WatchOptions, WatchRequestSender, WatchResponse, WatchResponseStream,
};
use tokio::sync::{
    mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    oneshot,
};
use tokio_util::sync::CancellationToken;

use super::{
    client::{EtcdConnection, SharedClient},
    has_header::WithHeader,
};
use crate::StoreError;

/// The attempted action, for error texts.
const WATCH: &str = "watch a key";

/// Takes requests to wait for the deletion of keys.
#[derive(Clone)]
pub(super) struct Lookout {
    numbers: Arc<AtomicI64>,
    inbox: UnboundedSender<LookoutRequest>,
}

/// A wait for the deletion of a key. Dropping it ends the wait.
pub(super) struct DeletionWait {
    number: i64,
    outcome: oneshot::Receiver<Result<(), StoreError>>,
    inbox: UnboundedSender<LookoutRequest>,
}

enum LookoutRequest {
    Begin(PendingWait),
    End(i64),
}

struct PendingWait {
    number: i64,
    attempted: &'static str,
    key: Vec<u8>,
    /// Changes up to this revision are already known.
    seen: i64,
    reply: oneshot::Sender<Result<(), StoreError>>,
}

impl Lookout {
    /// Starts the task that holds the stream, which runs until `stop`.
    pub(super) fn start(client: &SharedClient, stop: CancellationToken) -> Self {
        let (inbox, messages) = unbounded_channel();
        let task =
            LookoutTask { client: client.clone(), waits: HashMap::new(), due: VecDeque::new() };
        client.spawn(async move {
            stop.run_until_cancelled(task.run(messages)).await;
        });
        Self { numbers: Arc::default(), inbox }
    }

    /// Waits for `key` to be deleted after the revision `seen`.
    pub(super) fn wait_for_deletion(
        &self,
        attempted: &'static str,
        key: &[u8],
        seen: i64,
    ) -> DeletionWait {
        // etcd takes 0 to mean that it should choose a number.
        let number = self.numbers.fetch_add(1, Ordering::Relaxed) + 1;
        let (reply, outcome) = oneshot::channel();
        let wait = PendingWait { number, attempted, key: key.to_vec(), seen, reply };
        // If the task has ended, the wait ends at once with an error.
        let _ = self.inbox.send(LookoutRequest::Begin(wait));
        DeletionWait { number, outcome, inbox: self.inbox.clone() }
    }
}

impl DeletionWait {
    /// Resolves when the key was deleted, or when that can no longer be known.
    pub(super) async fn wait(&mut self, client: &SharedClient) -> Result<(), StoreError> {
        let outcome = (&mut self.outcome).await;
        outcome.unwrap_or_else(|_| Err(client.unavailable(WATCH, "the store was closed")))
    }
}

impl Drop for DeletionWait {
    fn drop(&mut self) {
        let _ = self.inbox.send(LookoutRequest::End(self.number));
    }
}

/// The task that holds the stream.
struct LookoutTask {
    client: SharedClient,
    waits: HashMap<i64, PendingWait>,
    /// Requests to send to etcd: to begin a wait that is still there, or to end one that is not.
    due: VecDeque<i64>,
}

/// The watch stream, which is used as long as the turn lasts.
struct LookoutStream {
    turn: usize,
    requests: WatchRequestSender,
    answers: WatchResponseStream,
}

impl LookoutTask {
    async fn run(mut self, mut messages: UnboundedReceiver<LookoutRequest>) {
        while let Some(message) = messages.recv().await {
            self.take_request(message, false);
            let Some(first) = self.waits.values().next() else { continue };
            let ended = match self.open(first).await {
                Ok(open) => self.serve(open, &mut messages).await,
                Err(error) => Err(error),
            };
            self.due.clear();
            match ended {
                Ok(()) => return,
                Err(error) => self.fail_all(&error),
            }
        }
    }

    /// Opens the stream with a first wait.
    async fn open(&self, wait: &PendingWait) -> Result<LookoutStream, StoreError> {
        let watch = |connection: EtcdConnection| async move {
            let mut etcd = connection.etcd.watch_client();
            let stream = etcd.watch(wait.key.as_slice(), Some(options(wait))).await?;
            let (requests, answers) = stream.split();
            Ok(WithHeader::without_header(LookoutStream {
                turn: connection.turn,
                requests,
                answers,
            }))
        };
        Ok(self.client.call_on_connection(wait.attempted, watch).await?.value)
    }

    /// Serves waits on an open stream until that ends; returns without an error when the store is
    /// dropped.
    async fn serve(
        &mut self,
        mut open: LookoutStream,
        messages: &mut UnboundedReceiver<LookoutRequest>,
    ) -> Result<(), StoreError> {
        loop {
            let LookoutStream { turn, requests, answers } = &mut open;
            tokio::select! {
                message = messages.recv() => match message {
                    Some(message) => self.take_request(message, true),
                    None => return Ok(()),
                },
                // Sent while answers are being read: a client that does not read answers while it
                // sends may wait forever.
                sent = self.send_next(requests), if !self.due.is_empty() => {
                    sent.map_err(|error| self.client.store_error(WATCH, error))?;
                    self.due.pop_front();
                }
                answer = answers.message() => self.handle_answer(*turn, answer)?,
                () = self.client.turn_ended(*turn) => {
                    return Err(self.client.unavailable(WATCH, "its member of etcd failed"));
                }
            }
        }
    }

    fn take_request(&mut self, message: LookoutRequest, open: bool) {
        let number = match message {
            LookoutRequest::Begin(wait) => {
                let number = wait.number;
                self.waits.insert(number, wait);
                number
            }
            LookoutRequest::End(number) => {
                if self.waits.remove(&number).is_none() {
                    return;
                }
                number
            }
        };
        if open {
            self.due.push_back(number);
        }
    }

    async fn send_next(&self, requests: &mut WatchRequestSender) -> Result<(), Error> {
        let Some(number) = self.due.front() else { return Ok(()) };
        match self.waits.get(number) {
            Some(wait) => requests.watch(wait.key.as_slice(), Some(options(wait))).await,
            None => requests.cancel(*number).await,
        }
    }

    fn handle_answer(
        &mut self,
        turn: usize,
        answer: Result<Option<WatchResponse>, Error>,
    ) -> Result<(), StoreError> {
        let answer = answer.map_err(|error| self.client.store_error(WATCH, error))?;
        let ended = || self.client.unavailable(WATCH, "etcd ended the watch");
        let answer = answer.ok_or_else(ended)?;
        let checked = self.client.check_header(turn, answer.header());
        checked.map_err(|error| self.client.store_error(WATCH, error))?;
        let number = answer.watch_id();
        if answer.canceled() {
            let why = answer.cancel_reason();
            match self.waits.remove(&number) {
                Some(wait) => {
                    let _ = wait.reply.send(Err(self.client.unavailable(wait.attempted, why)));
                }
                None if is_refusal(&answer) => return Err(self.client.unavailable(WATCH, why)),
                // A cancellation that was requested here needs no reaction.
                None => {}
            }
        } else if !answer.events().is_empty()
            && let Some(wait) = self.waits.remove(&number)
        {
            let _ = wait.reply.send(Ok(()));
            self.due.push_back(number);
        }
        Ok(())
    }

    /// Makes everybody who waits check again.
    fn fail_all(&mut self, error: &StoreError) {
        for (_, wait) in self.waits.drain() {
            let why = error.to_string();
            let _ = wait.reply.send(Err(self.client.unavailable(wait.attempted, why)));
        }
    }
}

/// Whether etcd refuses a watch that was requested, as opposed to ending one. It does not always
/// say which one: a refusal has the number -1, which belongs to no wait (etcd:
/// `api/v3rpc/watch.go`; its own client calls the number `InvalidWatchID`, `client/v3/watch.go`).
fn is_refusal(answer: &WatchResponse) -> bool {
    answer.created() || answer.watch_id() < 0
}

fn options(wait: &PendingWait) -> WatchOptions {
    WatchOptions::new()
        .with_watch_id(wait.number)
        .with_start_revision(wait.seen + 1)
        .with_filters([WatchFilterType::NoPut])
}
