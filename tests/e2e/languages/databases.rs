//! The examples that write to a database: their data outlives the leader, and the database refuses
//! tokens that are older than the newest it has seen.

use std::{
    fs, net::SocketAddr, os::unix::fs::chown, path::PathBuf, process::Stdio, time::Duration,
};

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    process::{Child, Command},
    time::{sleep, timeout},
};

use super::{Caller, Cluster, Kind, answers, examples::example, projects::variable, stands};
use crate::harness::{PATIENCE, at, own_address};

/// The user for servers when the tests run as root: PostgreSQL refuses to run as root.
const NOBODY: u32 = 65534;
/// The password of the databases.
const PASSWORD: &str = "let-me-in";

/// A server in a folder of its own; it is killed when this is dropped.
struct Server {
    /// The server's program; its clients are in the same folder.
    program: PathBuf,
    address: SocketAddr,
    url: String,
    folder: TempDir,
    process: Option<Child>,
}

impl Server {
    fn stopped(program: &str, port: u16, scheme: &str, rest: &str) -> Self {
        let (program, address) = (PathBuf::from(variable(program)), at(own_address(), port));
        let url = format!("{scheme}:{PASSWORD}@{address}{rest}");
        let folder = TempDir::new().expect("a folder");
        if rustix::process::geteuid().is_root() {
            chown(folder.path(), Some(NOBODY), Some(NOBODY)).expect("its owner is changed");
        }
        Self { program, address, url, folder, process: None }
    }

