//! Clients that send requests all the time, and check that fencing tokens never fall, and that a
//! register loses no write.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use reqwest::StatusCode;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use super::{PATIENCE, client::Web};

/// The fencing tokens of all answers, and when the last answer under each was received.
type Heard = BTreeMap<i64, Instant>;

/// A write that a register has confirmed (`tests/guests/register`).
#[derive(Clone, Copy, Debug)]
struct Write {
    fencing_token: i64,
    value: u64,
}

/// Clients that send requests all the time.
pub(crate) struct Crowd {
    stop: Arc<AtomicBool>,
    heard: watch::Sender<Heard>,
    /// What was written, if the web action is a register.
    writes: Arc<Mutex<Vec<Write>>>,
    clients: JoinSet<()>,
}

impl Crowd {
    pub(crate) fn gather(web: &Web, size: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let heard = watch::Sender::new(Heard::new());
        let writes = Arc::default();
        let mut clients = JoinSet::new();
        for _ in 0..size {
            let client = Client {
                web: web.clone(),
                stop: Arc::clone(&stop),
                heard: heard.clone(),
                writes: Arc::clone(&writes),
            };
            clients.spawn(client.run());
        }
        Self { stop, heard, writes, clients }
    }

    /// Waits until one of them gets an answer under a newer fencing token than `fencing_token`.
    pub(crate) async fn hears_newer_than(&self, fencing_token: i64) {
        let mut heard = self.heard.subscribe();
        let newer = heard.wait_for(|heard| newest(heard) > fencing_token);
        timeout(PATIENCE, newer).await.expect("a newer fencing token").expect("clients");
    }

    /// Stops the clients; returns the fencing tokens that they have seen. No write may have been
    /// counted twice, or under an older fencing token than an earlier one.
    pub(crate) async fn disperse(self) -> BTreeMap<i64, Instant> {
        self.stop.store(true, Ordering::Relaxed);
        self.clients.join_all().await;
        let mut writes = self.writes.lock().expect("no panic").clone();
        writes.sort_unstable_by_key(|write| write.value);
        for pair in writes.windows(2) {
            assert!(pair[0].value < pair[1].value, "counted twice: {pair:?}");
            assert!(pair[0].fencing_token <= pair[1].fencing_token, "not fenced: {pair:?}");
        }
        self.heard.borrow().clone()
    }
}

fn newest(heard: &Heard) -> i64 {
    heard.last_key_value().map_or(0, |(fencing_token, _)| *fencing_token)
}

struct Client {
    web: Web,
    stop: Arc<AtomicBool>,
    heard: watch::Sender<Heard>,
    writes: Arc<Mutex<Vec<Write>>>,
}

impl Client {
    /// Sends requests until it is stopped.
    async fn run(self) {
        while !self.stop.load(Ordering::Relaxed) {
            self.ask().await;
            sleep(Duration::from_millis(2)).await;
        }
    }

    /// Before the request it notes the newest fencing token and value that *any* client has
    /// received: the answer must be newer.
    async fn ask(&self) {
        let known = newest(&self.heard.borrow());
        let written = self.writes.lock().expect("no panic").iter().map(|it| it.value).max();
        let answer = self.web.get("/").await;
        let Some(answer) = answer.filter(|answer| answer.status == StatusCode::OK) else { return };
        assert!(answer.fencing_token >= known, "{answer:?} after fencing token {known}");
        let fencing_token = answer.fencing_token;
        if let Some(value) = value(&answer.body) {
            assert!(Some(value) > written, "{answer:?} after {written:?}: a write was lost");
            self.writes.lock().expect("no panic").push(Write { fencing_token, value });
        }
        self.heard.send_modify(|heard| {
            heard.insert(fencing_token, Instant::now());
        });
    }
}

/// The value in a register's answer: it is after the fencing token.
fn value(body: &str) -> Option<u64> {
    let (fencing_token, value) = body.trim().split_once(' ')?;
    fencing_token.parse::<i64>().ok()?;
    value.parse().ok()
}
