//! A leader is frozen for three times the TTL, and wakes up.
//!
//! In the meantime another host has led and written. When the former leader wakes up, requests wait
//! in its sockets, and one of its guests is in the middle of something. None of that may have an
//! effect, nor does the former leader show itself as the leader.
//!
//! `SOLOIST_FREEZES` sets the number of rounds on each store; several clusters share many rounds.

use std::{collections::BTreeMap, env, net::SocketAddr};

use futures::future::{join, join_all};
use rustix::process::Signal;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep_until, timeout},
};

use crate::harness::{
    PATIENCE, TTL, at,
    client::Web,
    cluster::{Cluster, Kind},
    guests, own_address,
};

crate::on_all_stores!(core: what_a_frozen_leader_left_undone_is_refused_when_it_wakes);

/// The maximum number of clusters: more would only wait for the disk.
const CLUSTERS: usize = 4;
/// The number of requests that wait for the leader while it is frozen.
const WAITING: usize = 4;

async fn what_a_frozen_leader_left_undone_is_refused_when_it_wakes(kind: Kind) {
    let rounds = env::var("SOLOIST_FREEZES").map_or(1, |rounds| rounds.parse().expect("a number"));
    let clusters = CLUSTERS.min(rounds);
    let share = |n| rounds / clusters + usize::from(n < rounds % clusters);
    let tolls = join_all((0..clusters).map(|n| run(kind, share(n)))).await;
    let refused: usize = tolls.iter().sum();
    println!("{rounds} freezes, {refused} of {} requests answered by 503", rounds * WAITING);
    // The other requests were cut off, because the teardown was faster than the answer.
    assert!(refused > 0, "no answer was seen at all");
}

/// Freezes leaders of a cluster, one after another. Returns how many requests were refused.
async fn run(kind: Kind, rounds: usize) -> usize {
    let mut pair = Pair::start(kind).await;
    let mut refused = 0;
    for _ in 0..rounds {
        refused += pair.freeze_the_leader().await;
    }
    pair.beats_are_fenced();
    refused
}

/// Two hosts. Each has its own web address, since a frozen host keeps its address.
struct Pair {
    cluster: Cluster,
    webs: BTreeMap<&'static str, SocketAddr>,
    leader: &'static str,
    standby: &'static str,
}

impl Pair {
    async fn start(kind: Kind) -> Self {
        let mut cluster = Cluster::with_plugin(kind, guests().join("state.wasm")).await.brief();
        let beat = guests().join("service-beat.wasm");
        let mut webs = BTreeMap::new();
        for name in ["a", "b"] {
            let web = at(own_address(), 3000);
            let more = format!(
                "state = true\n[action.beat]\nplugin = \"{}\"\nstate = true\n",
                beat.display()
            );
            let shared = cluster.web_at.to_string();
            let settings = cluster.configuration(&more).replace(&shared, &web.to_string());
            cluster.start_from(name, &settings);
            cluster.stands(name).await;
            webs.insert(name, web);
        }
        cluster.leading("a").await;
        Self { cluster, webs, leader: "a", standby: "b" }
    }

