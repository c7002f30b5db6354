//! What every test needs: an action under a term that the test controls.

use std::{
    env,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use soloist::{
    action::{
        Action, ActionDirectory, ActionFailure, ActionState, GroupTerm, JobServices, JobTriggers,
        TermServices,
    },
    task_scope::TaskScope,
    wall_clock::WallClock,
};
use soloist_config::{ActionConfig, Grants, InstancePolicy, Limits, ReuseLimits, StoreUrl};
use soloist_guests::{
    capability::{TermLink, TermNotice},
    plugin::PluginEngine,
};
use soloist_heart::{FencingToken, Group, LeaderKey, LeaseId, Term, clock::BootTime};
use soloist_leadership::{Deadline, Gate};
use soloist_stores::{self as store, Candidate, Member, Store};
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
pub(crate) struct RunningAction {
    pub(crate) engine: Arc<PluginEngine>,
    pub(crate) action: Arc<Action>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) key: LeaderKey,
    pub(crate) tasks: TaskScope,
    pub(crate) failures: UnboundedReceiver<ActionFailure>,
    pub(crate) notices: UnboundedReceiver<TermNotice>,
    pub(crate) running: GroupTerm,
    pub(crate) triggers: JobTriggers,
    _folder: Arc<tempfile::TempDir>,
}

/// The store of a cluster.
pub(crate) struct TestStore {
    pub(crate) store: Arc<dyn Store>,
    folder: Arc<tempfile::TempDir>,
}

impl TestStore {
    pub(crate) fn new() -> Self {
        Self::answering_within(PATIENCE)
    }

    /// A store that answers within this time or not at all.
    pub(crate) fn answering_within(request_timeout: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = StoreUrl::Sqlite(folder.path().join("soloist.db"));
        let store = store::open(&url, "test", request_timeout).unwrap();
        Self { store, folder: folder.into() }
    }

    /// The services of jobs, with a clock that nobody sets.
    pub(crate) fn jobs(&self) -> JobServices {
        let (clock, _) = WallClock::of_this_machine();
        JobServices {
            ledger: self.store.ledger().unwrap(),
            triggers: JobTriggers::default(),
            clock,
        }
    }

    /// Wins an election; the leadership outlasts the test unless it is resigned.
    pub(crate) async fn win(&self) -> LeaderKey {
        let lease = self.store.grant(Duration::from_secs(3600)).await.unwrap();
        let candidate = Candidate::of(&Member::named("a"));
        self.store.campaign(&Group::main(), lease.id, &candidate).await.unwrap()
    }

    /// An action that was just started, under a term that was won.
    pub(crate) async fn start(&self, (engine, action): Prepared) -> RunningAction {
        let key = self.win().await;
        let gate = gate(key.fencing_token.0, BootTime::NEVER);
        let mut rig = RunningAction::under(self, (engine, action), gate, key);
        rig.running.started().await.unwrap();
        rig
    }
}

pub(crate) type Prepared = (Arc<PluginEngine>, Arc<Action>);

impl RunningAction {
    /// A guest on a free port, up, under a term without a deadline.
    pub(crate) async fn up(guest: &str) -> Self {
        let action = prepare(guest, free_address());
        let mut rig = Self::start(action, gate(1, BootTime::NEVER));
        rig.running.started().await.unwrap();
        rig
    }

    /// An action that was just started, under a term without an election.
    pub(crate) fn start(prepared: Prepared, gate: Arc<Gate>) -> Self {
        let term = gate.term();
        let key = LeaderKey::new(term.group.clone(), "main/1", LeaseId(1), term.fencing_token.0);
        Self::under(&TestStore::new(), prepared, gate, key)
    }

    pub(crate) fn under(
        world: &TestStore,
        (engine, action): Prepared,
        gate: Arc<Gate>,
        key: LeaderKey,
    ) -> Self {
        let (sender, failures) = unbounded_channel();
        let tasks = TaskScope::default();
        let (notices_to, notices) = unbounded_channel();
        let state = world.store.state().unwrap();
        let term = TermLink {
            gate: gate.clone(),
            key: key.clone(),
            state,
            notices: notices_to,
            task_caller: None,
        };
        let (tasks_of, lobby, jobs) = (tasks.clone(), ActionDirectory::default(), world.jobs());
        let triggers = jobs.triggers.clone();
        let scope = TermServices {
            term,
            tasks: tasks_of,
            failures: sender,
            directory: lobby,
            jobs,
            drain: PATIENCE,
        };
        let mut running = GroupTerm::new(scope);
        running.set(std::slice::from_ref(&action));
        Self {
            engine,
            action,
            gate,
            key,
            tasks,
            failures,
            notices,
            running,
            triggers,
            _folder: world.folder.clone(),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.action.status().listen.unwrap()
    }

    /// The status and the text of the answer.
    pub(crate) async fn ask(&self, path: &str) -> (u16, String) {
        let response = self.get(path).await;
        (response.status().as_u16(), response.text().await.unwrap())
    }

    pub(crate) async fn get(&self, path: &str) -> reqwest::Response {
        reqwest::get(format!("http://{}{path}", self.address())).await.unwrap()
    }

    /// Sends the head of a request, or any other `text`, and leaves the rest to the test.
    pub(crate) async fn send(&self, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address()).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    }

