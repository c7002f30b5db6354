//! A real etcd, one process per test, in a folder of its own.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Stdio,
    sync::atomic::{AtomicU16, Ordering},
};

use futures::future::join_all;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use soloist_config::StoreUrl;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

/// A running etcd; it is killed when this is dropped.
pub(crate) struct EtcdServer {
    folder: tempfile::TempDir,
    pub(crate) client: u16,
    peer: u16,
    flags: Vec<String>,
    child: Child,
}

impl EtcdServer {
    pub(crate) async fn start() -> Self {
        Self::start_with(Vec::new()).await
    }

    /// A server that speaks TLS, and requires client certificates of the same authority.
    pub(crate) async fn secure() -> Self {
        let files = [("cert", "host.pem"), ("key", "host.key"), ("trusted-ca", "authority.pem")];
        let files =
            files.map(|(flag, name)| format!("--{flag}-file={}", certificate(name).display()));
        Self::start_with([&files[..], &["--client-cert-auth".to_owned()]].concat()).await
    }

    /// A server with these flags.
    pub(crate) async fn start_with(flags: Vec<String>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Another process may take a free port before etcd binds it.
        for _ in 0..10 {
            let (client, peer) = (free_port(), free_port());
            if let Some(child) = spawn(&folder, client, peer, &[peer], &flags).await {
                return Self { folder, client, peer, flags, child };
            }
        }
        panic!("etcd does not start: install it, or name it in SOLOIST_TEST_ETCD");
    }

    /// Three members of one etcd cluster.
    pub(crate) async fn three() -> [Self; 3] {
        for _ in 0..10 {
            let ports = [(); 3].map(|()| (free_port(), free_port()));
            let peers = ports.map(|(_, peer)| peer);
            let members = ports.map(async |(client, peer)| {
                let folder = tempfile::tempdir().unwrap();
                let child = spawn(&folder, client, peer, &peers, &[]).await?;
                Some(Self { folder, client, peer, flags: Vec::new(), child })
            });
            let members = join_all(members).await.into_iter().collect::<Option<Vec<_>>>();
            if let Some(Ok(members)) = members.map(TryInto::try_into) {
                return members;
            }
        }
        panic!("etcd does not start: install it, or name it in SOLOIST_TEST_ETCD");
    }

    /// Kills it, as a power cut would.
    pub(crate) async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// Starts it again with the data it had written.
    pub(crate) async fn restart(&mut self) {
        let Self { folder, client, peer, flags, .. } = self;
        let child = spawn(folder, *client, *peer, &[*peer], flags).await;
        self.child = child.expect("etcd again");
    }

    /// Loses its data and starts alone, as another etcd cluster at the same address.
    pub(crate) async fn start_as_another(&mut self) {
        self.kill().await;
        self.folder = tempfile::tempdir().unwrap();
        // etcd derives the cluster's id from its members' peer addresses.
        self.peer = free_port();
        self.restart().await;
    }

    /// Copies its data.
    pub(crate) async fn back_up(&mut self, to: &Path) {
        self.kill().await;
        copy(self.folder.path(), to);
        self.restart().await;
    }

    /// Replaces its data by a copy.
    pub(crate) async fn restore(&mut self, from: &Path) {
        self.kill().await;
        self.folder = tempfile::tempdir().unwrap();
        copy(from, self.folder.path());
        self.restart().await;
    }

    /// Freezes it: its connections stay open, but nothing is answered.
    pub(crate) fn freeze(&self) {
        kill_process(self.id(), Signal::STOP).unwrap();
        // Until its last thread has stopped, it may still answer.
        waitpid(Some(self.id()), WaitOptions::UNTRACED).unwrap();
    }

    pub(crate) fn thaw(&self) {
        kill_process(self.id(), Signal::CONT).unwrap();
    }

    fn id(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id().unwrap()).unwrap()).unwrap()
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.client)
    }

    pub(crate) fn url(&self) -> StoreUrl {
        StoreUrl::Etcd { endpoints: vec![self.address()], login: None, tls: None }
    }

    pub(crate) async fn connect(&self) -> etcd_client::Client {
        etcd_client::Client::connect([self.address()], None).await.unwrap()
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// Starts a member and returns when it serves; `None` if it ends before that.
async fn spawn(
    folder: &tempfile::TempDir,
    client: u16,
    peer: u16,
    peers: &[u16],
    flags: &[String],
) -> Option<Child> {
    let program = std::env::var("SOLOIST_TEST_ETCD").unwrap_or_else(|_| "etcd".into());
    let url = |port: u16| format!("http://127.0.0.1:{port}");
    let members = peers.iter().map(|peer| format!("m{peer}={}", url(*peer)));
    let members = members.collect::<Vec<_>>().join(",");
    let (mut client, peer, name) = (url(client), url(peer), format!("m{peer}"));
    if flags.iter().any(|flag| flag.starts_with("--cert-file")) {
        client = client.replacen("http:", "https:", 1);
    }
    let mut child = Command::new(program)
        .args(["--name", &name, "--data-dir"])
        .arg(folder.path())
        .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
        .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
        .args(["--initial-cluster", &members])
        .args(flags)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("etcd cannot be started: install it, or name it in SOLOIST_TEST_ETCD");
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        if line.contains("ready to serve client requests") {
            // Continue reading, or etcd would block on a full pipe.
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return Some(child);
        }
    }
    None
}

/// A certificate of the end-to-end tests, which `make.sh` in the same folder has generated.
pub(crate) fn certificate(name: &str) -> PathBuf {
    // This file is used by crates at different depths.
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let mut found = above.map(|folder| folder.join("tests/e2e/guard/tls")).filter(|it| it.is_dir());
    found.next().expect("the certificates of the tests").join(name)
}

/// A port that is free, and that the system does not assign by itself: it is below the ports of
/// outgoing connections (Linux: `ip_local_port_range`, from 32768).
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % 200).unwrap() * 100;
    let mut ports =
        std::iter::repeat_with(|| 10_000 + start + NEXT.fetch_add(1, Ordering::Relaxed) % 2_000);
    ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap()
}
