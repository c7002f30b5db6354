//! A way to a server on which answers can get lost.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
    time::timeout,
};

/// What becomes of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answers {
    Pass,
    GetLost,
}

/// Passes connections on, until it is told otherwise.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    answers: watch::Sender<Answers>,
    /// How many answers have got lost.
    lost: watch::Sender<usize>,
    task: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (answers, told) = watch::channel(Answers::Pass);
        let lost = watch::Sender::new(0);
        let losing = lost.clone();
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&server).await.unwrap();
                connections.spawn(pass(client, server, told.clone(), losing.clone()));
            }
        });
        Self { address, answers, lost, task }
    }

    /// From here on no answer comes through.
    pub(crate) fn lose_answers(&self) {
        self.answers.send_replace(Answers::GetLost);
    }

    /// Loses what the server says because of `work`, as a whole. What it says after that comes
    /// through, on the same connection, as if nothing had been.
    pub(crate) async fn lose_what_follows(&self, work: impl Future<Output = ()>) {
        let (mut lost, quiet) = (self.lost.subscribe(), Duration::from_millis(300));
        self.lose_answers();
        work.await;
        lost.changed().await.unwrap();
        while timeout(quiet, lost.changed()).await.is_ok() {}
        self.answers.send_replace(Answers::Pass);
    }

    /// Breaks all connections; nobody listens any more.
    pub(crate) async fn break_down(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

async fn pass(
    client: TcpStream,
    server: TcpStream,
    told: watch::Receiver<Answers>,
    lost: watch::Sender<usize>,
) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let asked = async { tokio::io::copy(&mut from_client, &mut to_server).await.map(drop) };
    let answered = async {
        let mut some = vec![0; 1 << 16];
        loop {
            let length = from_server.read(&mut some).await?;
            if length == 0 {
                return Ok(());
            }
            if *told.borrow() == Answers::Pass {
                to_client.write_all(&some[..length]).await?;
            } else {
                lost.send_modify(|count| *count += 1);
            }
        }
    };
    // Either side may hang up.
    let _: Result<_, std::io::Error> = tokio::try_join!(asked, answered);
}
