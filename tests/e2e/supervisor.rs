//! When a process dies and its machine does not, the take-over does not wait for the TTL.

use std::{net::TcpListener, time::Duration};

use rustix::process::Signal;
use tokio::{
    process::Command,
    time::{Instant, timeout},
};

use crate::harness::{
    client::Answer,
    cluster::{Cluster, Kind},
    exit::{CONFIG, INTERRUPTED, UNAVAILABLE},
    guests, plugins,
    process::{NO_SUPERVISOR, Process, run, soloist},
};

crate::on_all_stores!(
    core:
    a_killed_host_is_replaced_at_once_and_comes_back,
    a_host_that_aborts_is_replaced_at_once,
    with_its_supervisor_a_host_ends_too,
    a_supervisor_that_is_told_to_stop_stops_gracefully,
    ctrl_c_stops_gracefully,
    the_second_signal_ends_both_at_once,
    a_frozen_supervisor_does_no_harm,
);

/// Longer than the patience of any test, so that no wait can be one for the lease.
const LONG_TTL: Duration = Duration::from_secs(5);

/// A cluster whose hosts run under supervisors.
async fn supervised(kind: Kind, plugin: &str) -> Cluster {
    let folder = if plugin == "i-am-server" { plugins() } else { guests() };
    let mut cluster = Cluster::with_plugin(kind, folder.join(format!("{plugin}.wasm"))).await;
    (cluster.ttl, cluster.supervised) = (LONG_TTL, true);
    cluster
}

/// The same, with `a`, which leads, and `b`, which stands by.
async fn of_two(kind: Kind) -> Cluster {
    let mut cluster = supervised(kind, "i-am-server").await;
    cluster.join("a").await;
    cluster.leading("a").await;
    cluster.join("b").await;
    cluster
}

/// The first answer of `name`, which must come sooner than any lease can expire.
async fn soon(cluster: &Cluster, name: &str) -> Answer {
    let answer = timeout(LONG_TTL / 2, cluster.web.until(name, |answer| answer.host == name)).await;
    answer.unwrap_or_else(|_| panic!("{name} waits for a lease to run out"))
}

/// Crashes the leading host `from`, and checks that `to` follows at once.
async fn crash(cluster: &Cluster, from: &str, to: &str, signal: Signal) {
    let before = cluster.web.until(from, |answer| answer.host == from).await;
    let log = &cluster.host(from).log;
    let host = cluster.host(from).supervised(lives(cluster, from)).await;
    let seen = log.len();
    host.signal(signal);
    let after = soon(cluster, to).await;
    assert!(after.fencing_token > before.fencing_token, "{before:?} then {after:?}");
    let crashed = log.event(seen, "crashed").await;
    assert_eq!(crashed["signal"], signal.as_raw());
    log.event(seen, "released").await;
    log.event(seen, "supervising").await;
    // The crashed host is restarted.
    log.event(seen, "standby").await;
}

/// The position in the log of `name` where its current process begins.
fn lives(cluster: &Cluster, name: &str) -> usize {
    cluster.host(name).log.last("supervising")
}

async fn a_killed_host_is_replaced_at_once_and_comes_back(kind: Kind) {
    let cluster = of_two(kind).await;
    crash(&cluster, "a", "b", Signal::KILL).await;
    // The restarted host can lead and crash again.
    crash(&cluster, "b", "a", Signal::KILL).await;
}

async fn a_host_that_aborts_is_replaced_at_once(kind: Kind) {
    let cluster = of_two(kind).await;
    crash(&cluster, "a", "b", Signal::ABORT).await;
}

async fn with_its_supervisor_a_host_ends_too(kind: Kind) {
    let mut cluster = of_two(kind).await;
    let before = cluster.web.until("a", |answer| answer.host == "a").await;
    let host = cluster.host("a").supervised(0).await;
    cluster.kill("a").await;
    timeout(Duration::from_secs(1), host.gone()).await.expect("it ends with its supervisor");
    let promised = LONG_TTL + Duration::from_millis(1500);
    let after = timeout(promised, cluster.web.until("b", |answer| answer.host == "b")).await;
    let after = after.unwrap_or_else(|_| panic!("nobody took over within {promised:?}"));
    assert!(after.fencing_token > before.fencing_token, "{before:?} then {after:?}");
}

async fn a_supervisor_that_is_told_to_stop_stops_gracefully(kind: Kind) {
    stops_gracefully(kind, Signal::TERM).await;
}

async fn ctrl_c_stops_gracefully(kind: Kind) {
    stops_gracefully(kind, Signal::INT).await;
}

async fn stops_gracefully(kind: Kind, signal: Signal) {
    let mut cluster = of_two(kind).await;
    let before = cluster.web.until("a", |answer| answer.host == "a").await;
    let host = cluster.host("a").supervised(0).await;
    let mut supervisor = cluster.hosts.remove("a").expect("a");
    supervisor.signal(signal);
    let status = supervisor.ended().await;
    assert_eq!(status.code(), Some(0), "{}", supervisor.log);
    host.gone().await;
    let after = soon(&cluster, "b").await;
    assert!(after.fencing_token > before.fencing_token, "{before:?} then {after:?}");
    let story = supervisor.log.story();
    for event in ["draining", "stopped", "resigning", "goodbye"] {
        assert!(story.iter().any(|e| e == event), "no {event}: {story:?}");
    }
    for event in ["crashed", "released", "restarting"] {
        assert!(story.iter().all(|e| e != event), "{event}: {story:?}");
    }
}

