//! The clients: several for each action of each host. They send requests all the time and record
//! what they see. [`Client`] has the purpose of each.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};
use soloist_devtools::http::Connection;

use super::clock;
use super::history::{Action, Client, Outcome, Record};
use super::net::Node;
use super::request::{self, CompletedRequest};

impl Action {
    /// The port that the action listens on.
    pub(super) fn port(self) -> u16 {
        match self {
            Self::Web => 3000,
            Self::Register => 3001,
            Self::Files => 3002,
        }
    }
}

/// The time-out of most requests: much longer than an answer takes, much shorter than a term.
const SHORT: Duration = Duration::from_millis(300);

/// The number of connections that are held open to each action of a host.
const HELD: u64 = 12;

/// How often each held connection is used.
const HELD_EVERY: Duration = Duration::from_secs(4);

/// The leader, as the clients see it right now.
#[derive(Clone, Debug, Default)]
pub(super) struct LeaderView {
    /// The newest fencing token that a host has answered under.
    pub(super) fencing_token: u64,
    /// The name of that host.
    pub(super) host: String,
    /// When the first answer under this fencing token was received.
    pub(super) since: u64,
    /// When the last answer under this fencing token was received.
    pub(super) last: u64,
    /// Answers to requests that were sent earlier are ignored: they belong to another history of
    /// the store.
    began: u64,
}

impl LeaderView {
    fn note(&mut self, record: &Record) {
        let Some(answer) = record.good().filter(|_| record.sent >= self.began) else { return };
        let (Some(fencing_token), Some(host)) = (answer.fencing_token, &answer.host) else {
            return;
        };
        if fencing_token > self.fencing_token {
            (self.fencing_token, self.since) = (fencing_token, record.received);
        }
        if fencing_token == self.fencing_token {
            self.host.clone_from(host);
            self.last = self.last.max(record.received);
        }
    }
}

/// Running clients.
pub(super) struct Clients {
    view: Arc<Mutex<LeaderView>>,
    unreached: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    writer: Option<JoinHandle<Result<Vec<Record>>>>,
}

impl Clients {
    /// Starts clients for each of `actions` of each of `hosts`, which write to the file `history`.
    /// Patient clients wait for `patience`.
    pub(super) fn start(
        hosts: &[Node],
        actions: &[Action],
        history: &Path,
        patience: Duration,
    ) -> Result<Self> {
        let (view, stop) = (Arc::<Mutex<LeaderView>>::default(), Arc::<AtomicBool>::default());
        let unreached = Arc::<AtomicU64>::default();
        let (records, written) = mpsc::channel();
        let file = File::create(history).context("cannot write the history")?;
        let writer = thread::spawn({
            let (view, unreached) = (Arc::clone(&view), Arc::clone(&unreached));
            move || write(&written, file, &view, &unreached)
        });
        let mut threads = Vec::new();
        let kinds = [Client::Steady, Client::Fresh, Client::Patient];
        let clients = kinds.iter().flat_map(|client| actions.iter().map(move |a| (*client, *a)));
        for (client, action) in clients {
            for &host in hosts {
                let stop = Arc::clone(&stop);
                let asker =
                    ClientWorker { host, client, action, patience, records: records.clone() };
                threads.push(thread::spawn(move || asker.run(&stop)));
            }
        }
        for turn in 0..HELD {
            for (&host, &action) in hosts.iter().flat_map(|h| actions.iter().map(move |a| (h, a))) {
                let (stop, client) = (Arc::clone(&stop), Client::Held);
                let asker =
                    ClientWorker { host, client, action, patience, records: records.clone() };
                threads.push(thread::spawn(move || asker.hold(turn, &stop)));
            }
        }
        Ok(Self { view, unreached, stop, threads, writer: Some(writer) })
    }

