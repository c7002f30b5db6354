//! File systems that hang. A named pipe without a writer blocks every process that opens it, as a
//! file does whose server is gone.

use std::{fs, net::SocketAddr, time::Duration};

use reqwest::{Client, StatusCode};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use crate::harness::{
    PATIENCE, at,
    client::Answer,
    cluster::{Cluster, Kind},
    guests, own_address,
};

/// A path that is answered at once, with the error that the file does not exist.
const NONE: &str = "/read?/data/none";
/// More requests than one tokio runtime has threads for blocking calls.
const HANGING: usize = 600;
/// The number of threads for files that an action has.
const THREADS: u64 = 32;
const DRAIN: Duration = Duration::from_secs(1);
/// The time of a stop beyond `lease.drain`: the stop itself, and the delays of a busy machine.
const A_LITTLE: Duration = Duration::from_secs(5);

/// A host with three actions: one whose files hang, one whose files do not, and one with state.
struct House {
    cluster: Cluster,
    client: Client,
    /// The address of each action.
    hanging: SocketAddr,
    files: SocketAddr,
    state: SocketAddr,
    /// A server that is reached by its name.
    named: SocketAddr,
}

impl House {
    async fn set_up() -> Self {
        let mut cluster = Cluster::with_plugin(Kind::Sqlite, guests().join("reach.wasm")).await;
        let (files, state) = (at(own_address(), 3000), at(own_address(), 3000));
        let named = serve_ok().await;
        for folder in ["hangs", "well"] {
            fs::create_dir(cluster.folder.path().join(folder)).expect("a folder");
        }
        fs::write(cluster.folder.path().join("well/file"), "content").expect("a file");
        let (reach, register) = (guests().join("reach.wasm"), guests().join("register.wasm"));
        let more = format!(
            "max_concurrent_requests = 1000\nmax_queued_requests = 0\nresponse_timeout = \"20s\"\n\
             mounts = [{{ source = \"hangs\", target = \"/data\" }}]\n\
             [action.files]\nplugin = \"{}\"\nlisten = \"{files}\"\n\
             mounts = [{{ source = \"well\", target = \"/data\" }}]\n\
             outbound = [\"http://localhost:{}\"]\n\
             [action.state]\nplugin = \"{}\"\nlisten = \"{state}\"\nstate = true\n",
            reach.display(),
            named.port(),
            register.display(),
        );
        let drain = format!("[lease]\ndrain_timeout = \"{}s\"", DRAIN.as_secs());
        let settings = cluster.configuration(&more).replace("[lease]", &drain);
        cluster.start_from("a", &settings);
        cluster.leading("a").await;
        let client = Client::builder().pool_max_idle_per_host(0).timeout(PATIENCE);
        let hanging = cluster.web_at;
        cluster.web.until_any_at(NONE, "it is up", |_| true).await;
        let client = client.build().expect("a client");
        Self { cluster, client, hanging, files, state, named }
    }

    async fn ask(&self, at: SocketAddr, path: &str) -> (StatusCode, String) {
        let answer = self.client.get(format!("http://{at}{path}")).send().await;
        let answer = answer.expect("an answer");
        (answer.status(), answer.text().await.expect("a text"))
    }

    /// The value of one of the host's metrics.
    async fn measured(&self, name: &str) -> Option<u64> {
        let (_, text) = self.ask(self.cluster.host("a").api().await, "/metrics").await;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map(|number| number.parse().expect("a number"))
    }

    async fn until_measured(&self, name: &str, wanted: u64) {
        let found = timeout(PATIENCE, async {
            while self.measured(name).await != Some(wanted) {
                sleep(Duration::from_millis(50)).await;
            }
        });
        let last = || format!("{name} is not {wanted}:\n{}", self.cluster.host("a").log);
        found.await.unwrap_or_else(|_| panic!("{}", last()));
    }

    /// Sends `HANGING` requests at the same time, which all hang in a file.
    async fn hang(&self) -> JoinSet<()> {
        let pipe = self.cluster.folder.path().join("hangs/pipe");
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RWXU, 0).expect("a pipe");
        let mut asking = JoinSet::new();
        for _ in 0..HANGING {
            let (client, hanging) = (self.client.clone(), self.hanging);
            asking.spawn(async move {
                let _ = client.get(format!("http://{hanging}/read?/data/pipe")).send().await;
            });
        }
        self.until_measured("soloist_instances", HANGING as u64).await;
        asking
    }
}

/// A server that answers 200.
async fn serve_ok() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            // Unread bytes would reset the connection.
            let _ = stream.read(&mut [0; 4096]).await;
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
            let _ = stream.write_all(answer).await;
            let _ = stream.shutdown().await;
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_hang_cost_nobody_else_a_thing() {
    let mut house = House::set_up().await;
    let mut asking = house.hang().await;
    for _ in 0..20 {
        let read = house.ask(house.files, "/read?/data/file").await;
        assert_eq!(read, (StatusCode::OK, "content".to_owned()));
        let path = format!("/fetch?http://localhost:{}/", house.named.port());
        assert_eq!(house.ask(house.files, &path).await, (StatusCode::OK, "200 ok".to_owned()));
        assert_eq!(house.ask(house.state, "/").await.0, StatusCode::OK);
        let ready = house.ask(house.cluster.host("a").api().await, "/readyz").await;
        assert_eq!(ready.0, StatusCode::OK, "{}", ready.1);
    }
    house.until_measured("soloist_blocking_threads{action=\"web\"}", THREADS).await;
    // The action reports the problem, and refuses requests that would only wait.
    let refused = timeout(PATIENCE, async {
        let log = &house.cluster.host("a").log;
        loop {
            let answer = house.ask(house.hanging, NONE).await;
            if answer.0 == StatusCode::SERVICE_UNAVAILABLE && !log.events("files-hang").is_empty() {
                return answer.1;
            }
        }
    });
    let refused = refused.await.expect("it is refused, and told");
    assert!(refused.contains("its files do not answer"), "{refused}");
    // When the files respond again, the action recovers.
    asking.shutdown().await;
    house.until_measured("soloist_instances", 0).await;
    let pipe = house.cluster.folder.path().join("hangs/pipe");
    let writer = tokio::task::spawn_blocking(move || fs::OpenOptions::new().write(true).open(pipe));
    drop(writer.await.expect("no panic").expect("somebody reads"));
    let answers = |answer: &Answer| answer.status == StatusCode::BAD_GATEWAY;
    house.cluster.web.until_any_at(NONE, "they answer again", answers).await;
    house.cluster.terminate("a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_ends_though_its_files_hang() {
    let mut house = House::set_up().await;
    let _asking = house.hang().await;
    let begun = Instant::now();
    let log = house.cluster.terminate("a").await;
    let took = begun.elapsed();
    assert!(took < DRAIN + A_LITTLE, "it took {took:?}");
    assert_eq!(log.events("goodbye").len(), 1, "{log}");
}
