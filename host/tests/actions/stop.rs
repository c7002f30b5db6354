//! Stopping: whatever guests are doing, within its time budget nothing of the term is left alive:
//! no task, no instance, no part of the pool, no socket.

use std::{fs, net::SocketAddr, thread::available_parallelism, time::Duration};

use rustix::{
    process::{Resource, Rlimit, getrlimit, setrlimit},
    time::{ClockId, clock_gettime},
};
use soloist_config::{FolderMount, Grants, ReuseLimits};
use soloist_guests::plugin::PoolUsage;
use soloist_heart::clock::BootTime;
use tokio::{
    net::TcpStream,
    runtime::Handle,
    time::{Instant, sleep},
};

use crate::{
    backend::{Backend, BackendBehaviour, FullBacklog, outbound},
    rig::{
        Prepared, RunningAction, STOP, TestStore, gate, prepare_for, prepare_reusing, read_until,
        until,
    },
};

/// Runs each test on one thread and on several.
macro_rules! on_both_runtimes {
    ($($case:ident),* $(,)?) => {
        mod on_one_thread {
            $(#[tokio::test] async fn $case() { super::$case().await })*
        }
        mod on_several_threads {
            $(#[tokio::test(flavor = "multi_thread")]
              async fn $case() { super::$case().await })*
        }
    };
}

on_both_runtimes!(
    in_an_endless_loop,
    in_a_sleep,
    in_a_blocked_connect,
    in_a_blocked_read,
    in_half_a_response,
    in_a_half_read_request,
    in_a_half_sent_request,
    with_connections_kept_open,
    in_a_file_read,
    in_a_thousand_sleeps,
    in_a_thousand_endless_loops,
    in_a_concurrent_loop,
    in_a_concurrent_sleep,
    in_a_concurrent_stream,
    in_a_concurrent_exchange,
    in_many_concurrent_sleeps,
    in_many_requests_of_one_instance,
    with_instances_kept,
);

/// An action, and the number of tasks before it.
struct StopScene {
    rig: RunningAction,
    tasks_before: usize,
}

fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

/// The CPU time of this process: on a busy machine a stop takes longer, but not more of this.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap()
}

impl StopScene {
    async fn with(prepared: Prepared) -> Self {
        let world = TestStore::new();
        let key = world.win().await;
        let tasks_before = tasks();
        let gate = gate(key.fencing_token.0, BootTime::NEVER);
        let mut rig = RunningAction::under(&world, prepared, gate, key);
        rig.running.started().await.unwrap();
        Self { rig, tasks_before }
    }

    async fn of(guest: &str, grants: Grants) -> Self {
        Self::with(prepare_for(guest, 256, grants)).await
    }

    /// Stops, and checks that nothing is left. `kept` is what the test itself holds on to.
    #[allow(clippy::print_stdout, reason = "the figures of the documentation come from here")]
    async fn end<T>(self, what: &str, kept: T, others: &[SocketAddr]) {
        let Self { rig, tasks_before } = self;
        let (engine, own) = (rig.engine.clone(), rig.address());
        let (began, cpu) = (Instant::now(), cpu_time());
        rig.stop().await;
        let (stopped, cpu) = (began.elapsed(), cpu_time() - cpu);
        assert_eq!(engine.pool_usage().unwrap(), PoolUsage::default());
        // Tasks of wasmtime end at their next turn, without a notification.
        while tasks() > tasks_before && began.elapsed() < STOP {
            sleep(Duration::from_millis(1)).await;
        }
        let gone = began.elapsed();
        assert!(tasks() <= tasks_before, "{} tasks, {tasks_before} before", tasks());
        drop(kept);
        let addresses: Vec<_> = others.iter().copied().chain([own]).collect();
        let open = sockets(&addresses);
        assert!(open.is_empty(), "sockets are open: {open:#?}");
        println!(
            "{what}: stopped in {stopped:?} ({cpu:?} of the processors), the last task gone after {gone:?}"
        );
    }
}

