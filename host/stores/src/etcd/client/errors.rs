//! What the client's errors say.

use std::{sync::atomic::Ordering, time::Duration};

use etcd_client::Error;
use tokio::time::{Instant, timeout_at};

use super::EtcdClient;
use crate::{
    StoreError,
    error::BoxError,
    etcd::{
        error_meaning::{
            ErrorContext, ErrorMeaning, is_connection_error, meaning, was_not_processed,
        },
        member_turn::MemberTurn,
    },
};

impl EtcdClient {
    /// The error of a call that got no answer in time. If it was waiting for a login, it reports
    /// what etcd last said against the login, or how long that has taken, rather than the time-out.
    pub(super) fn timeout_error(&self, attempted: &'static str, turn: &MemberTurn) -> StoreError {
        let opening = !turn.connection.initialized();
        let refused = opening.then(|| self.login_error(attempted)).flatten();
        refused.unwrap_or_else(|| {
            let waits = if opening { self.logins.wait_reason() } else { None };
            self.unavailable(attempted, waits.unwrap_or_else(|| no_answer(self.request_timeout)))
        })
    }

    pub(super) fn login_error(&self, attempted: &'static str) -> Option<StoreError> {
        self.logins.last_refusal().map(|error| self.store_error(attempted, error))
    }

    /// Returns the error; or, if a connection was closed without a reason, what is wrong with the
    /// certificates.
    pub(super) async fn with_tls_error(
        &self,
        turn: &MemberTurn,
        error: Error,
        in_time: Instant,
    ) -> Error {
        let unexplained = is_connection_error(&error)
            && meaning(&error) == ErrorMeaning::Unavailable
            && !was_not_processed(&error);
        let Some(tls) = self.tls.as_ref().filter(|_| unexplained) else { return error };
        let complaint = timeout_at(in_time, tls.handshake_error(self.member(turn).address())).await;
        let complaint = complaint.ok().flatten().map(Error::IoError);
        complaint.filter(|it| meaning(it) != ErrorMeaning::Unavailable).unwrap_or(error)
    }

    /// The error for a request that etcd refused, or did not answer.
    pub(in crate::etcd) fn store_error(&self, attempted: &'static str, error: Error) -> StoreError {
        let user = self.user.as_deref();
        ErrorContext {
            store: &self.label,
            user,
            root: &self.root,
            never_answered: !self.has_answered.load(Ordering::Relaxed),
            uses_tls: self.tls.is_some(),
            shows_certificate: self.tls.as_ref().is_some_and(|tls| tls.shows_certificate),
        }
        .store_error(attempted, error)
        .counted()
    }

    /// The error for an action that may succeed later.
    pub(in crate::etcd) fn unavailable(
        &self,
        attempted: &'static str,
        source: impl Into<BoxError>,
    ) -> StoreError {
        let source = source.into();
        StoreError::Unavailable { attempted, store: self.label.clone(), source }.counted()
    }
}

fn no_answer(within: Duration) -> String {
    format!("no answer within {} ms", within.as_millis())
}
