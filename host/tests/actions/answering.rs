//! Requests, responses, and the gate between them.

use std::time::Duration;

use reqwest::{Method, Response, StatusCode};
use soloist::action::ActionState;
use soloist_heart::clock::BootTime;
use soloist_telemetry::measure::Measurements;
use tokio::io::AsyncWriteExt;

use crate::rig::{
    RunningAction, free_address, gate, prepare, prepare_named, read_until, rest_of, until,
};

/// The headers that every response carries.
fn stamp(response: &Response) -> (&str, &str) {
    let header = |name| response.headers().get(name).map_or("", |value| value.to_str().unwrap());
    (header("soloist-host"), header("soloist-fencing-token"))
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_under_each_term_with_its_token() {
    let (engine, action) = prepare("i-am-server", free_address());
    assert_eq!(
        (action.kinds().to_string(), action.status().state),
        ("http".to_owned(), ActionState::Standby)
    );
    action.preflight().unwrap();
    for fencing_token in [7, 9] {
        let mut rig = RunningAction::start(
            (engine.clone(), action.clone()),
            gate(fencing_token, BootTime::NEVER),
        );
        rig.running.started().await.unwrap();
        assert_eq!(action.status().state, ActionState::Running);
        let response = rig.get("/").await;
        assert_eq!(stamp(&response), ("a", fencing_token.to_string().as_str()));
        assert_eq!(response.text().await.unwrap(), "I am server a\n");
        rig.stop().await;
    }
}

#[tokio::test]
async fn each_term_has_an_address_and_no_errors_of_its_own() {
    let any_port = ([127, 0, 0, 1], 0).into();
    let (engine, action) = prepare("spin", any_port);
    let mut rig = RunningAction::start((engine.clone(), action.clone()), gate(1, BootTime::NEVER));
    rig.running.started().await.unwrap();
    assert_eq!(rig.get("/trap").await.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_ne!(rig.address(), any_port);
    rig.stop().await;

    let mut rig = RunningAction::start((engine, action.clone()), gate(2, BootTime::NEVER));
    let starting = action.status();
    assert_eq!(starting.listen, Some(any_port));
    assert!(starting.last_error.is_some(), "the error is over only when this term is up");
    rig.running.started().await.unwrap();
    assert_eq!(action.status().last_error, None);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_without_a_body() {
    let rig = RunningAction::up("i-am-server").await;
    let url = format!("http://{}/", rig.address());
    let client = reqwest::Client::new();
    let head = client.head(&url).send().await.unwrap();
    assert_eq!((head.status(), stamp(&head)), (StatusCode::OK, ("a", "1")));
    let deletion = client.request(Method::DELETE, &url).send().await.unwrap();
    assert_eq!((deletion.status(), stamp(&deletion)), (StatusCode::METHOD_NOT_ALLOWED, ("a", "1")));
    assert_eq!(rig.action.status().last_error, None);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn echoes_a_large_body() {
    let rig = RunningAction::up("spin").await;
    let sent = "0123456789abcdef".repeat(64 << 10);
    let url = format!("http://{}/echo", rig.address());
    let request = reqwest::Client::new().post(url).body(sent.clone());
    let response = request.send().await.unwrap();
    assert!(response.text().await.unwrap() == sent, "the echo differs");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_gate_refuses_is_counted() {
    let measurements = Measurements::start().unwrap();
    let count = |reason: &str| {
        let text = measurements.render();
        let wanted = |line: &&str| {
            line.starts_with("soloist_gate_refusals_total{")
                && line.contains("action=\"counted\"")
                && line.contains(&format!("reason=\"{reason}\""))
        };
        let line = text.lines().find(wanted)?;
        line.rsplit_once(' ')?.1.parse::<u64>().ok()
    };
    let mut rig = RunningAction::start(prepare_named("counted"), gate(1, BootTime::NEVER));
    rig.running.started().await.unwrap();
    assert_eq!(rig.get("/").await.status(), StatusCode::OK);
    // Only the gate: the action still listens.
    rig.gate.drain();
    assert_eq!(count("draining"), None);
    for refused in 1..=2 {
        assert_eq!(rig.get("/").await.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(count("draining"), Some(refused));
    }
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn past_the_deadline_nothing_comes_in_or_goes_out() {
    let lease = Duration::from_secs(1);
    let mut rig =
        RunningAction::start(prepare("spin", free_address()), gate(1, BootTime::now() + lease));
    rig.running.started().await.unwrap();
    // The request starts in time, but its response would be sent too late.
    let began = async {
        rig.instances(1).await;
        rig.gate.pass().expect("the machine is too slow for this lease");
    };
    let (late, ()) = tokio::join!(rig.get("/sleep?ms=1200"), began);
    assert_eq!((late.status(), stamp(&late)), (StatusCode::SERVICE_UNAVAILABLE, ("a", "1")));
    let refused = rig.get("/sleep?ms=0").await;
    assert_eq!((refused.status(), stamp(&refused)), (StatusCode::SERVICE_UNAVAILABLE, ("a", "1")));
    let text = refused.text().await.unwrap();
    assert!(text.contains("not renewed in time"), "{text}");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_gate_lets_finish_what_has_begun() {
    let mut rig = RunningAction::up("spin").await;
    let mut idle = rig.send("GET /sleep?ms=0 HTTP/1.1\r\nhost: a\r\n\r\n").await;
    read_until(&mut idle, "\r\n\r\n").await;
    let untouched = rig.send("").await;
    rig.instances(0).await;
    let begun = rig.send("GET /sleep?ms=500 HTTP/1.1\r\nhost: a\r\n\r\n").await;
    rig.instances(1).await;

    rig.gate.drain();
    idle.write_all(b"GET /sleep?ms=0 HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let refused = read_until(&mut idle, "next leader answers").await;
    assert!(refused.contains("503 Service Unavailable"), "{refused}");

    rig.running.drain().await;
    assert_eq!(rig.engine.live_instances(), 0);
    let (finished, in_order) = rest_of(begun).await;
    assert!(in_order && finished.contains("200 OK"), "{finished}");
    assert!(rest_of(idle).await.1);
    assert_eq!(rest_of(untouched).await, (String::new(), true));
    assert_eq!(rig.action.status().state, ActionState::Draining);
    assert!(reqwest::get(format!("http://{}/", rig.address())).await.is_err());
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_gate_cuts_a_response_off() {
    let rig = RunningAction::up("spin").await;
    let mut stream = rig.send("GET /slow-body HTTP/1.1\r\nhost: a\r\n\r\n").await;
    read_until(&mut stream, "\r\n\r\n").await;
    rig.gate.close();
    let (rest, _) = rest_of(stream).await;
    assert!(!rest.ends_with("\r\n0\r\n\r\n"), "half a response looks whole: {rest:?}");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trap_spoils_one_request_only() {
    let rig = RunningAction::up("spin").await;
    for _ in 0..3 {
        let response = rig.get("/trap").await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(stamp(&response), ("a", "1"));
        let text = response.text().await.unwrap();
        assert!(text.contains("the plugin failed"), "{text}");
        assert_eq!(rig.get("/sleep?ms=0").await.status(), StatusCode::OK);
    }
    let error = rig.action.status().last_error.unwrap();
    assert!(error.contains("unreachable"), "{error}");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_takes_its_guest_along() {
    let rig = RunningAction::up("spin").await;
    for path in ["/spin", "/sleep?ms=60000", "/slow-body"] {
        let streams = rig.begin(&format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n"), 1).await;
        drop(streams);
        rig.instances(0).await;
    }
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_a_host_is_refused() {
    let rig = RunningAction::up("i-am-server").await;
    for (request, status) in [
        ("GET / HTTP/1.1\r\nconnection: close\r\n\r\n", "HTTP/1.1 400"),
        ("GET / HTTP/1.0\r\n\r\n", "HTTP/1.0 200"),
    ] {
        let (answer, _) = rest_of(rig.send(request).await).await;
        assert!(answer.starts_with(status), "{answer}");
    }
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_beyond_the_limit_are_told_so() {
    let rig = RunningAction::up("spin").await;
    let waiting = rig.begin("GET /sleep?ms=60000 HTTP/1.1\r\nhost: a\r\n\r\n", 256).await;
    let busy = rig.get("/sleep?ms=0").await;
    assert_eq!((busy.status(), stamp(&busy)), (StatusCode::SERVICE_UNAVAILABLE, ("a", "1")));
    drop(waiting);
    rig.instances(0).await;
    assert_eq!(rig.get("/sleep?ms=0").await.status(), StatusCode::OK);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn busy_guests_leave_room_for_others() {
    let rig = RunningAction::up("spin").await;
    let _spinning = rig.begin("GET /spin HTTP/1.1\r\nhost: a\r\n\r\n", 8).await;
    assert_eq!(rig.get("/sleep?ms=0").await.status(), StatusCode::OK);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_in_use_is_waited_for() {
    let address = free_address();
    let holder = std::net::TcpListener::bind(address).unwrap();
    let (engine, action) = prepare("i-am-server", address);
    assert!(action.preflight().is_err());
    let mut rig = RunningAction::start((engine, action), gate(1, BootTime::NEVER));
    until("the wait is noted", || rig.action.status().last_error.is_some()).await;
    assert_eq!(rig.action.status().state, ActionState::Starting);
    drop(holder);
    rig.running.started().await.unwrap();
    assert_eq!(rig.get("/").await.status(), StatusCode::OK);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_stays_in_use_is_a_failure() {
    let address = free_address();
    let holder = std::net::TcpListener::bind(address).unwrap();
    let mut rig = RunningAction::start(prepare("i-am-server", address), gate(1, BootTime::NEVER));
    let failure = rig.running.started().await.unwrap_err();
    assert_eq!(rig.failures.recv().await.unwrap().reason, failure.reason);
    assert!(failure.to_string().contains(&address.to_string()), "{failure}");
    assert_eq!(rig.action.status().state, ActionState::Failed);
    drop(holder);
    rig.stop().await;
}
