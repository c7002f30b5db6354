//! The connections to etcd's members, and which of them is used.
//!
//! One member at a time is asked, and the next one as soon as it fails: a
//! balancer that spreads calls would send every other one to a member that is
//! dead, or cut off from its peers. A *turn* is the time that one member is
//! asked. When it is over, all that waits at that member is given up, so no
//! campaign and no watch hangs on a connection that a renewal found dead.

use std::{future::Future, sync::Arc, time::Duration};

use etcd_client::{Client as Connection, ConnectOptions, Error};
use tokio::{
    runtime,
    sync::{Mutex, watch},
    time::timeout,
};

use super::refusal::{Asker, Meaning, meaning};
use crate::store::StoreError;

/// From one HTTP/2 ping to the next on a connection with calls in flight. etcd
/// hangs up on whoever pings more often than every 5 s
/// (`--grpc-keepalive-min-time`).
const PING: Duration = Duration::from_secs(10);

/// All members of one etcd cluster, as one user.
pub(super) struct Client {
    pub(super) label: String,
    /// The prefix that this client works in, for the texts of errors.
    root: String,
    user: Option<String>,
    members: Vec<Member>,
    /// The present turn; the members take turns.
    turn: watch::Sender<usize>,
    request_timeout: Duration,
    /// Drives the connections, whichever runtime the calls come from.
    runtime: runtime::Handle,
}

struct Member {
    address: String,
    options: ConnectOptions,
    /// Connects by itself when it is used, and again when it broke.
    connection: Mutex<Option<Connection>>,
}

impl Client {
    pub(super) fn new(
        endpoints: &[String],
        login: Option<(String, String)>,
        root: &str,
        request_timeout: Duration,
    ) -> Result<Self, StoreError> {
        let members = u32::try_from(endpoints.len()).ok().filter(|count| *count > 0);
        let count = members.ok_or_else(|| {
            StoreError::refused("no etcd endpoint: write `store = \"etcd://HOST:2379\"`")
        })?;
        let runtime = runtime::Handle::try_current().map_err(|error| StoreError::Refused {
            problem: "no runtime: open the store inside a tokio runtime".into(),
            source: Some(error.into()),
        })?;
        let user = login.as_ref().map(|(user, _)| user.clone());
        let options = options(login, request_timeout, count);
        let member = |address: &String| Member {
            address: address.clone(),
            options: options.clone(),
            connection: Mutex::default(),
        };
        Ok(Self {
            label: format!("etcd {}", endpoints.join(",")),
            root: root.to_owned(),
            user,
            members: endpoints.iter().map(member).collect(),
            turn: watch::Sender::new(0),
            request_timeout,
            runtime,
        })
    }

    /// Makes a request within the request time-out, of each member at most once.
    ///
    /// A member that fails may have carried the request out all the same, so
    /// doing it twice must do no harm.
    pub(super) async fn call<T, F>(
        &self,
        attempted: &'static str,
        request: impl Fn(Connection) -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let first = self.turn();
        match timeout(self.request_timeout, self.ask_around(request)).await {
            Ok(answer) => answer.map_err(|error| self.told(attempted, error)),
            Err(_) => {
                self.hang_up(first);
                self.leave(first);
                Err(self.unavailable(attempted, no_answer(self.request_timeout)))
            }
        }
    }

    async fn ask_around<T, F>(&self, request: impl Fn(Connection) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let mut asked = 0;
        loop {
            let turn = self.turn();
            let answer = self.ask(turn, &request).await;
            asked += 1;
            match answer {
                Err(error) if meaning(&error) == Meaning::Unavailable => {
                    self.leave(turn);
                    if asked >= self.members.len() {
                        return Err(error);
                    }
                }
                answer => return answer,
            }
        }
    }

