//! A turn: the time that one line to one member is used, under one login.
//!
//! Invariant: no stream outlives the login that it was opened under. etcd looks at the login of
//! a stream again with each watch that is asked for on it, and goes by the one that it began
//! with (etcd: `api/v3rpc/watch.go`, `isWatchPermitted`). So a login that was renewed begins
//! another turn, on the same line: it costs no connection, and what waits does so anew.

use std::sync::Arc;

use etcd_client::{Client as Connection, Error};
use tokio::sync::{OnceCell, watch};

use super::login_attempts::LoginAttempts;

/// The time that one line is used under one login. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct MemberTurn {
    /// Members take turns in order, so it tells whose line this is.
    pub(super) number: usize,
    /// Made by the first who needs it.
    pub(super) connection: Arc<OnceCell<Connection>>,
    /// Done by the first who meets the end of the login.
    renewal: Arc<OnceCell<()>>,
}

impl MemberTurn {
    /// The next one, on a new line to the next member.
    fn at_next_member(&self) -> Self {
        Self { number: self.number + 1, ..Self::default() }
    }

    /// The next one of the same member, of so many, and on the same line.
    fn with_new_login(&self, members: usize) -> Self {
        let (number, connection) = (self.number + members, Arc::clone(&self.connection));
        Self { number, connection, renewal: Arc::default() }
    }
}

/// The turns of a client, one after the other. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct MemberTurns {
    now: Arc<watch::Sender<MemberTurn>>,
}

impl MemberTurns {
    /// The present one.
    pub(super) fn current(&self) -> MemberTurn {
        self.now.borrow().clone()
    }

    /// Ends when the turn of this number has ended.
    pub(super) async fn ended(&self, number: usize) {
        // It cannot fail: the sender is in `self`.
        let _ = self.now.subscribe().wait_for(|now| now.number != number).await;
    }

    /// Ends the turn of this number, unless it has ended already.
    pub(super) fn end(&self, number: usize) {
        self.advance(number, MemberTurn::at_next_member);
    }

    /// Renews the login of `turn`, once for all who met its end, and ends the turn by that.
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
