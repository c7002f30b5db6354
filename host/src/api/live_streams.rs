//! Responses that continue for as long as a client listens.
//!
//! Invariants:
//! - The number of listeners is limited; further ones are asked to come back later.
//! - A listener that stops reading loses its response after a while, and delays no other.
//! - When the server stops, all these responses end at once.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::stream;
use tokio::{
    sync::{Semaphore, mpsc},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::api_error::ApiError;
use crate::task_scope::TaskScope;

/// The greatest number of listeners.
const LISTENERS: usize = 64;
/// How many pieces may be queued for one listener.
const WAITING: usize = 16;
/// How long a listener may read nothing.
const SLOW: Duration = Duration::from_secs(10);
/// When a refused listener may try again, in seconds.
const AGAIN: HeaderValue = HeaderValue::from_static("5");

/// Opens such responses. Clones share the limit.
#[derive(Clone)]
pub(super) struct LiveStreams {
    places: Arc<Semaphore>,
    scope: TaskScope,
    closing: CancellationToken,
}

/// Where the pieces of a response are written.
pub(super) struct StreamWriter(mpsc::Sender<Bytes>);

/// The listener has disconnected, or stopped reading, or is to come back.
pub(super) struct ListenerGone;

impl LiveStreams {
    /// Runs writers in `scope`, and ends all responses when `closing` is cancelled.
    pub(super) fn new(scope: TaskScope, closing: CancellationToken) -> Self {
        Self { places: Arc::new(Semaphore::new(LISTENERS)), scope, closing }
    }

    /// A response of the media type `form` that `tell` writes, until it returns or the listener
    /// leaves.
    pub(super) fn answer<F>(
        &self,
        form: &'static str,
        tell: impl FnOnce(StreamWriter) -> F,
    ) -> Result<Response, ApiError>
    where
        F: Future<Output = Result<(), ListenerGone>> + Send + 'static,
    {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            let error = format!("this host already has {LISTENERS} listeners");
            let help = "close one of them, or ask another host";
            ApiError::new(StatusCode::SERVICE_UNAVAILABLE, error, help).retry_after(AGAIN)
        })?;
        let (to, pieces) = mpsc::channel(WAITING);
        let (gone, telling) = (to.clone(), tell(StreamWriter(to)));
        let closing = self.closing.clone();
        self.scope.spawn(async move {
            tokio::select! {
                _ = telling => {}
                () = gone.closed() => {}
                () = closing.cancelled() => {}
            }
            drop(place);
        });
        let pieces = stream::unfold(pieces, |mut pieces| async move {
            let piece = pieces.recv().await?;
            Some((Ok::<_, Infallible>(piece), pieces))
        });
        let headers = [(header::CONTENT_TYPE, form), (header::CACHE_CONTROL, "no-store")];
        Ok((headers, Body::from_stream(pieces)).into_response())
    }
}

impl StreamWriter {
    /// Sends a piece, and waits while the queue is full.
    pub(super) async fn send(&self, piece: impl Into<Bytes>) -> Result<(), ListenerGone> {
        match timeout(SLOW, self.0.send(piece.into())).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(ListenerGone),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;

    use super::*;

    fn live() -> LiveStreams {
        LiveStreams::new(TaskScope::new(), CancellationToken::new())
    }

    fn endless(live: &LiveStreams) -> Result<Response, ApiError> {
        live.answer("text/plain", |to| async move {
            loop {
                to.send("more").await?;
            }
        })
    }

    #[tokio::test(start_paused = true)]
    async fn there_is_room_for_so_many_and_who_takes_nothing_makes_room() {
        let live = live();
        let answers: Vec<_> = (0..LISTENERS).map(|_| endless(&live)).collect();
        assert!(answers.iter().all(Result::is_ok));
        let code = |answer: Result<Response, ApiError>| answer.into_response().status();
        assert_eq!(code(endless(&live)), StatusCode::SERVICE_UNAVAILABLE);
        live.scope.join().await;
        assert_eq!(code(endless(&live)), StatusCode::OK);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_dropped_or_cut_off_makes_room() {
        let live = live();
        let never = |to| async move {
            let _to: StreamWriter = to;
            std::future::pending().await
        };
        drop(live.answer("text/plain", never));
        live.scope.join().await;
        let answer = live.answer("text/plain", never).ok().unwrap();
        live.closing.cancel();
        assert_eq!(to_bytes(answer.into_body(), 9).await.unwrap(), "");
        live.scope.join().await;
        assert_eq!(live.places.available_permits(), LISTENERS);
    }
}
