//! A server for guests to send requests to; it answers as the test wants.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
};

use soloist_config::Grants;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    runtime::Builder,
    task::JoinSet,
    time::{Duration, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::rig::until;

/// What the server does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BackendBehaviour {
    /// Answers at once and keeps the connection open.
    Prompt,
    /// Answers with bytes that are not HTTP, whatever it gets.
    Garbage,
    /// Answers when the whole body has arrived.
    Patient,
    /// Never answers.
    Silent,
    /// Sends a head and the first half of a body.
    Half,
}

/// Ends on drop. It has its own thread and runtime, so that its tasks are not counted among those
/// of a term.
pub(crate) struct Backend {
    pub(crate) address: SocketAddr,
    connections: Arc<Mutex<Vec<String>>>,
    end: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Backend {
    pub(crate) fn start(manner: BackendBehaviour) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::<Mutex<Vec<String>>>::default();
        let end = CancellationToken::new();
        let (seen, ended) = (connections.clone(), end.clone());
        let thread = thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                ended.run_until_cancelled(accept(listener, manner, seen)).await;
            });
        });
        Self { address, connections, end, thread: Some(thread) }
    }

    /// What has arrived, by connection.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.connections.lock().unwrap().clone()
    }

    /// Waits until `text` has arrived.
    pub(crate) async fn sees(&self, text: &str) {
        until(text, || self.seen().concat().contains(text)).await;
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The grant to send requests to this server.
    pub(crate) fn granted(&self) -> Grants {
        outbound(&self.url())
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.end.cancel();
        self.thread.take().map(JoinHandle::join);
    }
}

/// The grant to send requests to `url`.
pub(crate) fn outbound(url: &str) -> Grants {
    Grants { outbound: vec![url.parse().unwrap()], ..Grants::default() }
}

async fn accept(listener: TcpListener, manner: BackendBehaviour, seen: Arc<Mutex<Vec<String>>>) {
    let mut each = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let index = {
            let mut seen = seen.lock().unwrap();
            seen.push(String::new());
            seen.len() - 1
        };
        each.spawn(serve(stream, manner, seen.clone(), index));
    }
}

const HELLO: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

async fn serve(
    mut stream: TcpStream,
    manner: BackendBehaviour,
    seen: Arc<Mutex<Vec<String>>>,
    index: usize,
) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        let text = {
            let mut seen = seen.lock().unwrap();
            seen[index].push_str(&String::from_utf8_lossy(&buffer[..count]));
            seen[index].clone()
        };
        let answer = match manner {
            BackendBehaviour::Garbage => "what do you say?",
            BackendBehaviour::Patient if text.ends_with("\r\n0\r\n\r\n") => HELLO,
            BackendBehaviour::Prompt if text.ends_with("\r\n\r\n") => HELLO,
            BackendBehaviour::Half if text.ends_with("\r\n\r\n") => {
                "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf"
            }
            _ => continue,
        };
        if stream.write_all(answer.as_bytes()).await.is_err() {
            break;
        }
    }
    seen.lock().unwrap()[index].push_str("<closed>");
}

/// A listener whose backlog is full: new connections wait.
pub(crate) struct FullBacklog {
    pub(crate) address: SocketAddr,
    _listener: TcpListener,
    _waiting: Vec<TcpStream>,
}

impl FullBacklog {
    pub(crate) async fn start() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut waiting = Vec::new();
        // Until the kernel drops new connections; it only shows by silence.
        while let Ok(stream) =
            timeout(Duration::from_millis(200), TcpStream::connect(address)).await
        {
            waiting.push(stream.unwrap());
        }
        Self { address, _listener: listener, _waiting: waiting }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}