    /// The leader, as the clients see it right now.
    pub(super) fn view(&self) -> LeaderView {
        self.view.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Forgets the leader, since fencing tokens may be lower after `at`.
    pub(super) fn rebase(&self, at: u64) {
        let mut view = self.view.lock().unwrap_or_else(PoisonError::into_inner);
        *view = LeaderView { began: at, ..LeaderView::default() };
    }

    /// Stops the clients. Returns all records, and the number of requests without a connection.
    pub(super) fn finish(mut self) -> Result<(Vec<Record>, u64)> {
        self.join();
        let writer = self.writer.take().context("the history is finished already")?;
        let records = writer.join().map_err(|_| anyhow::anyhow!("the history has a panic"))??;
        Ok((records, self.unreached.load(Ordering::Relaxed)))
    }

    fn join(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // If the client panicked, its records are in the history already.
            let _ = thread.join();
        }
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        self.join();
        if let Some(writer) = self.writer.take() {
            // The writer ends with the last client.
            let _ = writer.join();
        }
    }
}

/// Writes records to the history until the last client has ended.
fn write(
    records: &Receiver<Record>,
    file: File,
    view: &Mutex<LeaderView>,
    unreached: &AtomicU64,
) -> Result<Vec<Record>> {
    let mut file = BufWriter::new(file);
    let mut all = Vec::new();
    for record in records {
        if matches!(record.outcome, Outcome::Unreached) {
            // By far the most requests end here: standbys do not listen.
            unreached.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        view.lock().unwrap_or_else(PoisonError::into_inner).note(&record);
        writeln!(file, "{}", record.line()).context("cannot write the history")?;
        all.push(record);
    }
    file.flush()?;
    Ok(all)
}

/// A client of one action of one host.
struct ClientWorker {
    host: Node,
    client: Client,
    action: Action,
    patience: Duration,
    records: Sender<Record>,
}

impl ClientWorker {
    fn run(&self, stop: &AtomicBool) {
        let every = clock::ns(Duration::from_millis(match (self.client, self.action) {
            (Client::Steady, Action::Web) => 5,
            (Client::Steady, _) => 10,
            (Client::Fresh, _) => 25,
            (Client::Patient | Client::Held, _) => 250,
        }));
        let mut connection = None;
        // A late answer must not delay the next request.
        thread::scope(|waiting| {
            while !stop.load(Ordering::Relaxed) {
                let next = clock::now() + every;
                match self.client {
                    Client::Steady => self.ask(&mut connection, SHORT),
                    Client::Fresh => self.ask(&mut None, SHORT),
                    Client::Patient | Client::Held => {
                        waiting.spawn(|| self.ask(&mut None, self.patience));
                    }
                }
                clock::sleep_until(next);
            }
        });
    }

    /// Holds a connection open, and uses it at the times that belong to `turn`.
    fn hold(&self, turn: u64, stop: &AtomicBool) {
        let every = clock::ns(HELD_EVERY);
        let mut due = clock::now() + every * turn / HELD;
        let mut connection = None;
        while !stop.load(Ordering::Relaxed) {
            if connection.as_ref().is_none_or(Connection::is_closed) {
                connection = Connection::open(self.host.client(self.action.port()), SHORT)
                    .and_then(|open| open.wait_for(self.patience))
                    .ok();
            }
            if clock::now() >= due {
                due += every;
                if connection.is_some() {
                    self.ask(&mut connection, self.patience);
                }
            }
            clock::sleep_until(due.min(clock::now() + clock::ns(SHORT)));
        }
    }

    /// Sends one request, over `connection` or a new one. A reusable connection is left in
    /// `connection`.
    fn ask(&self, connection: &mut Option<Connection>, timeout: Duration) {
        let began = clock::now();
        let open = connection.take();
        let open = match open {
            Some(open) => Ok(open),
            None => Connection::open(self.host.client(self.action.port()), timeout),
        };
        let CompletedRequest { sent, received, outcome, .. } = match open {
            Ok(mut open) => {
                let asked = request::ask(&mut open, "/");
                *connection = asked.keep.then_some(open);
                asked
            }
            Err(_) => CompletedRequest {
                sent: began,
                received: clock::now(),
                outcome: Outcome::Unreached,
                keep: false,
            },
        };
        let (client, action, asked) = (self.client, self.action, self.host.name);
        // The send fails only when the bench ends and no longer reads.
        let _ = self.records.send(Record { client, action, asked, sent, received, outcome });
    }
}
