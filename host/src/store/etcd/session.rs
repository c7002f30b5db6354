//! Keeping a lease alive: one exchange a renewal, on a stream that stays open.
//!
//! The stream is taken out for an exchange and put back when its answer has
//! been read. Whoever gives up in between drops it, so no answer is ever taken
//! for that of a later request; the next renewal opens another one.

use std::sync::{Mutex, PoisonError};

use etcd_client::{Client as Connection, Error, LeaseKeepAliveStream, LeaseKeeper};

use crate::election::LeaseId;

/// The open stream, if there is one.
#[derive(Default)]
pub(super) struct Renewals(Mutex<Option<Exchange>>);

struct Exchange {
    keeper: LeaseKeeper,
    answers: LeaseKeepAliveStream,
}

impl Renewals {
    /// Renews `lease` and returns its time to live in seconds.
    pub(super) async fn renew(
        &self,
        mut connection: Connection,
        lease: LeaseId,
    ) -> Result<i64, Error> {
        if let Some(mut open) = self.take(lease)
            && let Ok(ttl) = open.exchange().await
        {
            return self.keep(open, ttl);
        }
        let (keeper, answers) = connection.lease_keep_alive(lease.0).await?;
        // etcd-client reads the first answer but does not tell its TTL.
        let mut open = Exchange { keeper, answers };
        let ttl = open.exchange().await?;
        self.keep(open, ttl)
    }

    fn take(&self, lease: LeaseId) -> Option<Exchange> {
        self.lock().take_if(|open| open.keeper.id() == lease.0)
    }

    fn keep(&self, open: Exchange, ttl: i64) -> Result<i64, Error> {
        if ttl <= 0 {
            return Err(Error::LeaseKeepAliveError("lease not found".into()));
        }
        *self.lock() = Some(open);
        Ok(ttl)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Exchange>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Exchange {
    async fn exchange(&mut self) -> Result<i64, Error> {
        self.keeper.keep_alive().await?;
        let answer = self.answers.message().await?;
        let ended = || Error::LeaseKeepAliveError("the stream ended".into());
        Ok(answer.ok_or_else(ended)?.ttl())
    }
}
