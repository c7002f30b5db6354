//! A way to a server on which answers can get lost.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
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
    task: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (answers, told) = watch::channel(Answers::Pass);
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&server).await.unwrap();
                connections.spawn(pass(client, server, told.clone()));
            }
        });
        Self { address, answers, task }
    }

    /// From here on no answer comes through.
    pub(crate) fn lose_answers(&self) {
        self.answers.send_replace(Answers::GetLost);
    }

    /// Breaks all connections; nobody listens any more.
    pub(crate) async fn break_down(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

async fn pass(client: TcpStream, server: TcpStream, told: watch::Receiver<Answers>) {
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
            }
        }
    };
    // Either side may hang up.
    let _: Result<_, std::io::Error> = tokio::try_join!(asked, answered);
}
