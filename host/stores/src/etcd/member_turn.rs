//! Turns: a turn is the time for which one connection to one member is used under one login.
//!
//! Invariant: no stream outlives the login that it was opened under. etcd checks the login of a
//! stream again with each watch requested on it, and uses the login that the stream began with
//! (etcd: `api/v3rpc/watch.go`, `isWatchPermitted`). So a renewed login begins another turn on the
//! same connection. That costs no new connection; whatever waits simply starts again.

use std::sync::Arc;

use etcd_client::{Client as Connection, Error};
use tokio::sync::{OnceCell, watch};

use super::login_attempts::LoginAttempts;

/// The time for which one connection is used under one login. Clones share their state.
#[derive(Clone, Default)]
pub(super) struct MemberTurn {
    /// Members take turns in order, so the number also tells which member it is.
    pub(super) number: usize,
    /// Opened by the first call that needs it.
    pub(super) connection: Arc<OnceCell<Connection>>,
    /// The renewal of the login, done by the first call that finds it expired.
    renewal: Arc<OnceCell<()>>,
}

impl MemberTurn {
    /// The next turn, with a new connection to the next member.
    fn at_next_member(&self) -> Self {
        Self { number: self.number + 1, ..Self::default() }
    }

    /// The next turn of the same member, of `members` members, on the same connection.
    fn with_new_login(&self, members: usize) -> Self {
        let (number, connection) = (self.number + members, Arc::clone(&self.connection));
        Self { number, connection, renewal: Arc::default() }
    }
}

/// The turns of a client, one after the other. Clones share their state.
#[derive(Clone, Default)]
pub(super) struct MemberTurns {
    now: Arc<watch::Sender<MemberTurn>>,
}

impl MemberTurns {
    /// The current turn.
    pub(super) fn current(&self) -> MemberTurn {
        self.now.borrow().clone()
    }

    /// Resolves when the turn with this number has ended.
    pub(super) async fn ended(&self, number: usize) {
        // This cannot fail: the sender is in `self`.
        let _ = self.now.subscribe().wait_for(|now| now.number != number).await;
    }

    /// Ends the turn with this number, unless it has ended already.
    pub(super) fn end(&self, number: usize) {
        self.advance(number, MemberTurn::at_next_member);
    }

    /// Renews the login of `turn`, once for all calls that found it expired, and thereby ends the
    /// turn.
    pub(super) async fn renew_login(
        &self,
        turn: &MemberTurn,
        members: usize,
        logins: &LoginAttempts,
    ) -> Result<(), Error> {
        let renewal = async {
            match turn.connection.get() {
                Some(line) => line.refresh_token().await,
                None => Ok(()),
            }
        };
        turn.renewal.get_or_try_init(|| logins.attempt(renewal)).await?;
        self.advance(turn.number, |turn| turn.with_new_login(members));
        Ok(())
    }

    fn advance(&self, number: usize, next: impl FnOnce(&MemberTurn) -> MemberTurn) {
        self.now.send_if_modified(|now| {
            let ends = now.number == number;
            if ends {
                *now = next(now);
            }
            ends
        });
    }
}
