//! What every test needs: an action under a term that the test rules over.

use std::{
    env,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use soloist::{
    action::{Action, Failure, Running, Scope, State, Tasks},
    capability::{Deadline, Gate},
    clock::BootTime,
    config::ActionConfig,
    election::{Group, Term, Token},
    plugin::Engine,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    time::{Instant, sleep, timeout},
};

/// The most that a stop may take.
pub(crate) const STOP: Duration = Duration::from_millis(500);
/// How long anything else may take before a test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// An action, its term, and all that belongs to them.
pub(crate) struct Rig {
    pub(crate) engine: Arc<Engine>,
    pub(crate) action: Arc<Action>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) tasks: Tasks,
    pub(crate) failures: UnboundedReceiver<Failure>,
    pub(crate) running: Running,
}

impl Rig {
    /// A guest on a free port, up, under a term without a deadline.
    pub(crate) async fn up(guest: &str) -> Self {
        let action = prepare(guest, free_address());
        let mut rig = Self::start(action, gate(1, BootTime::NEVER));
        rig.running.started().await.unwrap();
        rig
    }

    /// An action that was just started.
    pub(crate) fn start((engine, action): (Arc<Engine>, Arc<Action>), gate: Arc<Gate>) -> Self {
        let (sender, failures) = unbounded_channel();
        let tasks = Tasks::default();
        let scope = Scope { gate: gate.clone(), tasks: tasks.clone(), failures: sender };
        let running = action.start(scope);
        Self { engine, action, gate, tasks, failures, running }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.action.status().listen.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> reqwest::Response {
        reqwest::get(format!("http://{}{path}", self.address())).await.unwrap()
    }

    /// Sends the head of a request, or whatever `text` is, and leaves the rest to the test.
    pub(crate) async fn send(&self, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address()).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    }

    /// Sends so many requests, and waits until each has an instance.
    pub(crate) async fn begin(&self, request: &str, count: usize) -> Vec<TcpStream> {
        let mut streams = Vec::new();
        for _ in 0..count {
            streams.push(self.send(request).await);
        }
        self.instances(count).await;
        streams
    }

    /// Waits until there are as many instances.
    pub(crate) async fn instances(&self, count: usize) {
        until("instances", || self.engine.live() == count).await;
    }

    /// Ends the term without mercy, and finds nothing left of it.
    pub(crate) async fn stop(self) {
        let address = self.action.status().listen;
        self.gate.close();
        let began = Instant::now();
        timeout(PATIENCE, self.running.stop()).await.expect("the stop hangs");
        let took = began.elapsed();
        assert!(took < STOP, "the stop took {took:?}");
        assert_eq!((self.tasks.len(), self.engine.live()), (0, 0));
        assert_eq!(self.action.status().state, State::Ready);
        if let Some(address) = address {
            TcpListener::bind(address).expect("the address is still held");
        }
    }
}

/// A gate for a term of host `a`.
pub(crate) fn gate(token: i64, deadline: BootTime) -> Arc<Gate> {
    let term = Term { group: Group::main(), host: "a".into(), token: Token(token) };
    Arc::new(Gate::new(term, Arc::new(Deadline::new(deadline))))
}

/// An engine, and a guest prepared as an action that listens on `listen`.
pub(crate) fn prepare(guest: &str, listen: SocketAddr) -> (Arc<Engine>, Arc<Action>) {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled");
    let engine = Arc::new(Engine::new(Some(cache)).unwrap());
    let action = Action::prepare(&config(guest_file(guest), listen), &engine).unwrap();
    (engine, action)
}

pub(crate) fn config(plugin: PathBuf, listen: SocketAddr) -> ActionConfig {
    ActionConfig { name: "web".into(), plugin, group: Group::main(), listen }
}

/// An address that nobody uses now. Asking for port 0 would not do: the tests
/// that start an action twice want the same one again.
pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap()
}

/// The file of a guest, or of a first-party plugin.
pub(crate) fn guest_file(name: &str) -> PathBuf {
    let file = format!("{name}.wasm");
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("..");
    let guests = folder("SOLOIST_TEST_GUESTS", target.join("test-guests"));
    let plugins = folder("SOLOIST_TEST_PLUGINS", repository.join("plugins"));
    let found = [guests.join(&file), plugins.join(&file)].into_iter().find(|path| path.exists());
    found.unwrap_or_else(|| panic!("{file} is not built: run `cargo xtask test`, which builds it"))
}

fn folder(variable: &str, default: PathBuf) -> PathBuf {
    env::var_os(variable).map_or(default, PathBuf::from)
}

/// Waits until `condition` holds; for what tells nobody that it has changed.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("waited in vain: {what}"));
}

/// Reads until the other side has closed, and tells whether it did so in order.
pub(crate) async fn rest_of(mut stream: TcpStream) -> (String, bool) {
    let mut bytes = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("still open");
    (String::from_utf8_lossy(&bytes).into_owned(), read.is_ok())
}

/// Reads until `text` has come.
pub(crate) async fn read_until(stream: &mut TcpStream, text: &str) -> String {
    let mut read = Vec::new();
    let wait = async {
        while !String::from_utf8_lossy(&read).contains(text) {
            let count = stream.read_buf(&mut read).await.unwrap();
            assert!(count > 0, "closed before {text:?} came");
        }
    };
    timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("{text:?} never came"));
    String::from_utf8_lossy(&read).into_owned()
}