async fn the_second_signal_ends_both_at_once(kind: Kind) {
    let mut cluster = supervised(kind, "spin").await;
    cluster.join("a").await;
    cluster.web.until("a", |answer| answer.host == "a").await;
    cluster.join("b").await;
    let web = cluster.web.clone();
    let slow = tokio::spawn(async move { web.get("/sleep?ms=9000").await });
    let host = cluster.host("a").supervised(0).await;
    let log = cluster.host("a").log.clone();
    log.find(0, "request", |line| line["message"] == "sleeping").await;
    let mut supervisor = cluster.hosts.remove("a").expect("a");
    supervisor.signal(Signal::TERM);
    log.event(0, "draining").await;
    // Signals right after the first count as the same request, so a person repeats it.
    let status = loop {
        supervisor.signal(Signal::TERM);
        if let Ok(status) = timeout(Duration::from_millis(100), supervisor.ended()).await {
            break status;
        }
    };
    assert_eq!(status.code(), Some(INTERRUPTED), "{log}");
    host.gone().await;
    // The session was revoked all the same.
    soon(&cluster, "b").await;
    slow.abort();
}

async fn a_frozen_supervisor_does_no_harm(kind: Kind) {
    let cluster = of_two(kind).await;
    let host = cluster.host("a").supervised(0).await;
    let log = &cluster.host("a").log;
    cluster.signal("a", Signal::STOP);
    log.event(log.len(), "renewed").await;
    log.event(log.len(), "renewed").await;
    let before = cluster.web.until("a", |answer| answer.host == "a").await;
    let seen = log.len();
    host.signal(Signal::KILL);
    // There is no help here: it takes a TTL, as without a supervisor.
    let promised = LONG_TTL + Duration::from_millis(1500);
    let after = timeout(promised, cluster.web.until("b", |answer| answer.host == "b")).await;
    let after = after.unwrap_or_else(|_| panic!("nobody took over within {promised:?}"));
    assert!(after.fencing_token > before.fencing_token, "{before:?} then {after:?}");
    // What the host finds when it wakes up does not harm the new leader.
    cluster.signal("a", Signal::CONT);
    log.event(seen, "released").await;
    log.event(seen, "standby").await;
    assert_eq!(cluster.web.until("b", |_| true).await, after);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_session_is_given_back_as_well() {
    let mut cluster = of_two(Kind::Etcd).await;
    let seen = cluster.lengths();
    cluster.etcd.as_mut().expect("etcd").kill().await;
    for (name, host) in &cluster.hosts {
        host.log.event(seen[name], "store-lost").await;
    }
    cluster.host("a").log.event(seen["a"], "stopped").await;
    cluster.etcd.as_mut().expect("etcd").start().await;
    for (name, host) in &cluster.hosts {
        host.log.event(seen[name], "standby").await;
    }
    let leader = cluster.web.until("anybody", |_| true).await.host;
    let (from, to) = if leader == "a" { ("a", "b") } else { ("b", "a") };
    crash(&cluster, from, to, Signal::KILL).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_crashes_again_and_again_is_started_less_and_less_often() {
    let mut cluster = supervised(Kind::Sqlite, "i-am-server").await;
    cluster.start("a");
    let log = cluster.host("a").log.clone();
    for pause_ms in [0, 200, 400, 800] {
        let host = cluster.host("a").supervised(lives(&cluster, "a")).await;
        let (seen, killed) = (log.len(), Instant::now());
        host.signal(Signal::KILL);
        assert_eq!(log.event(seen, "restarting").await["pause_ms"], pause_ms);
        log.event(seen, "supervising").await;
        assert!(killed.elapsed() >= Duration::from_millis(pause_ms), "too soon");
    }
    cluster.host("a").supervised(lives(&cluster, "a")).await.signal(Signal::KILL);
    log.find(0, "the long pause", |line| line["pause_ms"] == 1600).await;
    let (asked, mut supervisor) = (Instant::now(), cluster.hosts.remove("a").expect("a"));
    assert_eq!(supervisor.terminate().await.code(), Some(0), "{log}");
    assert!(asked.elapsed() < Duration::from_millis(1600), "it waits for the pause");
}

/// A first start with wrong settings fails at once. Later, the supervisor tries again: nobody else
/// would restart the host, and the mistake may be corrected soon.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_crashes_beside_a_mistake_in_its_settings_comes_back() {
    let mut cluster = supervised(Kind::Sqlite, "i-am-server").await;
    cluster.join("a").await;
    let before = cluster.web.until("a", |_| true).await;
    let log = cluster.host("a").log.clone();
    cluster.command("a", "lissten = \"x\"\n");
    cluster.host("a").supervised(0).await.signal(Signal::KILL);
    let refused = log.event(0, "not-back").await;
    let error = refused["error"].as_str().unwrap_or_default();
    assert!(error.contains("lissten") && error.contains("help: "), "{refused}");
    log.event(log.len(), "not-back").await;
    cluster.command("a", "");
    let after = cluster.web.until("a", |answer| answer.fencing_token > before.fencing_token).await;
    assert_eq!(after.host, "a");
    // A stop is obeyed all the same.
    cluster.command("a", "lissten = \"x\"\n");
    let seen = log.len();
    cluster.host("a").supervised(lives(&cluster, "a")).await.signal(Signal::KILL);
    log.event(seen, "not-back").await;
    let mut supervisor = cluster.hosts.remove("a").expect("a");
    assert_eq!(supervisor.terminate().await.code(), Some(0), "{log}");
}

/// As in an upgrade that removes the old program before the new one exists.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_whose_program_is_missing_comes_back_when_that_does() {
    let mut cluster = supervised(Kind::Sqlite, "i-am-server").await;
    let of_tests = cluster.command("a", "");
    let [program, away] = ["soloist", "soloist.away"].map(|name| cluster.folder.path().join(name));
    std::fs::copy(of_tests.as_std().get_program(), &program).expect("a copy");
    let mut command = Command::new(&program);
    command.args(of_tests.as_std().get_args()).kill_on_drop(true);
    for (name, value) in of_tests.as_std().get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    cluster.hosts.insert("a", Process::start(&mut command));
    let before = cluster.web.until("a", |_| true).await;
    let log = cluster.host("a").log.clone();
    std::fs::rename(&program, &away).expect("a name");
    cluster.host("a").supervised(0).await.signal(Signal::KILL);
    let missing = log.event(0, "not-back").await;
    let error = missing["error"].as_str().unwrap_or_default();
    assert!(error.contains(&program.display().to_string()), "{missing}");
    assert!(error.contains("put it back"), "{missing}");
    std::fs::rename(&away, &program).expect("a name");
    cluster.web.until("a", |answer| answer.fencing_token > before.fencing_token).await;
}

