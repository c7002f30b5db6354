//! The etcd client: which member is asked, over which connection.
//!
//! One member at a time is asked, over one connection, and the next one as soon as it fails. A
//! balancer that spreads calls would send some of them to a member that is dead or cut off from its
//! peers. A *turn* is the time for which one connection is used under one login. A call that is not
//! answered in time ends the turn, since the connection may be dead without any sign. With a single
//! member, the next turn begins with a new connection to it.
//!
//! Invariant: a connection leads to a member that was found to belong to the trusted etcd cluster
//! ([`connection_opener`](super::connection_opener)). It never reconnects by itself, because
//! somebody else may listen at that address by then: when it breaks, its turn ends.
//!
//! Invariant: nothing waits on a dead connection. Whatever waits does so through a watch on the
//! turn's connection, and starts again on the next one [when the turn
//! ends](EtcdClient::turn_ended). The session's renewals use the same connection every fifth of the
//! TTL, and the first one that is not answered within another fifth ends the turn. So a standby
//! that was cut off notices it within two fifths of the TTL. Starting again costs a read and a
//! watch, and no place in a queue, so a member that is slow for a moment costs nothing else.

mod errors;

use std::{
    future::Future,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use etcd_client::{Client as Connection, Error, ResponseHeader};
use tokio::{
    runtime,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

use super::{
    access::{EtcdAccess, EtcdTls},
    cluster_trust::ClusterTrust,
    connection_opener::ConnectionOpener,
    error_meaning::{ErrorMeaning, is_connection_error, meaning},
    etcd_member::EtcdMember,
    has_header::HasHeader,
    keys::EtcdKeys,
    login_attempts::LoginAttempts,
    member_turn::{MemberTurn, MemberTurns},
    once_connector::was_not_sent,
};
use crate::StoreError;
use soloist_telemetry::measure;

/// How many times longer than a call a member may answer nothing while a connection to it is
/// opened, before the connection is given up.
const SILENCE: u32 = 3;

/// The time between two checks of what a watch should have reported, in multiples of the request
/// time-out. That is two to four TTLs, chosen at random so that the checks of many groups and hosts
/// do not coincide.
const SECOND_LOOK: Range<f64> = 10.0..20.0;

/// How many of the calls that a host makes for each of its groups run at the same time. A thousand
/// at once would delay each other, and the session's renewal, beyond the time-out.
const AT_ONCE: usize = 64;

/// A client for all members of one etcd cluster, as one user.
pub(super) struct EtcdClient {
    pub(super) label: String,
    /// The beginning of an etcdctl command, for texts to people.
    pub(super) etcdctl: Arc<str>,
    /// The key prefix that this client works under, for error texts.
    root: String,
    user: Option<String>,
    tls: Option<Arc<EtcdTls>>,
    trust: Arc<ClusterTrust>,
    /// Whether etcd has ever answered.
    has_answered: AtomicBool,
    members: Arc<[EtcdMember]>,
    /// The turns that the members take.
    turns: MemberTurns,
    logins: LoginAttempts,
    /// How many connections in a row were given up while they were opened.
    slow_openings: Arc<AtomicU32>,
    request_timeout: Duration,
    group_call_permits: Arc<Semaphore>,
    /// The runtime that drives the connections, whichever runtime the calls come from.
    runtime: runtime::Handle,
}

/// A connection to a member, and the number of the turn that it belongs to.
#[derive(Clone)]
pub(super) struct EtcdConnection {
    pub(super) turn: usize,
    pub(super) etcd: Connection,
}

impl EtcdClient {
    pub(super) fn new(
        access: &EtcdAccess,
        keys: &EtcdKeys,
        request_timeout: Duration,
    ) -> Result<Self, StoreError> {
        let EtcdAccess { endpoints, login, tls, trust, etcdctl } = access;
        let members = EtcdMember::all(access, keys, request_timeout)?;
        let runtime = runtime::Handle::try_current().map_err(|error| StoreError::Refused {
            problem: "no runtime: open the store inside a tokio runtime".into(),
            source: Some(error.into()),
        })?;
        let user = login.as_ref().map(|(user, _)| user.clone());
        Ok(Self {
            label: format!("etcd {}", endpoints.join(",")),
            etcdctl: Arc::clone(etcdctl),
            root: keys.root.clone(),
            tls: tls.clone(),
            trust: Arc::clone(trust),
            has_answered: AtomicBool::new(false),
            members,
            turns: MemberTurns::default(),
            logins: LoginAttempts::new(user.as_deref(), request_timeout),
            user,
            slow_openings: Arc::default(),
            request_timeout,
            group_call_permits: Arc::new(Semaphore::new(AT_ONCE)),
            runtime,
        })
    }

    /// Waits for a permit to make one of the calls that are made for each group. It is held until
    /// the call returns; waiting for it does not count towards the call's time-out.
    pub(super) async fn group_call_permit(&self) -> Option<OwnedSemaphorePermit> {
        // The semaphore is never closed.
        Arc::clone(&self.group_call_permits).acquire_owned().await.ok()
    }

    /// Makes a request within the request time-out, trying each member at most once.
    ///
    /// A member that fails may nevertheless have carried the request out, so doing it twice must be
    /// harmless.
    pub(super) async fn call<T, F>(
        &self,
        attempted: &'static str,
        request: impl Fn(Connection) -> F,
    ) -> Result<T, StoreError>
    where
        T: HasHeader,
        F: Future<Output = Result<T, Error>>,
    {
        self.call_on_connection(attempted, |connection| request(connection.etcd)).await
    }

    /// [`EtcdClient::call`] for requests that leave something open on their connection.
    pub(super) async fn call_on_connection<T, F>(
        &self,
        attempted: &'static str,
        request: impl Fn(EtcdConnection) -> F,
    ) -> Result<T, StoreError>
    where
        T: HasHeader,
        F: Future<Output = Result<T, Error>>,
    {
        measure::store_call();
        let in_time = Instant::now() + self.request_timeout;
        let (mut asked, mut renewed) = (0, false);
        loop {
            let turn = self.turns.current();
            let answer = async {
                let answer = request(self.connection(&turn).await?).await?;
                self.check_header(turn.number, answer.header()).map(|()| answer)
            };
            let Ok(answer) = timeout_at(in_time, answer).await else {
                if !self.waits_for_opening(&turn) {
                    self.end_turn(turn.number);
                }
                return Err(self.timeout_error(attempted, &turn));
            };
            match answer {
                Ok(answer) => {
                    self.has_answered.store(true, Ordering::Relaxed);
                    return Ok(answer);
                }
                // The connection broke before the request was sent: use the next one for it.
                Err(error) if was_not_sent(&error) => self.end_turn(turn.number),
                Err(error) if meaning(&error) == ErrorMeaning::StaleLogin && !renewed => {
                    renewed = true;
                    self.renew_login(attempted, turn, in_time).await?;
                }
                Err(error) => {
                    asked += 1;
                    let error = self.with_tls_error(&turn, error, in_time).await;
                    self.end_turn_after(turn.number, &error);
                    if !meaning(&error).is_member_specific() || asked >= self.members.len() {
                        return Err(self.store_error(attempted, error));
                    }
                }
            }
        }
    }

    /// Whether a connection that is still being opened is waited for beyond a call: if there is no
    /// other member, or if a login is what takes time. etcd hashes a password to the end even if
    /// nobody waits for it, so further logins elsewhere would only slow down all of them.
    fn waits_for_opening(&self, turn: &MemberTurn) -> bool {
        !turn.connection.initialized() && (self.members.len() == 1 || self.user.is_some())
    }

    /// Records who answered and at which revision; fails if the member belongs to another cluster.
    pub(super) fn check_header(
        &self,
        turn: usize,
        header: Option<&ResponseHeader>,
    ) -> Result<(), Error> {
        let Some(header) = header else { return Ok(()) };
        let member = &self.members[turn % self.members.len()];
        self.trust.check(member.address(), header.cluster_id())?;
        self.trust.history.observe_revision(header.revision());
        Ok(())
    }

    /// Which etcd cluster is trusted, and what is known of it.
    pub(super) fn trust(&self) -> &ClusterTrust {
        &self.trust
    }

    /// Resolves when `turn` has ended.
    pub(super) async fn turn_ended(&self, turn: usize) {
        self.turns.ended(turn).await;
    }

    /// The connection of a turn, logged in, to a trusted member.
    async fn connection(&self, turn: &MemberTurn) -> Result<EtcdConnection, Error> {
        let connection = turn.connection.clone();
        let opening = ConnectionOpener {
            members: Arc::clone(&self.members),
            member: turn.number % self.members.len(),
            trust: Arc::clone(&self.trust),
            logins: self.logins.clone(),
            within: self.request_timeout * SILENCE,
            slow_openings: Arc::clone(&self.slow_openings),
        };
        // Opening continues if the caller gives up, so that a login which is slower than a call is
        // ready for the next one. It runs on this runtime because that is what drives the
        // connection.
        let made = self
            .runtime
            .spawn(async move { connection.get_or_try_init(|| opening.connect()).await.cloned() });
        let etcd = made.await.map_err(|error| Error::Internal(error.to_string()))??;
        Ok(EtcdConnection { turn: turn.number, etcd })
    }

    /// Renews the login of a turn. The renewals of sessions need no login, so the connection is
    /// kept: where many hosts log in at once, a login may take longer than a lease lasts.
    async fn renew_login(
        &self,
        attempted: &'static str,
        turn: MemberTurn,
        in_time: Instant,
    ) -> Result<(), StoreError> {
        let (turns, members, logins) =
            (self.turns.clone(), self.members.len(), self.logins.clone());
        // This continues if the caller gives up, as above.
        let renewal =
            self.runtime.spawn(async move { turns.renew_login(&turn, members, &logins).await });
        match timeout_at(in_time, renewal).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(error))) => Err(self.store_error(attempted, error)),
            Ok(Err(error)) => Err(self.unavailable(attempted, error)),
            Err(_) => Err(self.login_error(attempted).unwrap_or_else(|| {
                let waits = self.logins.wait_reason();
                self.unavailable(attempted, waits.unwrap_or_else(|| "it has not answered".into()))
            })),
        }
    }

    /// The member of a turn.
    fn member(&self, turn: &MemberTurn) -> &EtcdMember {
        // There is at least one: `new` refuses an empty list.
        &self.members[turn.number % self.members.len()]
    }

    /// Ends `turn` if another member may do better, or if its connection is broken. Any answer,
    /// even an error, shows that a connection is alive.
    fn end_turn_after(&self, turn: usize, error: &Error) {
        let elsewhere = self.members.len() > 1 && meaning(error).is_member_specific();
        if elsewhere || is_connection_error(error) {
            self.end_turn(turn);
        }
    }

    /// Ends `turn`, unless it has ended already.
    fn end_turn(&self, turn: usize) {
        self.turns.end(turn);
    }

    /// Runs `work` on the runtime of the connections.
    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        drop(self.runtime.spawn(work));
    }

    pub(super) const fn request_timeout(&self) -> Duration {
        self.request_timeout
    }

    /// How long to trust a watch that reports nothing. Notifications may be lost without a sign, so
    /// nothing important depends on them alone.
    pub(super) fn recheck_interval(&self) -> Duration {
        let Range { start, end } = SECOND_LOOK;
        self.request_timeout.mul_f64(start + (end - start) * fastrand::f64())
    }
}

/// A client that several parts of the store share.
pub(super) type SharedClient = Arc<EtcdClient>;
