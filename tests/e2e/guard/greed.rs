//! Clients that take more than their share and use it for nothing.

use std::process::Stdio;

use futures::future::join_all;
use http_body_util::Empty;
use hyper::{Request, Response, body::Incoming, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    process::Command,
};

use super::*;
use crate::harness::process::Process;

/// Before any address closes idle connections, which begins after ten seconds.
const AT_ONCE: Duration = Duration::from_secs(8);

/// The same command with a limit of `files` open files.
fn with_files(command: &Command, files: u32) -> Command {
    let inner = command.as_std();
    let mut outer = Command::new("sh");
    let limit = format!("ulimit -n {files} && exec \"$0\" \"$@\"");
    outer.arg("-c").arg(limit).arg(inner.get_program()).args(inner.get_args());
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    outer.current_dir(inner.get_current_dir().expect("a folder"));
    outer.stdin(Stdio::null()).kill_on_drop(true);
    outer
}

/// A connection to `to` from another address of this machine.
async fn from(own: std::net::Ipv4Addr, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(at(own, 0)).unwrap();
    socket.connect(to).await.unwrap()
}

/// The answer to a request on a connection that ends with it.
async fn ask(mut stream: TcpStream, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n");
    let mut answer = String::new();
    let asked = timeout(AT_ONCE, async {
        stream.write_all(request.as_bytes()).await?;
        stream.read_to_string(&mut answer).await
    });
    let asked = asked.await.expect("an answer before idle connections are given up");
    asked.map_or_else(|error| error.to_string(), |_| answer)
}

async fn until(what: &str, is_it: impl AsyncFn() -> bool) {
    let waited = timeout(3 * PATIENCE, async {
        while !is_it().await {
            sleep(Duration::from_millis(50)).await;
        }
    });
    assert!(waited.await.is_ok(), "never: {what}");
}

