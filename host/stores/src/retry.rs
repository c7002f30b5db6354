//! Retrying calls to a busy store.

use std::time::Duration;

use futures::future::BoxFuture;
use tokio::time::{Instant, sleep};

use super::StoreError;

/// The time from the first call to the last one at most. Less than what a person or a client waits.
const INSIST: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(50);

/// Calls the store, and retries while the error is transient. For calls that a person or client
/// waits for, never for the session's own: each attempt may have been carried out although its
/// answer was lost. Also returns whether there was more than one attempt.
///
/// # Errors
/// The error of the last attempt.
pub async fn retry_transient<'a, T>(
    call: impl Fn() -> BoxFuture<'a, Result<T, StoreError>>,
) -> Result<(T, bool), StoreError> {
    let last = Instant::now() + INSIST;
    let mut again = false;
    loop {
        match call().await {
            Err(error) if error.is_transient() && Instant::now() < last => {
                sleep(PAUSE).await;
                again = true;
            }
            done => return done.map(|done| (done, again)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::FutureExt;

    use super::*;

    fn unavailable() -> StoreError {
        let source = "no answer".into();
        StoreError::Unavailable { attempted: "write", store: "test".into(), source }
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_is_busy_is_asked_again() {
        let calls = AtomicUsize::new(0);
        let third = || {
            let call = calls.fetch_add(1, Ordering::Relaxed);
            async move { if call < 2 { Err(unavailable()) } else { Ok(call) } }.boxed()
        };
        assert_eq!(retry_transient(third).await.unwrap(), (2, true));
        assert_eq!(retry_transient(|| async { Ok(7) }.boxed()).await.unwrap(), (7, false));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_stays_away_is_given_up_and_a_refusal_is_the_answer() {
        let begun = Instant::now();
        retry_transient(|| async { Err::<(), _>(unavailable()) }.boxed()).await.unwrap_err();
        assert!((INSIST..INSIST * 2).contains(&begun.elapsed()), "{:?}", begun.elapsed());
        let begun = Instant::now();
        let refused = || async { Err::<(), _>(StoreError::Conflict) }.boxed();
        retry_transient(refused).await.unwrap_err();
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }
}
