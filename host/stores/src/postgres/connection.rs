//! One connection to the server.
//!
//! Invariant: a connection on which an answer is outstanding is never used again: it is closed, and
//! another one is made.

use std::future::poll_fn;

use tokio::{runtime, task::AbortHandle};
use tokio_postgres::{AsyncMessage, Client};
use tokio_util::sync::CancellationToken;

use super::access::PostgresDriver;
use soloist_text::with_causes;

/// A connection that passed the first contact.
pub(super) struct PostgresConnection {
    pub(super) client: Client,
    /// The number of the cluster in the tables.
    pub(super) cluster: i32,
    driver: PostgresDriverTask,
}

/// The task that moves the connection's data. It ends when the client is dropped.
pub(super) struct PostgresDriverTask {
    handle: AbortHandle,
    ended: CancellationToken,
}

impl PostgresDriverTask {
    /// Has `runtime` drive the connection; `notified` is called for each notification.
    pub(super) fn start(
        runtime: &runtime::Handle,
        mut driver: PostgresDriver,
        notified: impl Fn() + Send + 'static,
    ) -> Self {
        let ended = CancellationToken::new();
        let end = ended.clone().drop_guard();
        let task = runtime.spawn(async move {
            let _end = end;
            while let Some(message) = poll_fn(|context| driver.poll_message(context)).await {
                match message {
                    Ok(AsyncMessage::Notification(_)) => notified(),
                    Ok(AsyncMessage::Notice(notice)) => tracing::debug!(%notice, "PostgreSQL says"),
                    Ok(_) => {}
                    Err(error) => {
                        let error = with_causes(&error);
                        tracing::debug!(error, "a connection to PostgreSQL is over");
                        break;
                    }
                }
            }
        });
        Self { handle: task.abort_handle(), ended }
    }
}

impl PostgresConnection {
    pub(super) fn new(client: Client, cluster: i32, driver: PostgresDriverTask) -> Self {
        Self { client, cluster, driver }
    }

    /// Whether it has ended.
    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Resolves when it has ended.
    pub(super) async fn closed(&self) {
        self.driver.ended.cancelled().await;
    }

    /// Closes it at once, without waiting for any answer.
    pub(super) fn abandon(&self) {
        self.driver.handle.abort();
    }
}