    async fn freeze_the_leader(&mut self) -> usize {
        let (leader, standby) = (self.leader, self.standby);
        let seen = self.cluster.lengths();
        // A host leads a moment before it listens.
        late_writes(&Web::new(self.webs[leader])).await;
        let open = join_all((0..WAITING).map(|_| self.connect())).await;
        let control = self.cluster.host(leader).api().await;
        let to_control = (0..WAITING).map(|_| TcpStream::connect(control));
        let to_control = join_all(to_control).await;
        self.freeze(leader).await;
        let until = Instant::now() + 3 * TTL;
        let waiting = join_all(open.into_iter().map(|stream| ask(stream, INCREMENT))).await;
        let to_control = to_control.into_iter().map(|stream| stream.expect("it listens"));
        let statuses = join_all(to_control.map(|stream| ask(stream, STATUS))).await;

        let next = &self.cluster.host(standby).log;
        next.event(seen[standby], "leading").await;
        let web = Web::new(self.webs[standby]);
        assert_eq!(late_writes(&web).await, "-\n", "seen by the next leader");
        sleep_until(until).await;

        self.cluster.signal(leader, Signal::CONT);
        let (answers, statuses) =
            join(join_all(waiting.into_iter().map(rest)), join_all(statuses.into_iter().map(rest)))
                .await;
        for status in &statuses {
            let shows_role = status.contains("\"role\": ");
            assert!(shows_role && !status.contains("\"role\": \"leader\""), "{status}");
        }
        let log = &self.cluster.host(leader).log;
        log.event(seen[leader], "stopped").await;
        log.event(log.last("stopped"), "standby").await;
        for answer in &answers {
            assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 503"), "{answer}");
        }
        assert_eq!(late_writes(&web).await, "-\n", "after the former leader woke");
        (self.leader, self.standby) = (standby, leader);
        answers.iter().filter(|answer| !answer.is_empty()).count()
    }

    /// Freezes the process right after a renewal and a write. In the middle of a transaction of the
    /// embedded store, it would hold up all hosts.
    async fn freeze(&self, name: &str) {
        let log = &self.cluster.host(name).log;
        loop {
            log.event(log.len(), "renewed").await;
            log.find(log.len(), "beat", |line| beat(line).is_some()).await;
            self.cluster.host(name).freeze();
            if self.cluster.file_is_free() {
                return;
            }
            self.cluster.signal(name, Signal::CONT);
        }
    }

    /// A connection to the leader that has been used before and waits for the next request.
    async fn connect(&self) -> TcpStream {
        let mut stream = TcpStream::connect(self.webs[self.leader]).await.expect("it listens");
        stream.write_all(GET).await.expect("it takes requests");
        let answer = timeout(PATIENCE, whole(&mut stream)).await.expect("in time");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        stream
    }

    /// The fence holds on both hosts: a higher fencing token never comes with a lower count.
    fn beats_are_fenced(&self) {
        let logs = ["a", "b"].map(|name| self.cluster.host(name).log.lines());
        let mut beats: Vec<_> = logs.iter().flatten().filter_map(beat).collect();
        beats.sort_unstable_by_key(|(_, count)| *count);
        assert!(beats.len() > 10, "{} beats", beats.len());
        for pair in beats.windows(2) {
            let [(fencing_token, count), (later, next)] = pair else { unreachable!() };
            assert!(count < next, "{count} was counted twice");
            assert!(
                fencing_token <= later,
                "{next} was counted under {later}, after {fencing_token}"
            );
        }
    }
}

const GET: &[u8] = b"GET /get/late HTTP/1.1\r\nhost: web\r\n\r\n";
const STATUS: &[u8] = b"GET /v1/status HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
const INCREMENT: &[u8] = b"GET /increment/late/1 HTTP/1.1\r\nhost: web\r\n\r\n";

/// What the waiting requests have written; nothing if all is well.
async fn late_writes(web: &Web) -> String {
    web.until_at("/get/late", "the leader answers", |_| true).await.body
}

async fn ask(mut stream: TcpStream, request: &[u8]) -> TcpStream {
    stream.write_all(request).await.expect("the kernel takes it");
    stream
}

/// One answer, up to the last chunk of its body.
async fn whole(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    while !answer.ends_with(b"0\r\n\r\n") {
        assert!(stream.read_buf(&mut answer).await.expect("an answer") > 0, "closed");
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// All further bytes, until the other side closes or has answered.
async fn rest(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    // A reset ends the connection too.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("it is closed");
    String::from_utf8_lossy(&answer).into_owned()
}

/// The fencing token and the count in a line that the guest printed.
fn beat(line: &Value) -> Option<(u64, u64)> {
    let mut words = line["message"].as_str()?.strip_prefix("beat ")?.split(' ');
    Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}
