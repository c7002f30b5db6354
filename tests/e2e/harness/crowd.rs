//! Clients that send requests all the time, and check that fencing tokens never fall.

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

/// The fencing tokens of all answers, and when the last answer under each was received.
type Heard = BTreeMap<i64, Instant>;

/// Clients that send requests all the time.
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

    /// Waits until one of them gets an answer under a newer fencing token than `fencing_token`.
    pub(crate) async fn hears_newer_than(&self, fencing_token: i64) {
        let mut heard = self.heard.subscribe();
        let newer = heard.wait_for(|heard| newest(heard) > fencing_token);
        timeout(PATIENCE, newer).await.expect("a newer fencing token").expect("clients");
    }

    /// Stops the clients; returns the fencing tokens that they have seen.
    pub(crate) async fn disperse(self) -> BTreeMap<i64, Instant> {
        self.stop.store(true, Ordering::Relaxed);
        self.clients.join_all().await;
        self.heard.borrow().clone()
    }
}

fn newest(heard: &Heard) -> i64 {
    heard.last_key_value().map_or(0, |(fencing_token, _)| *fencing_token)
}

/// Sends requests until `stop`. Before each request it notes the newest fencing token that *any*
/// client has received: the answer must not be older.
async fn ask(web: Web, stop: Arc<AtomicBool>, heard: watch::Sender<Heard>) {
    while !stop.load(Ordering::Relaxed) {
        let known = newest(&heard.borrow());
        if let Some(answer) = web.get("/").await
            && answer.status == StatusCode::OK
        {
            assert!(answer.fencing_token >= known, "{answer:?} after fencing token {known}");
            heard.send_modify(|heard| {
                heard.insert(answer.fencing_token, Instant::now());
            });
        }
        sleep(Duration::from_millis(2)).await;
    }
}
