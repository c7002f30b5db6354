//! `instances = "reuse"`: what lives on from one request to the next, and for how long.

use std::time::Duration;

use soloist_config::{ActionConfig, InstancePolicy, Limits, ReuseLimits};

use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    time::{sleep, timeout},
};

use crate::rig::{
    PATIENCE, RunningAction, TestStore, config, free_address, guest_file, prepare_as,
    prepare_reusing, read_until, rest_of, until,
};

const LONG: Duration = Duration::from_secs(600);

async fn up(guest: &str, reuse: ReuseLimits) -> RunningAction {
    TestStore::new().start(prepare_reusing(guest, reuse)).await
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n")
}

/// The answers of `/count`, asked this many times.
async fn counts(rig: &RunningAction, times: usize) -> Vec<String> {
    let mut counts = Vec::new();
    for _ in 0..times {
        counts.push(rig.ask("/count").await.1);
    }
    counts
}

async fn send(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_lives_on_until_the_instance_is_replaced() {
    for guest in ["spin", "concurrent"] {
        let rig = up(guest, ReuseLimits { max: 3, idle: LONG }).await;
        assert_eq!(counts(&rig, 7).await, ["1", "2", "3", "1", "2", "3", "1"], "{guest}");
        assert_eq!(rig.engine.live_instances(), 1, "{guest}");
        rig.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_nobody_wants_ends() {
    for guest in ["spin", "concurrent"] {
        let rig = up(guest, ReuseLimits { max: 100, idle: Duration::from_millis(50) }).await;
        assert_eq!(counts(&rig, 1).await, ["1"]);
        rig.instances(0).await;
        assert_eq!(counts(&rig, 1).await, ["1"], "{guest}");
        rig.stop().await;
    }
}

/// An idle instance does not count as taking too long, although it may be kept for longer than a
/// request may take.
#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_kept_does_not_hang() {
    let limit = Duration::from_secs(2);
    for guest in ["spin", "concurrent"] {
        let limits =
            Limits { request_timeout: limit, response_timeout: limit, ..Limits::default() };
        let instances = InstancePolicy::Reuse(ReuseLimits { max: 100, idle: LONG });
        let config =
            ActionConfig { limits, instances, ..config(guest_file(guest), free_address()) };
        let rig = TestStore::new().start(prepare_as(config)).await;
        assert_eq!(counts(&rig, 1).await, ["1"]);
        // This waits for time itself: two checks and more.
        sleep(limit * 5 / 2).await;
        assert_eq!(counts(&rig, 1).await, ["2"], "{guest}");
        assert_eq!(rig.action.status().last_error, None, "{guest}");
        rig.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trap_takes_the_instance_with_it() {
    for guest in ["spin", "concurrent"] {
        let rig = up(guest, ReuseLimits { max: 100, idle: LONG }).await;
        assert_eq!(counts(&rig, 2).await, ["1", "2"]);
        let (status, text) = rig.ask("/trap").await;
        assert!(status == 500 && text.contains("the plugin failed"), "{status} {text}");
        assert_eq!(counts(&rig, 1).await, ["1"], "{guest}");
        // It is kept a moment after its client has the response.
        let kept = async { while counts(&rig, 1).await != ["2"] {} };
        timeout(PATIENCE, kept).await.unwrap_or_else(|_| panic!("{guest} is not kept"));
        rig.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_returns_without_an_answer_is_not_kept() {
    let rig = up("spin", ReuseLimits { max: 100, idle: LONG }).await;
    assert_eq!(counts(&rig, 1).await, ["1"]);
    assert_eq!(rig.ask("/silent").await.0, 500);
    let error = rig.action.status().last_error.unwrap();
    assert!(error.contains("without an answer"), "{error}");
    assert_eq!(counts(&rig, 1).await, ["1"]);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_whose_client_has_gone_is_not_kept() {
    for guest in ["spin", "concurrent"] {
        let rig = up(guest, ReuseLimits { max: 100, idle: LONG }).await;
        for path in ["/spin", "/sleep?ms=60000"] {
            assert_eq!(counts(&rig, 1).await, ["1"]);
            let mut streams = Vec::new();
            for _ in 0..17 {
                streams.push(rig.send(&get(path)).await);
            }
            // Another one is created when the kept one is busy.
            until("it is busy", || rig.engine.live_instances() > 1).await;
            drop(streams);
            rig.instances(0).await;
        }
        rig.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_of_0_2_answers_one_at_a_time() {
    let rig = up("spin", ReuseLimits { max: 100, idle: LONG }).await;
    let waiting = rig.begin(&get("/sleep?ms=60000"), 5).await;
    assert_eq!(counts(&rig, 2).await, ["1", "2"]);
    assert_eq!(rig.engine.live_instances(), 6);
    drop(waiting);
    // The one that has finished is kept.
    rig.instances(1).await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_leaves_the_others_be() {
    let rig = up("concurrent", ReuseLimits { max: 1000, idle: LONG }).await;
    let mut streams = Vec::new();
    for _ in 0..64 {
        let mut stream = rig.send(&get("/endless")).await;
        read_until(&mut stream, "one more line").await;
        streams.push(stream);
    }
    let stays = streams.split_off(60);
    drop(streams);
    for mut stream in stays {
        // Text that was read before does not count.
        for _ in 0..3 {
            read_until(&mut stream, "one more line").await;
        }
        drop(stream);
    }
    rig.instances(0).await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_does_not_wait_for_what_is_kept() {
    for guest in ["spin", "concurrent"] {
        let mut rig = up(guest, ReuseLimits { max: 100, idle: LONG }).await;
        assert_eq!(counts(&rig, 1).await, ["1"]);
        rig.gate.drain();
        rig.running.drain().await;
        rig.instances(0).await;
        rig.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_goes_with_its_version() {
    for guest in ["spin", "concurrent"] {
        let mut rig = up(guest, ReuseLimits { max: 100, idle: LONG }).await;
        assert_eq!(counts(&rig, 1).await, ["1"]);
        rig.running.set(&[]);
        // Long before the version is stopped at the end of its patience.
        timeout(PATIENCE / 2, rig.instances(0)).await.expect("what is kept is waited for");
        rig.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_and_bodies_pass_both_ways() {
    for guest in ["spin", "concurrent"] {
        let rig = up(guest, ReuseLimits { max: 100, idle: LONG }).await;
        for _ in 0..2 {
            let head = "POST /echo HTTP/1.1\r\nhost: a\r\nte: trailers\r\nconnection: close\r\n\
                        trailer: x-sum\r\ntransfer-encoding: chunked\r\n\r\n";
            let mut stream = rig.send(head).await;
            send(&mut stream, "4\r\nhalf\r\n").await;
            // The response comes before the other half of the request is sent.
            let come = read_until(&mut stream, "half").await;
            send(&mut stream, "5\r\nwhole\r\n0\r\nx-sum: 9\r\n\r\n").await;
            let (rest, in_order) = rest_of(stream).await;
            assert!(in_order && rest.contains("whole"), "{guest}: {come}{rest}");
            assert!(rest.contains("x-sum: 9"), "{guest}: {come}{rest}");
        }
        rig.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn upgrades_are_refused_in_so_many_words() {
    let rig = up("spin", ReuseLimits { max: 100, idle: LONG }).await;
    let websocket =
        "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    let tunnel = "CONNECT a:80 HTTP/1.1\r\nhost: a:80\r\n\r\n";
    for (request, words) in [(websocket, "no upgrades"), (tunnel, "is not a proxy")] {
        let mut stream = rig.send(request).await;
        let answer = read_until(&mut stream, words).await;
        assert!(answer.starts_with("HTTP/1.1 501"), "{answer}");
    }
    rig.stop().await;
}