/// The sockets that any process holds at `addresses`, on either side.
fn sockets(addresses: &[SocketAddr]) -> Vec<String> {
    let ports: Vec<_> = addresses.iter().map(|at| format!("0100007F:{:04X}", at.port())).collect();
    let table = fs::read_to_string("/proc/self/net/tcp").unwrap();
    let held = |line: &&str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        // A socket that only the kernel still closes belongs to no file: its inode is 0.
        fields[9] != "0" && ports.iter().any(|port| fields[1] == port || fields[2] == port)
    };
    table.lines().skip(1).filter(held).map(ToOwned::to_owned).collect()
}

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nhost: a\r\n\r\n")
}

async fn in_an_endless_loop() {
    let scene = StopScene::of("spin", Grants::default()).await;
    let streams = scene.rig.begin(&get("/spin"), 4).await;
    scene.end("endless loop", streams, &[]).await;
}

async fn in_a_sleep() {
    let scene = StopScene::of("spin", Grants::default()).await;
    let streams = scene.rig.begin(&get("/sleep?ms=600000"), 1).await;
    scene.end("sleep", streams, &[]).await;
}

async fn in_a_blocked_connect() {
    let full = FullBacklog::start().await;
    let scene = StopScene::of("reach", outbound(&full.url())).await;
    let streams = scene.rig.begin(&get(&format!("/fetch?{}", full.url())), 3).await;
    let address = full.address;
    let port = format!(":{:04X} 02 ", address.port());
    let knocks = || fs::read_to_string("/proc/self/net/tcp").unwrap().contains(&port);
    until("a connection is under way", knocks).await;
    scene.end("blocked connect", (streams, full), &[address]).await;
}

async fn in_a_blocked_read() {
    let backend = Backend::start(BackendBehaviour::Silent);
    during_a_request(backend, "/fetch", "", "blocked read").await;
}

async fn in_half_a_response() {
    let backend = Backend::start(BackendBehaviour::Half);
    during_a_request(backend, "/fetch", "", "half a response").await;
}

async fn in_a_half_sent_request() {
    let backend = Backend::start(BackendBehaviour::Silent);
    during_a_request(backend, "/send", "content-length: 9\r\n", "half-sent request").await;
}

/// Stops when the backend has the request, and half of the body if there is one.
async fn during_a_request(backend: Backend, call: &str, header: &str, what: &str) {
    let scene = StopScene::of("reach", backend.granted()).await;
    let half = if header.is_empty() { "" } else { "half" };
    let url = backend.url();
    let request = format!("POST {call}?{url} HTTP/1.1\r\nhost: a\r\n{header}\r\n{half}");
    let streams = scene.rig.begin(&request, 3).await;
    let come =
        || backend.seen().iter().filter(|seen| seen.contains("soloist-fencing-token")).count() == 3;
    until("the requests came", come).await;
    backend.sees(half).await;
    let address = backend.address;
    scene.end(what, (streams, backend), &[address]).await;
}

async fn with_connections_kept_open() {
    let backend = Backend::start(BackendBehaviour::Prompt);
    let scene = StopScene::of("reach", backend.granted()).await;
    let mut stream = scene.rig.send(&get(&format!("/fetch?{}", backend.url()))).await;
    read_until(&mut stream, "hello").await;
    scene.rig.instances(0).await;
    let address = backend.address;
    let held = sockets(&[address]);
    assert_eq!(held.len(), 3, "a listener, and both ends of a connection: {held:#?}");
    scene.end("connections kept open", (stream, backend), &[address]).await;
}

async fn in_a_half_read_request() {
    let scene = StopScene::of("spin", Grants::default()).await;
    let half = "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\nhalf";
    let mut streams = scene.rig.begin(half, 3).await;
    for stream in &mut streams {
        read_until(stream, "half").await;
    }
    scene.end("half-read request", streams, &[]).await;
}

async fn in_a_file_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = fs::File::create(folder.path().join("big")).unwrap();
    file.set_len(1 << 30).unwrap();
    let data = FolderMount {
        source: folder.path().to_owned(),
        target: "/data".to_owned(),
        read_only: true,
    };
    let scene = StopScene::of("reach", Grants { mounts: vec![data], ..Grants::default() }).await;
    let streams = scene.rig.begin(&get("/reread?/data/big"), 2).await;
    scene.end("file read", (streams, folder), &[]).await;
}