/// The host is dead, and its session is not revoked yet.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_told_to_stop_after_a_crash_starts_nothing() {
    let mut cluster = supervised(Kind::Etcd, "i-am-server").await;
    cluster.join("a").await;
    cluster.leading("a").await;
    let log = cluster.host("a").log.clone();
    let host = cluster.host("a").supervised(0).await;
    cluster.etcd.as_ref().expect("etcd").signal(Signal::STOP);
    host.signal(Signal::KILL);
    log.event(0, "crashed").await;
    let mut supervisor = cluster.hosts.remove("a").expect("a");
    // The store does not answer, so revoking fails until the lease has expired.
    supervisor.signal(Signal::TERM);
    assert_eq!(supervisor.ended().await.code(), Some(0), "{log}");
    assert!(log.events("restarting").is_empty(), "{log}");
    assert_eq!(log.events("supervising").len(), 1, "{log}");
}

/// A frozen host gets no signal; its lease has expired long before.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_frozen_when_it_is_told_to_stop_is_killed() {
    let mut cluster = supervised(Kind::Etcd, "i-am-server").await.brief();
    let text = cluster.configuration("").replace("[lease]\n", "[lease]\ndrain_timeout = \"1s\"\n");
    cluster.start_from("a", &text);
    cluster.stands("a").await;
    let host = cluster.host("a").supervised(0).await;
    host.signal(Signal::STOP);
    let mut supervisor = cluster.hosts.remove("a").expect("a");
    assert_eq!(supervisor.terminate().await.code(), Some(128 + 9), "{}", supervisor.log);
    assert_eq!(supervisor.log.events("killed").len(), 1, "{}", supervisor.log);
    timeout(Duration::from_secs(1), host.gone()).await.expect("it is gone");
}

/// Checks the error and the exit code of a host that cannot start, with and without a supervisor.
async fn refuses_alike(command: &mut Command, code: i32) {
    let without = run(command.env(NO_SUPERVISOR, "yes")).await;
    let with = run(command.env_remove(NO_SUPERVISOR)).await;
    assert_eq!(without.status.code(), Some(code), "{}", without.output);
    assert_eq!(with.status.code(), Some(code), "{}", with.output);
    let complaint = |output: &str| output.split_once("error:").expect("an error").1.to_owned();
    assert_eq!(complaint(&with.output), complaint(&without.output));
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_settings_are_told_as_without_a_supervisor() {
    let cluster = Cluster::new(Kind::Sqlite).await;
    refuses_alike(&mut cluster.command("a", "lissten = \"x\"\n"), CONFIG).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_address_is_told_as_without_a_supervisor() {
    let cluster = Cluster::new(Kind::Sqlite).await;
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let listen = taken.local_addr().expect("an address").to_string();
    cluster.command("a", "");
    let file = cluster.folder.path().join("a.toml");
    let mut command = soloist();
    command.arg("run").arg("--config").arg(file).args(["--listen", &listen]);
    refuses_alike(&mut command, UNAVAILABLE).await;
}
