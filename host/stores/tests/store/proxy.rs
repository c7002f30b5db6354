//! A proxy in front of a server that can lose the server's answers.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
    time::timeout,
};

/// What the proxy does with answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AnswerMode {
    Pass,
    Lose,
}

/// Forwards connections, with their answers until told otherwise.
pub(crate) struct LossyProxy {
    pub(crate) address: SocketAddr,
    answers: watch::Sender<AnswerMode>,
    /// How many chunks of answers were lost.
    lost: watch::Sender<usize>,
    task: JoinHandle<()>,
}

impl LossyProxy {
    pub(crate) async fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (answers, told) = watch::channel(AnswerMode::Pass);
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

    /// From now on no answer is forwarded.
    pub(crate) fn lose_answers(&self) {
        self.answers.send_replace(AnswerMode::Lose);
    }

    /// Loses everything that the server sends because of `work`. What it sends later is forwarded
    /// again, on the same connection, as if nothing had happened.
    pub(crate) async fn lose_what_follows(&self, work: impl Future<Output = ()>) {
        let (mut lost, quiet) = (self.lost.subscribe(), Duration::from_millis(300));
        self.lose_answers();
        work.await;
        lost.changed().await.unwrap();
        while timeout(quiet, lost.changed()).await.is_ok() {}
        self.answers.send_replace(AnswerMode::Pass);
    }

    /// Breaks all connections and stops listening.
    pub(crate) async fn break_down(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

async fn pass(
    client: TcpStream,
    server: TcpStream,
    told: watch::Receiver<AnswerMode>,
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
            if *told.borrow() == AnswerMode::Pass {
                to_client.write_all(&some[..length]).await?;
            } else {
                lost.send_modify(|count| *count += 1);
            }
        }
    };
    // Either side may close the connection.
    let _: Result<_, std::io::Error> = tokio::try_join!(asked, answered);
}