    /// A program from the server's folder.
    fn tool(&self, name: &str) -> Command {
        let mut command = Command::new(self.program.with_file_name(name));
        command.current_dir(self.folder.path()).stdin(Stdio::null()).kill_on_drop(true);
        if rustix::process::geteuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    /// Starts the server, and waits until a client gets an answer.
    async fn start(&mut self, arguments: &[String], client: impl Fn(&Self) -> Command) {
        let name = self.program.file_name().expect("a name").to_owned();
        let mut command = self.tool(&name.to_string_lossy());
        command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
        self.process = Some(command.spawn().expect("a server"));
        let serves = async {
            while !client(self).output().await.expect("a client").status.success() {
                sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(PATIENCE, serves).await.expect("it serves");
    }

    async fn postgres() -> Self {
        let mut server =
            Self::stopped("SOLOIST_TEST_POSTGRES", 5432, "postgresql://stock", "/postgres");
        let file = server.folder.path().join("password");
        fs::write(&file, PASSWORD).expect("a file");
        let mut make = server.tool("initdb");
        make.args(["--pgdata=data", "--username=stock", "--auth=scram-sha-256", "--no-sync"]);
        told(make.args(["--pwfile=password", "--encoding=UTF8", "--locale=C"])).await;
        let set = ["fsync=off", "unix_socket_directories="].map(ToOwned::to_owned);
        let listen = format!("listen_addresses={}", server.address.ip());
        let flags = set.into_iter().chain([listen]).flat_map(|set| ["-c".to_owned(), set]);
        let arguments: Vec<_> =
            ["-D".to_owned(), "data".to_owned()].into_iter().chain(flags).collect();
        server.start(&arguments, |server| server.sql("SELECT 1")).await;
        server
    }

    fn sql(&self, text: &str) -> Command {
        let mut command = self.tool("psql");
        command.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", &self.url, "-c", text]);
        command
    }

    async fn redis() -> Self {
        let mut server = Self::stopped("SOLOIST_TEST_REDIS", 6379, "redis://default", "");
        let address = server.address.ip().to_string();
        let arguments = ["--bind", &address, "--save", "", "--requirepass", PASSWORD];
        server.start(&arguments.map(ToOwned::to_owned), |server| server.redis_cli(&["PING"])).await;
        server
    }

    fn redis_cli(&self, words: &[&str]) -> Command {
        let mut command = self.tool("redis-cli");
        command.args(["-e", "-u", &self.url]).args(words);
        command
    }

    /// Starts a host whose plugin may use the server, and gets its address in `variable`.
    fn serve(&self, cluster: &mut Cluster, host: &'static str, variable: &str) {
        let settings = format!(
            "sockets = [\"tcp://{}\"]\nsecrets = {{ {variable} = \"env:{variable}\" }}\n",
            self.address
        );
        cluster.start_in(host, &settings, vec![(variable.to_owned(), self.url.clone())]);
    }
}

/// The output of a command that must succeed.
async fn told(command: &mut Command) -> String {
    let output = timeout(PATIENCE, command.output()).await.expect("in time").expect("it starts");
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {text}");
    text.into_owned()
}

/// An example that host `a` serves.
async fn running(name: &str, server: &Server, variable: &str) -> (Cluster, Caller) {
    let mut cluster = Cluster::with_plugin(Kind::Sqlite, example(name)).await;
    server.serve(&mut cluster, "a", variable);
    answers(&cluster, "a").await;
    let web = Caller::of(&cluster);
    (cluster, web)
}

/// Makes `b` the leader.
async fn change_leader(cluster: &mut Cluster, server: &Server, variable: &str) {
    server.serve(cluster, "b", variable);
    stands(cluster, "b").await;
    cluster.terminate("a").await;
    answers(cluster, "b").await;
}

/// Posts a number, and expects this status.
async fn post(web: &Caller, path: &str, number: &str, status: u16) -> Value {
    let reply = web.call(Method::POST, path, number).await;
    assert_eq!(reply.status, status, "{path} {number}: {}", reply.body);
    reply.json()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "slow, or its compiler is not at hand: `cargo xtask ci`"]
async fn postgresql_keeps_the_stock_and_refuses_an_older_token() {
    const URL: &str = "DATABASE_URL";
    let database = Server::postgres().await;
    let (mut cluster, web) = running("stock", &database, URL).await;
    let before = post(&web, "/bolts", "+20", 503).await;
    assert!(before["error"].as_str().is_some_and(|e| e.contains("apply schema.sql")), "{before}");
    told(&mut database.sql(include_str!("../../../examples/plugins/stock/schema.sql"))).await;
    assert_eq!(web.get("/bolts").await.status, 404);
    let first = post(&web, "/bolts", "+20", 200).await;
    assert_eq!(first["pieces"], 20);
    post(&web, "/bolts", "-21", 409).await;
    for (path, bad) in [("/bolts", "many"), ("/bolts", ""), ("/", "1"), ("/a/b", "1")] {
        post(&web, path, bad, 400).await;
    }
    change_leader(&mut cluster, &database, URL).await;
    let second = post(&web, "/bolts", "-3", 200).await;
    assert_eq!(second["pieces"], 17);
    assert!(second["token"].as_i64() > first["token"].as_i64(), "{second}");
    // As if another leader had followed this one.
    told(&mut database.sql("UPDATE fence SET token = token + 100")).await;
    let refused = post(&web, "/bolts", "-1", 409).await;
    assert!(refused["error"].as_str().is_some_and(|e| e.contains("newer")), "{refused}");
    assert_eq!(web.get("/bolts").await.json()["pieces"], 17);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "slow, or its compiler is not at hand: `cargo xtask ci`"]
async fn redis_keeps_the_scores_and_refuses_an_older_token() {
    const URL: &str = "REDIS_URL";
    let redis = Server::redis().await;
    let (mut cluster, web) = running("scores", &redis, URL).await;
    assert_eq!(web.get("/").await.json(), json!([]));
    let first = post(&web, "/ada", "+5", 200).await;
    post(&web, "/bob", "3", 200).await;
    for (path, bad) in [("/ada", "many"), ("/ada", ""), ("/", "1"), ("/a/b", "1")] {
        post(&web, path, bad, 400).await;
    }
    change_leader(&mut cluster, &redis, URL).await;
    let second = post(&web, "/bob", "+4", 200).await;
    assert_eq!(second["points"], 7);
    assert!(second["token"].as_i64() > first["token"].as_i64(), "{second}");
    // As if another leader had followed this one.
    told(&mut redis.redis_cli(&["INCRBY", "{scores}:token", "100"])).await;
    post(&web, "/ada", "+9", 409).await;
    let table = json!([{ "name": "bob", "points": 7 }, { "name": "ada", "points": 5 }]);
    assert_eq!(web.get("/").await.json(), table);
}