    /// Makes a request that may take any time, but not longer than the turn:
    /// a member that cannot answer a call in time may not notice either how
    /// an election goes on.
    pub(super) async fn stay<T, F>(
        &self,
        attempted: &'static str,
        request: impl Fn(Connection) -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let turn = self.turn();
        tokio::select! {
            answer = self.ask(turn, &request) => answer.map_err(|error| {
                if meaning(&error) == Meaning::Unavailable {
                    self.leave(turn);
                }
                self.told(attempted, error)
            }),
            () = self.left(turn) => Err(self.unavailable(attempted, "its member of etcd failed")),
        }
    }

    async fn ask<T, F>(&self, turn: usize, request: &impl Fn(Connection) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let connection = self.connection(self.member(turn)).await?;
        let answer = request(connection.clone()).await;
        if let Err(error) = &answer
            && meaning(error) == Meaning::StaleLogin
        {
            // For the caller's next try. etcd-client does it by itself, but
            // for streams, and after a change of etcd's users.
            connection.refresh_token().await?;
        }
        answer
    }

    /// The connection to a member, logged in.
    async fn connection(&self, member: &Member) -> Result<Connection, Error> {
        let mut connection = member.connection.lock().await;
        if let Some(connection) = &*connection {
            return Ok(connection.clone());
        }
        let (address, options) = (member.address.clone(), member.options.clone());
        let login = timeout(self.request_timeout, Connection::connect([address], Some(options)));
        // A connection is driven by the runtime that it was made on.
        let made = self.runtime.spawn(login).await;
        let made = made
            .map_err(|error| Error::Internal(error.to_string()))?
            .map_err(|_| Error::EndpointError(no_answer(self.request_timeout)))??;
        Ok(connection.insert(made).clone())
    }

    /// Drops a connection on which nothing was heard in time: it may be dead
    /// without anybody having said so, which only a ping would find out.
    fn hang_up(&self, turn: usize) {
        // Whoever holds the lock is making a new one.
        if let Ok(mut connection) = self.member(turn).connection.try_lock() {
            *connection = None;
        }
    }

    fn member(&self, turn: usize) -> &Member {
        // There is at least one: `new` refuses an empty list.
        &self.members[turn % self.members.len()]
    }

    pub(super) fn turn(&self) -> usize {
        *self.turn.borrow()
    }

    /// Ends `turn`, unless it has ended already.
    fn leave(&self, turn: usize) {
        self.turn.send_if_modified(|now| {
            let leave = *now == turn;
            *now += usize::from(leave);
            leave
        });
    }

    /// Ends when `turn` has ended.
    pub(super) async fn left(&self, turn: usize) {
        // It cannot fail: the sender is in `self`.
        let _ = self.turn.subscribe().wait_for(|now| *now != turn).await;
    }

    /// Does `work` on the runtime of the connections.
    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        drop(self.runtime.spawn(work));
    }

    pub(super) fn told(&self, attempted: &'static str, error: Error) -> StoreError {
        let user = self.user.as_deref();
        Asker { store: &self.label, user, root: &self.root }.told(attempted, error)
    }

    pub(super) const fn request_timeout(&self) -> Duration {
        self.request_timeout
    }

    pub(super) fn unavailable(
        &self,
        attempted: &'static str,
        source: impl Into<crate::store::error::Cause>,
    ) -> StoreError {
        StoreError::Unavailable { attempted, store: self.label.clone(), source: source.into() }
    }
}

/// A client that several calls share.
pub(super) type Shared = Arc<Client>;

fn no_answer(within: Duration) -> String {
    format!("no answer within {} ms", within.as_millis())
}

fn options(
    login: Option<(String, String)>,
    request_timeout: Duration,
    members: u32,
) -> ConnectOptions {
    let options = ConnectOptions::new()
        // So that one call has the time to find the member that answers.
        .with_connect_timeout(request_timeout / members)
        .with_keep_alive(PING, request_timeout)
        // Without calls in flight etcd tolerates a ping every 2 hours only.
        .with_keep_alive_while_idle(false)
        .with_tcp_keepalive(PING)
        // A member that is cut off from its peers says so at once.
        .with_require_leader(true)
        .with_auto_token_refresh(true);
    match login {
        Some((user, password)) => options.with_user(user, password),
        None => options,
    }
}
