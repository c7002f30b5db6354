//! The changes in a range of keys, as etcd reports them.

use etcd_client::{WatchOptions, WatchResponse, WatchStream};
use futures::FutureExt;

use super::{
    client::{EtcdConnection, SharedClient},
    has_header::WithHeader,
    keys::KeyRange,
    requests::MESSAGE_MAX,
};
use crate::StoreError;

/// The attempted action, for error texts.
const WATCH: &str = "watch the cluster";

/// The watch events of a range of keys, as long as the client's turn lasts.
pub(super) struct WatchEvents {
    client: SharedClient,
    connection: EtcdConnection,
    stream: WatchStream,
}

impl WatchEvents {
    /// The events of `range` after `revision`.
    pub(super) async fn after(
        revision: i64,
        range: &KeyRange,
        client: &SharedClient,
    ) -> Result<Self, StoreError> {
        let options =
            WatchOptions::new().with_range(range.end.as_str()).with_start_revision(revision + 1);
        let watch = |connection: EtcdConnection| {
            let options = options.clone();
            async move {
                let etcd = connection.etcd.watch_client();
                let mut etcd = etcd.max_decoding_message_size(MESSAGE_MAX);
                let stream = etcd.watch(range.first.as_str(), Some(options)).await?;
                let client = client.clone();
                Ok(WithHeader::without_header(Self { client, connection, stream }))
            }
        };
        Ok(client.call_on_connection(WATCH, watch).await?.value)
    }

    /// Waits for the next events. An error means that there will be no more.
    pub(super) async fn next(&mut self) -> Result<WatchResponse, StoreError> {
        let Self { client, connection, stream } = self;
        let ended = |why: &str| Err(client.unavailable(WATCH, why));
        tokio::select! {
            answer = stream.message() => match answer {
                Ok(Some(events)) if !events.canceled() => {
                    let checked = client.check_header(connection.turn, events.header());
                    checked.map(|()| events).map_err(|error| client.store_error(WATCH, error))
                }
                // The history was compacted, the member lost its leader, or the login expired. etcd
                // does not distinguish an expired login from a missing permission here, but the
                // read before the watch would have failed in the latter case.
                Ok(Some(events)) => ended(events.cancel_reason()),
                Ok(None) => ended("etcd ended the watch"),
                Err(error) => Err(client.store_error(WATCH, error)),
            },
            () = client.turn_ended(connection.turn) => ended("its member of etcd failed"),
        }
    }

    /// The next events, if they have arrived already.
    pub(super) fn try_next(&mut self) -> Option<Result<WatchResponse, StoreError>> {
        self.next().now_or_never()
    }
}