    /// Sends this many requests, and waits until each has an instance.
    pub(crate) async fn begin(&self, request: &str, count: usize) -> Vec<TcpStream> {
        let mut streams = Vec::new();
        for _ in 0..count {
            streams.push(self.send(request).await);
        }
        self.instances(count).await;
        streams
    }

    /// Waits until there are this many instances.
    pub(crate) async fn instances(&self, count: usize) {
        until("instances", || self.engine.live_instances() == count).await;
    }

    /// Another action of the same host, up, which this one must not disturb.
    pub(crate) async fn neighbour(&self) -> Neighbour {
        let config = config(guest_file("i-am-server"), free_address());
        let action = Action::prepare(&config, &self.engine).unwrap();
        let mut rig = Self::start((self.engine.clone(), action), gate(1, BootTime::NEVER));
        rig.running.started().await.unwrap();
        Neighbour(rig)
    }

    /// Ends the term at once, and checks that nothing of it is left.
    pub(crate) async fn stop(self) {
        let address = self.action.status().listen;
        self.gate.close();
        let began = Instant::now();
        timeout(PATIENCE, self.running.stop()).await.expect("the stop hangs");
        let took = began.elapsed();
        assert!(took < STOP, "the stop took {took:?}");
        assert_eq!((self.tasks.len(), self.engine.live_instances()), (0, 0));
        assert_eq!(self.action.status().state, ActionState::Standby);
        if let Some(address) = address {
            TcpListener::bind(address).expect("the address is still held");
        }
    }
}

/// An action that must not notice what goes on next to it.
pub(crate) struct Neighbour(RunningAction);

impl Neighbour {
    /// Checks that it answers as it does alone.
    pub(crate) async fn answers(&self) {
        let asked = timeout(PATIENCE, self.0.ask("/")).await.expect("the neighbour is held up");
        assert_eq!(asked, (200, "I am server a\n".to_owned()));
    }

    /// Ends it; other actions may still be alive.
    pub(crate) async fn stop(self) {
        self.0.gate.close();
        self.0.running.stop().await;
    }
}

/// A gate for a term of host `a`.
pub(crate) fn gate(fencing_token: i64, deadline: BootTime) -> Arc<Gate> {
    let term =
        Term { group: Group::main(), host: "a".into(), fencing_token: FencingToken(fencing_token) };
    Arc::new(Gate::new(term, Arc::new(Deadline::new(deadline))))
}

/// An engine, and a guest prepared as an action that listens on `listen`.
pub(crate) fn prepare(guest: &str, listen: SocketAddr) -> Prepared {
    prepare_as(config(guest_file(guest), listen))
}

/// An engine, and a guest on a free port that is granted something.
pub(crate) fn prepare_with(guest: &str, grants: Grants) -> Prepared {
    let config = config(guest_file(guest), free_address());
    prepare_as(ActionConfig { grants: grants.into(), ..config })
}

/// An engine, and `i-am-server` on a free port under a name of its own.
pub(crate) fn prepare_named(name: &str) -> Prepared {
    let config = config(guest_file("i-am-server"), free_address());
    prepare_as(ActionConfig { name: name.into(), ..config })
}

/// The same, for an action that answers this many requests at a time.
pub(crate) fn prepare_for(guest: &str, requests: usize, grants: Grants) -> Prepared {
    prepare_within(guest, Limits { max_concurrent_requests: requests, ..Limits::default() }, grants)
}

/// The same, for an action whose instances are used again.
pub(crate) fn prepare_reusing(guest: &str, reuse: ReuseLimits) -> Prepared {
    let config = config(guest_file(guest), free_address());
    prepare_as(ActionConfig { instances: InstancePolicy::Reuse(reuse), ..config })
}

/// A guest on a free port, prepared by an existing engine.
pub(crate) fn action_of(engine: &Arc<PluginEngine>, guest: &str) -> Arc<Action> {
    Action::prepare(&config(guest_file(guest), free_address()), engine).unwrap()
}

/// The same, for an action with these `limits`.
pub(crate) fn prepare_within(guest: &str, limits: Limits, grants: Grants) -> Prepared {
    let config = config(guest_file(guest), free_address());
    prepare_as(ActionConfig { limits, grants: grants.into(), ..config })
}

pub(crate) fn prepare_as(config: ActionConfig) -> Prepared {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled");
    let engine = Arc::new(PluginEngine::new(Some(cache)).unwrap());
    let action = Action::prepare(&config, &engine).unwrap();
    (engine, action)
}

pub(crate) fn config(plugin: PathBuf, listen: SocketAddr) -> ActionConfig {
    ActionConfig { listen, ..ActionConfig::with_defaults("web", plugin) }
}

/// An address that is free now. Port 0 would not do: tests that start an action twice need the same
/// port again.
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

/// Polls until `condition` holds, for changes without a notification.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("waited in vain: {what}"));
}

/// Reads until the other side has closed, and returns whether it closed properly.
pub(crate) async fn rest_of(mut stream: TcpStream) -> (String, bool) {
    let mut bytes = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("still open");
    (String::from_utf8_lossy(&bytes).into_owned(), read.is_ok())
}

/// Reads until `text` has arrived.
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
