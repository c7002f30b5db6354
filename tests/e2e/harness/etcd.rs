//! A real etcd with one member, in its own folder.

use std::{
    env, fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use tempfile::TempDir;
use tokio::{
    process::{Child, Command},
    time::{sleep, timeout},
};

use super::{PATIENCE, own_address};

/// A command of etcd's own client for the member at `endpoint`, as operators use it.
pub(crate) fn etcdctl(endpoint: &str) -> Command {
    let etcd = env::var_os("SOLOIST_TEST_ETCD").map(PathBuf::from);
    let mut command = Command::new(etcd.unwrap_or_default().with_file_name("etcdctl"));
    command.env("ETCDCTL_API", "3").env("ETCDCTL_ENDPOINTS", endpoint).kill_on_drop(true);
    command
}

/// Runs a command line `etcdctl …` that soloist has told people to type, in a shell.
pub(crate) fn etcdctl_in_a_shell(line: &str) -> Command {
    let etcd = env::var_os("SOLOIST_TEST_ETCD").map(PathBuf::from).unwrap_or_default();
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = etcd.parent().map(Path::to_owned).into_iter().chain(env::split_paths(&path));
    let mut shell = Command::new("bash");
    shell.args(["-c", line]).env("ETCDCTL_API", "3").kill_on_drop(true);
    shell.env("PATH", env::join_paths(folders).expect("folders without a colon"));
    shell
}

/// A member of etcd; it is killed when this is dropped.
pub(crate) struct Etcd {
    name: String,
    address: Ipv4Addr,
    /// All members, in the form of `--initial-cluster`.
    cluster: String,
    flags: Vec<String>,
    scheme: &'static str,
    folder: TempDir,
    child: Option<Child>,
}

impl Etcd {
    /// An etcd with one member, which has an address but does not run.
    pub(crate) fn stopped() -> Self {
        let mut only = Self::member("only", &[]);
        only.cluster = only.itself();
        only
    }

    /// A member of a cluster whose other members are not known yet.
    pub(super) fn member(name: &str, flags: &[String]) -> Self {
        Self {
            name: name.to_owned(),
            address: own_address(),
            cluster: String::new(),
            flags: flags.to_vec(),
            scheme: "http",
            folder: TempDir::new().expect("a temporary folder"),
            child: None,
        }
    }

    pub(crate) async fn started() -> Self {
        Self::started_with(&[]).await
    }

    /// A running etcd with these additional flags.
    pub(crate) async fn started_with(flags: &[String]) -> Self {
        let mut etcd = Self::stopped();
        flags.clone_into(&mut etcd.flags);
        etcd.start().await;
        etcd
    }

    /// A running etcd with TLS and the certificates of this folder; it requires client
    /// certificates.
    pub(crate) async fn secure(folder: &Path) -> Self {
        let mut etcd = Self::stopped();
        for (flag, file) in
            [("cert", "host.pem"), ("key", "host.key"), ("trusted-ca", "authority.pem")]
        {
            etcd.flags.push(format!("--{flag}-file={}", folder.join(file).display()));
        }
        etcd.flags.push("--client-cert-auth".to_owned());
        etcd.scheme = "https";
        etcd.start().await;
        etcd
    }

    pub(super) fn itself(&self) -> String {
        format!("{}=http://{}:2380", self.name, self.address)
    }

    pub(super) fn belongs_to(&mut self, cluster: &str) {
        cluster.clone_into(&mut self.cluster);
    }

    /// The address for other members. It serves all requests of hosts except etcd's election and
    /// lock services (etcd: `embed/etcd.go`, `servePeers`).
    pub(crate) fn peer_endpoint(&self) -> String {
        format!("{}:2380", self.address)
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("{}:2379", self.address)
    }

    /// Starts the member with the data that it has, and waits until it serves.
    pub(crate) async fn start(&mut self) {
        self.spawn();
        self.serves().await;
    }

    pub(super) fn spawn(&mut self) {
        let binary = env::var_os("SOLOIST_TEST_ETCD").unwrap_or_else(|| "etcd".into());
        let client = format!("{}://{}", self.scheme, self.endpoint());
        let peer = format!("http://{}:2380", self.address);
        let mut command = Command::new(binary);
        command
            .args(["--name", &self.name, "--log-level", "error", "--data-dir"])
            .arg(self.data())
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &self.cluster])
            .args(["--listen-metrics-urls", &self.health()])
            .args(&self.flags)
            .env_remove("ETCD_UNSUPPORTED_ARCH")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        self.child = Some(command.spawn().expect("etcd starts: `cargo xtask test` installs it"));
    }

    pub(super) async fn serves(&self) {
        let url = format!("{}/health", self.health());
        let healthy = async {
            // etcd prints nothing to wait for.
            while !reqwest::get(&url).await.is_ok_and(|answer| answer.status().is_success()) {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, healthy).await.expect("etcd serves");
    }

    /// The URL of its health check, without TLS.
    fn health(&self) -> String {
        format!("http://{}:2381", self.address)
    }

    /// A separate client, for changes by hand.
    pub(crate) async fn connect(&self) -> etcd_client::Client {
        etcd_client::Client::connect([self.endpoint()], None).await.expect("a client of etcd")
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.id(), signal).expect("a signal");
    }

    /// Freezes the process: its connections stay open, and nothing is sent.
    pub(crate) fn freeze(&self) {
        self.signal(Signal::STOP);
        // Until its last thread is stopped, it may still answer.
        waitpid(Some(self.id()), WaitOptions::UNTRACED).expect("it stops");
    }

    fn id(&self) -> Pid {
        let id = self.child.as_ref().and_then(Child::id).expect("it runs");
        Pid::from_raw(id.cast_signed()).expect("a pid")
    }

    /// Kills the member; its data remains.
    pub(crate) async fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().await.expect("it can be killed");
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Deletes its data; it must not run.
    pub(crate) fn wipe(&self) {
        fs::remove_dir_all(self.data()).expect("data");
    }

    /// Deletes its data, and starts it as the only member of another etcd.
    pub(crate) async fn start_as_a_stranger(&mut self) {
        self.kill().await;
        self.wipe();
        self.cluster = self.itself();
        self.start().await;
    }

    /// Saves a snapshot; it must run.
    pub(crate) async fn snapshot(&self) {
        let mut command = tool("etcdctl");
        command.args(["--endpoints", &self.endpoint(), "snapshot", "save"]).arg(self.saved());
        succeeds(command).await;
    }

    /// Replaces its data by the snapshot; it must not run.
    pub(crate) async fn restore_snapshot(&self) {
        self.wipe();
        let peer = format!("http://{}:2380", self.address);
        let mut command = tool("etcdctl");
        command.args(["snapshot", "restore"]).arg(self.saved()).arg("--data-dir").arg(self.data());
        command.args(["--name", &self.name, "--initial-cluster", &self.cluster]);
        command.args(["--initial-advertise-peer-urls", &peer]);
        succeeds(command).await;
    }

    fn saved(&self) -> PathBuf {
        self.folder.path().join("snapshot")
    }

    /// Saves a copy of its data; it must not run.
    pub(crate) fn back_up(&self) {
        copy(&self.data(), &self.folder.path().join("backup"));
    }

    /// Replaces its data by the copy; it must not run.
    pub(crate) fn restore(&self) {
        self.wipe();
        copy(&self.folder.path().join("backup"), &self.data());
    }
}

/// A tool of etcd: from the folder of the etcd under test, or else from `PATH`.
fn tool(name: &str) -> Command {
    let etcd = env::var_os("SOLOIST_TEST_ETCD").map(PathBuf::from);
    let sibling = etcd.map(|etcd| etcd.with_file_name(name)).filter(|tool| tool.exists());
    let mut command = Command::new(sibling.unwrap_or_else(|| name.into()));
    command.env("ETCDCTL_API", "3").stdout(Stdio::null());
    command
}

async fn succeeds(mut command: Command) {
    let output = command.stderr(Stdio::piped()).output().await.expect("etcd's tools");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let to = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).expect("a copy");
        }
    }
}
