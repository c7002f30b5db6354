//! A host that stands by, its relay, and simulated leaders.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use soloist::{
    action::{Action, ActionDirectory, Programme},
    api::{JobApi, LogApi, Status, StatusSource},
    cluster::{Commands, PeerClient, PeerCredentials},
    relay::{Relay, RunningRelay},
};
use soloist_config::{ActionConfig, ApiConfig, HostConfig, RelayConfig, StandbyMode, TlsFiles};
use soloist_guests::capability::LogBuffers;
use soloist_heart::{Group, LeaderKey, LeaseId};
use soloist_leadership::RosterView;
use soloist_stores::{Candidate, Member, QueuedCandidate, Roster, ThisHost};
use soloist_telemetry::journal::Journal;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    sync::watch,
    time::timeout,
};

use crate::rig::{
    self, PATIENCE, TestStore, free_address, guest_file, prepare_as, read_until, until,
};

/// A host `a` that leads nothing, and its relay.
pub(super) struct StandbyHost {
    pub(super) address: SocketAddr,
    pub(super) action: Arc<Action>,
    pub(super) directory: ActionDirectory,
    pub(super) roster: watch::Sender<Option<Roster>>,
    relay: RunningRelay,
    /// The same relay, for a server of the control API.
    pub(super) asked: Relay,
    _programme: watch::Sender<Arc<Programme>>,
}

impl StandbyHost {
    /// A standby whose relay has opened its address.
    pub(super) async fn by(hold: Duration) -> Self {
        let standby = Self::starting(hold, free_address(), None);
        until("the address", || standby.directory.bound_address(&standby.action).is_some()).await;
        standby
    }

    pub(super) fn starting(
        hold: Duration,
        address: SocketAddr,
        tls: Option<Arc<TlsFiles>>,
    ) -> Self {
        let relayed = RelayConfig { standby: StandbyMode::Forward, max_hold: hold };
        let config = rig::config(guest_file("i-am-server"), address);
        let (_, action) = prepare_as(ActionConfig { relay: relayed, tls, ..config });
        let programme = Programme { actions: vec![Arc::clone(&action)], ..Programme::default() };
        let (programme_to, programme) = watch::channel(Arc::new(programme));
        let (roster, roster_of) = watch::channel(None);
        let directory = ActionDirectory::default();
        let asked = Relay::new(this(), peers(), directory.clone(), programme, roster_of);
        let relay = asked.clone().start();
        Self { address, action, directory, roster, relay, asked, _programme: programme_to }
    }

    /// Makes `leader` the leader, under `fencing_token`.
    pub(super) fn follow(&self, leader: &TcpListener, fencing_token: i64) {
        let url = format!("http://{}", leader.local_addr().unwrap());
        let group = Group::main();
        let (name, lease) = (format!("main/{fencing_token}"), LeaseId(fencing_token));
        let key = LeaderKey::new(group.clone(), name, lease, fencing_token);
        let member = Member { url, ..Member::named(format!("host-{fencing_token}")) };
        let candidate = Candidate::of(&member);
        let groups = BTreeMap::from([(group, vec![QueuedCandidate { candidate, key }.into()])]);
        self.roster.send_replace(Some(Roster {
            revision: fencing_token,
            groups,
            ..Roster::default()
        }));
    }

    /// Sends `text` on a connection of its own.
    pub(super) async fn send(&self, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    }

    pub(super) async fn stop(self) {
        timeout(PATIENCE, self.relay.finish(Duration::ZERO)).await.expect("the relay hangs");
        TcpListener::bind(self.address).await.expect("the address is still held");
    }
}

pub(super) async fn leader() -> TcpListener {
    TcpListener::bind(("127.0.0.1", 0)).await.unwrap()
}

/// The next connection to `leader`, and the head of its request.
pub(super) async fn asked(leader: &TcpListener) -> (TcpStream, String) {
    let (mut stream, _) = timeout(PATIENCE, leader.accept()).await.expect("nobody asks").unwrap();
    let head = read_until(&mut stream, "\r\n\r\n").await;
    (stream, head)
}

pub(super) const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\nfine";
pub(super) const NOT_BEGUN: &str = "HTTP/1.1 503 Service Unavailable\r\nsoloist-unserved: not-begun\r\n\
                         content-length: 0\r\nconnection: close\r\n\r\n";
pub(super) const GET: &str = "GET /x?y=z HTTP/1.1\r\nhost: example.com\r\nconnection: close, x-mine\r\n\
                   x-mine: 1\r\nsoloist-via: liar\r\nx-forwarded-for: 192.0.2.1\r\n\r\n";
pub(super) const POST: &str =
    "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello";

/// The status source of a test's control server; it is never asked.
pub(super) struct SilentStatus;

impl StatusSource for SilentStatus {
    fn status(&self) -> Status {
        unreachable!("nobody asks")
    }

    fn metrics(&self) -> String {
        String::new()
    }

    fn ready(&self) -> Result<(), String> {
        Ok(())
    }
}

/// The host `a`.
fn this() -> ThisHost {
    ThisHost::of(&Member::named("a"))
}

/// A client for hosts that ask for no credentials.
pub(super) fn peers() -> PeerClient {
    PeerClient::new(&PeerCredentials::default()).unwrap()
}

/// The settings of a host that lets everybody in.
pub(super) fn host(listen: SocketAddr) -> HostConfig {
    HostConfig {
        name: "a".into(),
        listen,
        advertise: None,
        names: Vec::new(),
        tls: None,
        api: ApiConfig::default(),
        labels: BTreeMap::new(),
        priority: 0,
    }
}

/// The jobs of a host without jobs.
pub(super) fn no_jobs(world: &TestStore) -> JobApi {
    let (programme, roster_view) = (watch::channel(Arc::default()).1, RosterView::empty());
    let (jobs, claim_trouble) = (world.jobs(), Box::new(|| None));
    JobApi { host: this(), programme, peers: peers(), roster_view, jobs, claim_trouble }
}

/// The logs of a host that has printed nothing.
pub(super) fn no_logs() -> LogApi {
    let (programme, roster) = (watch::channel(Arc::default()).1, watch::channel(None).1);
    LogApi { host: this(), programme, peers: peers(), roster, lines: LogBuffers::default() }
}

/// Commands for a host without a cluster.
pub(super) fn nobody(world: &TestStore) -> Commands {
    Commands {
        host: this(),
        store: Arc::clone(&world.store),
        peers: peers(),
        roster_view: RosterView::empty(),
        groups: Box::new(Vec::new),
        events: tokio::sync::mpsc::unbounded_channel().0,
        journal: Journal::default(),
        patience: PATIENCE,
    }
}
