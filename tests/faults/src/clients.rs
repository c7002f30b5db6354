//! The clients: some for each action of each host, which ask it again and again
//! and write down what they see. See [`Client`] for what each is there for.

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
use super::wire::{self, Asked};

impl Action {
    /// The port that it listens on.
    pub(super) fn port(self) -> u16 {
        match self {
            Self::Web => 3000,
            Self::Register => 3001,
            Self::Files => 3002,
        }
    }
}

/// Long beside an answer, short beside a term.
const SHORT: Duration = Duration::from_millis(300);

/// How many connections are held to an action of a host.
const HELD: u64 = 12;

/// How often each of them is used.
const HELD_EVERY: Duration = Duration::from_secs(4);

/// What is known of the leader right now.
#[derive(Clone, Debug, Default)]
pub(super) struct View {
    /// The newest token that anyone has answered under.
    pub(super) token: u64,
    /// The name of the host that did.
    pub(super) host: String,
    /// When the first answer under it was received.
    pub(super) since: u64,
    /// When it last did.
    pub(super) last: u64,
    /// What was asked before counts no more: it was answered in another history of the store.
    began: u64,
}

impl View {
    fn note(&mut self, record: &Record) {
        let Some(answer) = record.good().filter(|_| record.sent >= self.began) else { return };
        let (Some(token), Some(host)) = (answer.token, &answer.host) else { return };
        if token > self.token {
            (self.token, self.since) = (token, record.received);
        }
        if token == self.token {
            self.host.clone_from(host);
            self.last = self.last.max(record.received);
        }
    }
}

/// Running clients.
pub(super) struct Clients {
    view: Arc<Mutex<View>>,
    unreached: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    writer: Option<JoinHandle<Result<Vec<Record>>>>,
}

impl Clients {
    /// Starts to ask each of `actions` of each of `hosts`; what comes back goes
    /// to `history`. A frozen host is waited for as long as `patience`.
    pub(super) fn start(
        hosts: &[Node],
        actions: &[Action],
        history: &Path,
        patience: Duration,
    ) -> Result<Self> {
        let (view, stop) = (Arc::<Mutex<View>>::default(), Arc::<AtomicBool>::default());
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
                let asker = Asker { host, client, action, patience, records: records.clone() };
                threads.push(thread::spawn(move || asker.run(&stop)));
            }
        }
        for turn in 0..HELD {
            for (&host, &action) in hosts.iter().flat_map(|h| actions.iter().map(move |a| (h, a))) {
                let (stop, client) = (Arc::clone(&stop), Client::Held);
                let asker = Asker { host, client, action, patience, records: records.clone() };
                threads.push(thread::spawn(move || asker.hold(turn, &stop)));
            }
        }
        Ok(Self { view, unreached, stop, threads, writer: Some(writer) })
    }

    /// What is known of the leader right now.
    pub(super) fn view(&self) -> View {
        self.view.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Begins anew at `at`: tokens may be lower from then on.
    pub(super) fn rebase(&self, at: u64) {
        let mut view = self.view.lock().unwrap_or_else(PoisonError::into_inner);
        *view = View { began: at, ..View::default() };
    }

    /// Ends the clients; returns all records, and the number of requests that
    /// found nobody.
    pub(super) fn finish(mut self) -> Result<(Vec<Record>, u64)> {
        self.join();
        let writer = self.writer.take().context("the history is finished already")?;
        let records = writer.join().map_err(|_| anyhow::anyhow!("the history has a panic"))??;
        Ok((records, self.unreached.load(Ordering::Relaxed)))
    }

    fn join(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // What it has seen is in the history already.
            let _ = thread.join();
        }
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        self.join();
        if let Some(writer) = self.writer.take() {
            // It ends with the last client.
            let _ = writer.join();
        }
    }
}

/// Writes down what comes, until the last client has gone.
fn write(
    records: &Receiver<Record>,
    file: File,
    view: &Mutex<View>,
    unreached: &AtomicU64,
) -> Result<Vec<Record>> {
    let mut file = BufWriter::new(file);
    let mut all = Vec::new();
    for record in records {
        if matches!(record.outcome, Outcome::Unreached) {
            // Most requests by far: the standbys do not listen.
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

/// One client of one action of one host.
struct Asker {
    host: Node,
    client: Client,
    action: Action,
    patience: Duration,
    records: Sender<Record>,
}

impl Asker {
    fn run(&self, stop: &AtomicBool) {
        let every = clock::ns(Duration::from_millis(match (self.client, self.action) {
            (Client::Steady, Action::Web) => 5,
            (Client::Steady, _) => 10,
            (Client::Fresh, _) => 25,
            (Client::Patient | Client::Held, _) => 250,
        }));
        let mut connection = None;
        // One late request must not keep the next from being sent.
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

    /// Holds a connection, and uses it when it is the turn of `turn`.
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

    /// Asks once, over `connection` or a new one, which is left there if it is
    /// good for another request.
    fn ask(&self, connection: &mut Option<Connection>, timeout: Duration) {
        let began = clock::now();
        let open = connection.take();
        let open = match open {
            Some(open) => Ok(open),
            None => Connection::open(self.host.client(self.action.port()), timeout),
        };
        let Asked { sent, received, outcome, .. } = match open {
            Ok(mut open) => {
                let asked = wire::ask(&mut open, "/");
                *connection = asked.keep.then_some(open);
                asked
            }
            Err(_) => Asked {
                sent: began,
                received: clock::now(),
                outcome: Outcome::Unreached,
                keep: false,
            },
        };
        let (client, action, asked) = (self.client, self.action, self.host.name);
        // Nobody reads any more: the bench is at its end.
        let _ = self.records.send(Record { client, action, asked, sent, received, outcome });
    }
}