/// With so few files, the host would lead but answer no requests.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_with_too_few_files_does_not_start() {
    let mut cluster = Cluster::new(Kind::Sqlite).await;
    for supervised in [false, true] {
        cluster.supervised = supervised;
        let Ended { status, output } = run(&mut with_files(&cluster.command("a", ""), 255)).await;
        assert_eq!(status.code(), Some(crate::harness::exit::UNAVAILABLE), "{output}");
        assert!(output.contains("may have 255 files open") && output.contains("ulimit -n"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_shut_no_address() {
    let mut cluster = Cluster::new(Kind::Sqlite).await;
    let process = Process::start(&mut with_files(&cluster.command("a", ""), 256));
    cluster.hosts.insert("a", process);
    cluster.leading("a").await;
    cluster.web.until("an answer", |_| true).await;
    let (control, web) = (cluster.host("a").api().await, cluster.web_at);
    // From the address that all other clients here share, and from another one.
    let other = own_address();
    let mut idle = Vec::new();
    for number in 0..400 {
        for to in [control, web] {
            let stream = match number % 2 {
                0 => TcpStream::connect(to).await,
                _ => Ok(from(other, to).await),
            };
            idle.extend(stream);
        }
    }
    for (own, to) in [(other, control), (own_address(), control), (own_address(), web)] {
        let path = if to == control { "/livez" } else { "/" };
        let answer = ask(from(own, to).await, path).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{own} at {to}: {answer:?}");
    }
    let mut command = soloist();
    let Ended { status, output } =
        run(command.args(["status", "--ready"]).env("SOLOIST_URL", format!("http://{control}")))
            .await;
    assert!(status.success(), "{output}");
    assert!(cluster.host("a").files() < 224, "{} files", cluster.host("a").files());
    assert_eq!(cluster.host("a").log.events("store-lost").len(), 0);
    drop(idle);
}

/// Requests over HTTP/2 whose answers are never read, as long as this lives.
struct Greedy {
    answers: Vec<Response<Incoming>>,
    _sender: http2::SendRequest<Empty<bytes::Bytes>>,
}

impl Greedy {
    async fn at(to: SocketAddr, streams: usize) -> Self {
        let stream = TokioIo::new(TcpStream::connect(to).await.unwrap());
        let mut client = http2::Builder::new(TokioExecutor::new());
        client.initial_stream_window_size(0_u32);
        let (mut sender, connection) = client.handshake(stream).await.unwrap();
        tokio::spawn(connection);
        let mut asked = Vec::new();
        for _ in 0..streams {
            let request = Request::get(format!("http://{to}/")).body(Empty::new()).unwrap();
            asked.push(sender.send_request(request));
        }
        let answers = join_all(asked).await.into_iter().flatten().collect();
        Self { answers, _sender: sender }
    }

    /// Waits until the host has ended every answer; the client has ended none.
    async fn is_over(&mut self) {
        use http_body_util::BodyExt;
        for answer in &mut self.answers {
            let end = timeout(3 * PATIENCE, answer.body_mut().frame()).await;
            let end = end.expect("it is held for ever");
            assert!(end.is_none_or(|frame| frame.is_err()), "something was sent");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_nothing_does_not_keep_others_out() {
    let mut guarded = Guarded::new(Kind::Sqlite).await;
    guarded.start("a", "");
    guarded.cluster.leading("a").await;
    guarded.start("b", "");
    guarded.cluster.stands("b").await;
    let web = guarded.addresses["b"];
    assert_eq!(told(reqwest::Client::new().get(format!("http://{web}/"))).await.0, 200);
    let mut greedy = Vec::new();
    for _ in 0..10 {
        greedy.push(Greedy::at(web, 60).await);
    }
    let held: usize =
        greedy.iter().map(|it| it.answers.iter().filter(|a| a.status() == 200).count()).sum();
    assert!(held > 256, "{held} answers were begun");
    // While the connections are held, and after they have ended.
    let answer = ask(from(own_address(), web).await, "/").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer:?}");
    for each in &mut greedy {
        each.answers.retain(|answer| answer.status() == 200);
        each.is_over().await;
    }
    let same = ask(TcpStream::connect(web).await.unwrap(), "/").await;
    assert!(same.starts_with("HTTP/1.1 200 "), "{same:?}");
}

/// Whether the connection from `own` to `to` exists, as the end at `to` sees it (proc(5):
/// `/proc/net/tcp`; `01` is `TCP_ESTABLISHED`).
fn is_there(own: SocketAddr, to: SocketAddr) -> bool {
    let end = |at: SocketAddr| format!(":{:04X}", at.port());
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    table.lines().any(|line| {
        let mut words = line.split_whitespace().skip(1);
        let [local, remote, state] = [0; 3].map(|_| words.next().unwrap_or_default());
        local.ends_with(&end(to)) && remote.ends_with(&end(own)) && state == "01"
    })
}

/// An HTTP/1 client that requests much and reads nothing loses its connection.
#[tokio::test(flavor = "multi_thread")]
async fn who_reads_nothing_is_hung_up_on() {
    let mut guarded = Guarded::new(Kind::Sqlite).await;
    guarded.start("a", "");
    guarded.cluster.leading("a").await;
    let control = guarded.cluster.host("a").api().await;
    let value = format!("http://{control}/v1/state/kept/k");
    let put = reqwest::Client::new().put(&value).body(vec![b'x'; 256 << 10]).send().await.unwrap();
    assert!(put.status().is_success());
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(control).await.unwrap();
    let own = stream.local_addr().unwrap();
    let request = "GET /v1/state/kept/k HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".repeat(64);
    stream.write_all(request.as_bytes()).await.unwrap();
    // The client reads the first byte of the answer, and no more.
    let mut first = [0; 1];
    stream.read_exact(&mut first).await.unwrap();
    assert!(is_there(own, control));
    until("it is hung up on", async || !is_there(own, control)).await;
    drop(stream);
}
