//! Stopping at once: whatever a guest is doing, it is soon gone.

use soloist_heart::clock::BootTime;

use crate::rig::{RunningAction, free_address, gate, prepare, read_until, rest_of};

/// Stops while `count` requests are in flight, after `begun` has come back on each.
async fn stop_during(request: &str, count: usize, begun: &str) {
    let rig = RunningAction::up("spin").await;
    let mut streams = rig.begin(request, count).await;
    for stream in &mut streams {
        read_until(stream, begun).await;
    }
    rig.stop().await;
    for stream in streams {
        let (rest, _) = rest_of(stream).await;
        assert!(!rest.contains("200 OK") && !rest.ends_with("\r\n0\r\n\r\n"), "{rest}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_an_endless_loop() {
    stop_during("GET /spin HTTP/1.1\r\nhost: a\r\n\r\n", 1, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_many_endless_loops() {
    stop_during("GET /spin HTTP/1.1\r\nhost: a\r\n\r\n", 16, "").await;
}

#[tokio::test]
async fn in_an_endless_loop_on_the_only_thread() {
    stop_during("GET /spin HTTP/1.1\r\nhost: a\r\n\r\n", 4, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_sleep() {
    stop_during("GET /sleep?ms=600000 HTTP/1.1\r\nhost: a\r\n\r\n", 1, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_hundred_requests() {
    stop_during("GET /sleep?ms=600000 HTTP/1.1\r\nhost: a\r\n\r\n", 100, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_half_read_request() {
    let half = "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\nhalf";
    stop_during(half, 3, "half").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_streaming_response() {
    stop_during("GET /slow-body HTTP/1.1\r\nhost: a\r\n\r\n", 3, "\r\n\r\n").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn before_it_is_up() {
    let address = free_address();
    let holder = std::net::TcpListener::bind(address).unwrap();
    let rig = RunningAction::start(prepare("i-am-server", address), gate(1, BootTime::NEVER));
    drop(holder);
    rig.stop().await;
}

/// No stop, no task, no message: only the gate.
#[tokio::test(flavor = "multi_thread")]
async fn a_closed_gate_alone_interrupts_a_busy_guest() {
    let rig = RunningAction::up("spin").await;
    let mut streams = rig.begin("GET /spin HTTP/1.1\r\nhost: a\r\n\r\n", 1).await;
    rig.gate.close();
    rig.instances(0).await;
    let answer = read_until(&mut streams[0], "\r\n\r\n").await;
    assert!(answer.contains("503") && answer.contains("soloist-fencing-token: 1"), "{answer}");
    rig.stop().await;
}
