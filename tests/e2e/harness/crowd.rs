//! Clients that ask all the time, each checking that tokens never go back.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
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

/// What was heard: each token, and when it was heard last.
type Heard = BTreeMap<i64, Instant>;

/// Clients that ask all the time.
pub(crate) struct Crowd {
    stop: Arc<AtomicBool>,
    heard: watch::Sender<Heard>,
    clients: JoinSet<()>,
}

impl Crowd {
    pub(crate) fn gather(web: &Web, size: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let heard = watch::Sender::new(Heard::new());
        let mut clients = JoinSet::new();
        for _ in 0..size {
            clients.spawn(ask(web.clone(), Arc::clone(&stop), heard.clone()));
        }
        Self { stop, heard, clients }
    }

    /// Awaits that one of them gets an answer with a newer token than `token`.
    pub(crate) async fn hears_newer_than(&self, token: i64) {
        let mut heard = self.heard.subscribe();
        let newer = heard.wait_for(|heard| newest(heard) > token);
        timeout(PATIENCE, newer).await.expect("a newer token").expect("clients");
    }

    /// Sends the clients home. Returns what they heard.
    pub(crate) async fn disperse(self) -> BTreeMap<i64, Instant> {
        self.stop.store(true, Ordering::Relaxed);
        self.clients.join_all().await;
        self.heard.borrow().clone()
    }
}

fn newest(heard: &Heard) -> i64 {
    heard.last_key_value().map_or(0, |(token, _)| *token)
}

/// Asks until `stop`. Before each request the newest token that *anybody* has
/// received by then is noted: an answer must not be older.
async fn ask(web: Web, stop: Arc<AtomicBool>, heard: watch::Sender<Heard>) {
    while !stop.load(Ordering::Relaxed) {
        let known = newest(&heard.borrow());
        if let Some(answer) = web.get("/").await
            && answer.status == StatusCode::OK
        {
            assert!(answer.token >= known, "{answer:?} after token {known}");
            heard.send_modify(|heard| {
                heard.insert(answer.token, Instant::now());
            });
        }
        sleep(Duration::from_millis(2)).await;
    }
}