async fn in_a_concurrent_loop() {
    let scene = StopScene::of("concurrent", Grants::default()).await;
    let streams = scene.rig.begin(&get("/spin"), 4).await;
    scene.end("0.3: endless loop", streams, &[]).await;
}

async fn in_a_concurrent_sleep() {
    let scene = StopScene::of("concurrent", Grants::default()).await;
    let streams = scene.rig.begin(&get("/sleep?ms=600000"), 4).await;
    scene.end("0.3: sleep", streams, &[]).await;
}

async fn in_a_concurrent_stream() {
    let scene = StopScene::of("concurrent", Grants::default()).await;
    let mut streams = scene.rig.begin(&get("/endless"), 4).await;
    for stream in &mut streams {
        read_until(stream, "one more line").await;
    }
    scene.end("0.3: stream", streams, &[]).await;
}

async fn in_a_concurrent_exchange() {
    let backend = Backend::start(BackendBehaviour::Half);
    let scene = StopScene::of("concurrent", backend.granted()).await;
    let streams = scene.rig.begin(&get(&format!("/fetch?{}", backend.url())), 3).await;
    let come =
        || backend.seen().iter().filter(|seen| seen.contains("soloist-fencing-token")).count() == 3;
    until("the requests came", come).await;
    let address = backend.address;
    scene.end("0.3: half a response", (streams, backend), &[address]).await;
}

/// As many as an action answers by default.
async fn in_many_concurrent_sleeps() {
    let scene = StopScene::of("concurrent", Grants::default()).await;
    let streams = scene.rig.begin(&get("/sleep?ms=600000"), 256).await;
    scene.end("0.3: 256 sleeps", streams, &[]).await;
}

/// Longer than any test takes.
const REUSE: ReuseLimits = ReuseLimits { max: 1000, idle: Duration::from_secs(600) };

async fn in_many_requests_of_one_instance() {
    let scene = StopScene::with(prepare_reusing("concurrent", REUSE)).await;
    let mut streams = Vec::new();
    for _ in 0..64 {
        let mut stream = scene.rig.send(&get("/endless")).await;
        read_until(&mut stream, "one more line").await;
        streams.push(stream);
    }
    let (live, processors) =
        (scene.rig.engine.live_instances(), available_parallelism().unwrap().get());
    assert!(live <= processors.max(64 / 16), "{live} instances");
    let spinning = scene.rig.send(&get("/spin")).await;
    scene.end("0.3: 64 streams, and a loop among them", (streams, spinning), &[]).await;
}

async fn with_instances_kept() {
    for guest in ["spin", "concurrent"] {
        let scene = StopScene::with(prepare_reusing(guest, REUSE)).await;
        assert_eq!(scene.rig.ask("/count").await.1, "1");
        assert_eq!(scene.rig.engine.live_instances(), 1, "{guest} is kept");
        scene.end("instances kept", (), &[]).await;
    }
}

/// Each request takes two sockets of this process.
async fn a_thousand(request: &str) -> (StopScene, Vec<TcpStream>) {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    let scene = StopScene::with(prepare_for("spin", 1000, Grants::default())).await;
    let streams = scene.rig.begin(request, 1000).await;
    let all = || {
        let usage = scene.rig.engine.pool_usage().unwrap();
        (usage.components, usage.memories, usage.stacks) == (1000, 1000, 1000)
    };
    until("a thousand of everything", all).await;
    (scene, streams)
}

async fn in_a_thousand_sleeps() {
    let (scene, streams) = a_thousand(&get("/sleep?ms=600000")).await;
    let neighbour = scene.rig.neighbour().await;
    neighbour.answers().await;
    neighbour.stop().await;
    scene.end("1,000 sleeps", streams, &[]).await;
}

async fn in_a_thousand_endless_loops() {
    let request = "POST /spin-later HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n";
    let (scene, mut streams) = a_thousand(request).await;
    for stream in &streams {
        assert_eq!(stream.try_write(b"go").unwrap(), 2);
    }
    // They take turns: these have had one, and the others follow.
    for stream in &mut streams[..16] {
        read_until(stream, "go").await;
    }
    scene.end("1,000 endless loops", streams, &[]).await;
}
