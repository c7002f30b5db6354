//! The notifications for a service manager, from real processes: systemd's protocol.

use std::{collections::VecDeque, os::unix::net::UnixDatagram as StdDatagram, time::Duration};

use rustix::process::Signal;
use tokio::{net::UnixDatagram, time::timeout};

use crate::harness::{
    PATIENCE,
    cluster::{Cluster, Kind},
    process::Process,
};

/// The watchdog's time-out: how long the manager waits for a heartbeat.
const WATCHDOG: Duration = Duration::from_millis(600);

/// The manager's end of the socket.
struct Manager {
    socket: UnixDatagram,
    heard: VecDeque<String>,
}

impl Manager {
    async fn hear(&mut self) -> String {
        let mut word = [0; 256];
        let received = timeout(PATIENCE, self.socket.recv(&mut word)).await;
        let length = received.expect("it says something").expect("a word");
        String::from_utf8(word[..length].to_vec()).expect("UTF-8")
    }

    /// Waits for this message, and skips others.
    async fn until(&mut self, word: &str) {
        loop {
            let heard = self.hear().await;
            if heard == word {
                return;
            }
            self.heard.push_back(heard);
        }
    }

    /// Whether no message comes for twice the watchdog's time-out, apart from those already queued.
    async fn is_silent(&mut self) -> bool {
        let mut word = [0; 256];
        while self.socket.try_recv(&mut word).is_ok() {}
        timeout(WATCHDOG * 2, self.socket.readable()).await.is_err()
    }
}

/// A host `a` under a supervisor, as systemd starts it.
async fn managed() -> (Cluster, Manager) {
    let mut cluster = Cluster::new(Kind::Sqlite).await;
    cluster.supervised = true;
    let address = cluster.folder.path().join("notify");
    let socket = StdDatagram::bind(&address).expect("a socket");
    socket.set_nonblocking(true).expect("a setting");
    let socket = UnixDatagram::from_std(socket).expect("a socket");
    let mut command = cluster.command("a", "");
    command.env("NOTIFY_SOCKET", &address).env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string());
    cluster.hosts.insert("a", Process::start(&mut command));
    (cluster, Manager { socket, heard: VecDeque::new() })
}

#[tokio::test(flavor = "multi_thread")]
async fn it_hears_when_a_host_is_ready_lives_and_goes() {
    let (mut cluster, mut manager) = managed().await;
    manager.until("READY=1").await;
    // The control API serves by then.
    let status = cluster.host("a").status().await;
    assert_eq!(status["host"]["name"], "a");
    for _ in 0..4 {
        manager.until("WATCHDOG=1").await;
    }
    cluster.terminate("a").await;
    manager.until("STOPPING=1").await;
    assert!(manager.heard.iter().all(|word| word == "WATCHDOG=1"), "{:?}", manager.heard);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_stands_still_falls_silent() {
    let (mut cluster, mut manager) = managed().await;
    manager.until("READY=1").await;
    let host = cluster.host("a").supervised(0).await;
    // The supervisor is alive, but that proves nothing about its host.
    host.signal(Signal::STOP);
    // One message may have been on its way when the last thread was frozen.
    let is_silent = manager.is_silent().await || manager.is_silent().await;
    assert!(is_silent, "a host that stands still has said that it is well");
    host.signal(Signal::CONT);
    manager.until("WATCHDOG=1").await;
    cluster.terminate("a").await;
    manager.until("STOPPING=1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_comes_back_is_ready_again() {
    let (mut cluster, mut manager) = managed().await;
    manager.until("READY=1").await;
    cluster.host("a").supervised(0).await.signal(Signal::KILL);
    manager.until("READY=1").await;
    cluster.terminate("a").await;
    manager.until("STOPPING=1").await;
}
