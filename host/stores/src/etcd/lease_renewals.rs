//! Keeping a lease alive: each renewal is one request and response on a stream that stays open.
//!
//! The stream is taken out for a renewal and put back when the response was read. If a renewal is
//! given up in between, the stream is dropped, so no response is ever mistaken for that of a later
//! request; the next renewal opens another stream. A stream of an earlier turn is dropped too, so
//! that the silence of one member is never blamed on another.

use etcd_client::{Error, LeaseKeepAliveStream, LeaseKeeper};
use parking_lot::Mutex;

use super::{client::EtcdConnection, has_header::WithHeader};
use soloist_heart::LeaseId;

/// Renews the session's lease.
#[derive(Default)]
pub(super) struct LeaseRenewals(Mutex<RenewalState>);

#[derive(Default)]
struct RenewalState {
    /// The lease that was granted last, and its time to live in seconds.
    granted: Option<(LeaseId, i64)>,
    /// The open stream, if there is one.
    open: Option<KeepAlive>,
}

struct KeepAlive {
    /// The turn that the stream's connection belongs to.
    turn: usize,
    keeper: LeaseKeeper,
    answers: LeaseKeepAliveStream,
}

impl LeaseRenewals {
    /// Records a lease and its time to live in seconds.
    pub(super) fn granted(&self, lease: LeaseId, ttl: i64) {
        self.lock().granted = Some((lease, ttl));
    }

    fn granted_ttl(&self, lease: LeaseId) -> Option<i64> {
        self.lock().granted.filter(|(granted, _)| *granted == lease).map(|(_, ttl)| ttl)
    }

    /// Renews `lease` and returns its time to live in seconds.
    pub(super) async fn renew(
        &self,
        mut connection: EtcdConnection,
        lease: LeaseId,
    ) -> Result<WithHeader<i64>, Error> {
        if let Some(mut open) = self.take(connection.turn, lease)
            && let Ok(ttl) = open.exchange().await
        {
            return self.keep(open, ttl);
        }
        let (keeper, answers) = connection.etcd.lease_keep_alive(lease.0).await?;
        let mut open = KeepAlive { turn: connection.turn, keeper, answers };
        // etcd-client has already read the first response and checked that the lease lives, but
        // does not reveal the TTL. It is the TTL that was granted; asking again would take twice
        // the response time, which may be too long with a slow etcd.
        let ttl = match self.granted_ttl(lease) {
            Some(ttl) => WithHeader::without_header(ttl),
            None => open.exchange().await?,
        };
        self.keep(open, ttl)
    }

    fn take(&self, turn: usize, lease: LeaseId) -> Option<KeepAlive> {
        let open = self.lock().open.take();
        open.filter(|open| open.turn == turn && open.keeper.id() == lease.0)
    }

    fn keep(&self, open: KeepAlive, ttl: WithHeader<i64>) -> Result<WithHeader<i64>, Error> {
        if ttl.value <= 0 {
            return Err(Error::LeaseKeepAliveError("lease not found".into()));
        }
        self.lock().open = Some(open);
        Ok(ttl)
    }

    fn lock(&self) -> parking_lot::MutexGuard<'_, RenewalState> {
        self.0.lock()
    }
}

impl KeepAlive {
    async fn exchange(&mut self) -> Result<WithHeader<i64>, Error> {
        self.keeper.keep_alive().await?;
        let answer = self.answers.message().await?;
        let ended = || Error::LeaseKeepAliveError("the stream ended".into());
        let answer = answer.ok_or_else(ended)?;
        Ok(WithHeader { header: answer.header().cloned(), value: answer.ttl() })
    }
}
