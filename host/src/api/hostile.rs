//! Requests every route while all names, values and errors are hostile.

use std::{path::Path, sync::Arc, time::Duration};

use axum::http::{HeaderMap, Method};
use bytes::Bytes;
use futures::StreamExt;
use reqwest::Client;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{
    OrderEntry, PauseEntry, Status, StatusSource,
    access_control::{AccessControl, tests::everything},
    example,
    server::{
        serve,
        tests::{TTL, services},
    },
};
use soloist_config::StoreUrl;
use soloist_stores::{
    self as store, CallClaimer, CallQueueChange, CallQueueStore, Claim, QueuedCallKey,
    QueuedCallRequest, QueuedCallResult, StateWrite, Store, WaitingCall, WriteGuard,
};

/// HTML with a script, and characters that control a terminal.
const HURT: &str = "<!doctype html><script>top.hurt = 1</script>\u{202e}\u{1b}[2J\u{9b}\r\nset: 1";

/// A host whose names, errors and measurements all consist of [`HURT`].
struct Hostile;

impl StatusSource for Hostile {
    fn status(&self) -> Status {
        let mut status = example();
        let hurt = || HURT.to_owned();
        let order = || OrderEntry { by: hurt(), reason: hurt(), since: hurt() };
        (status.cluster, status.store.last_error) = (hurt(), Some(hurt()));
        (status.host.name, status.host.version) = (hurt(), hurt());
        status.host.warnings = vec![hurt()];
        for group in status.groups.values_mut() {
            (group.leader, group.leader_url) = (Some(hurt()), Some(format!("javascript:{HURT}")));
            (group.obstacle, group.standbys) = (Some(hurt()), vec![hurt()]);
            group.paused = Some(PauseEntry { keep_failover: false, order: order() });
        }
        let group = status.groups.values().next().cloned();
        status.groups.extend(group.map(|group| (hurt(), group)));
        for member in &mut status.hosts {
            (member.name, member.url, member.joined_at) = (hurt(), hurt(), hurt());
            (member.drained, member.version) = (Some(order()), hurt());
            member.labels.insert(hurt(), hurt());
        }
        for action in &mut status.actions {
            (action.name, action.plugin, action.last_error) = (hurt(), hurt(), Some(hurt()));
        }
        status
    }

    fn metrics(&self) -> String {
        HURT.to_owned()
    }

    fn ready(&self) -> Result<(), String> {
        Err(HURT.to_owned())
    }
}

/// Fills the store; returns a finished queued call and a dead one.
async fn fill(store: &dyn Store) -> (QueuedCallKey, QueuedCallKey) {
    let value = Bytes::from_static(HURT.as_bytes());
    for key in ["page", HURT] {
        let write = StateWrite { key: key.to_owned(), value: Some(value.clone()), only_if: None };
        store.state().unwrap().write(WriteGuard::Person, "x", &[write]).await.unwrap();
    }
    let call_queue = store.call_queue().unwrap();
    let lease = store.grant(TTL).await.unwrap().id;
    let by = CallClaimer { lease, host: HURT.into(), ticket: 1 };
    let done = enqueue(&*call_queue, &by).await;
    let answer = QueuedCallResult { payload: value, content_type: Some("text/html".into()) };
    call_queue.complete(&done, &answer, Duration::from_secs(60)).await.unwrap();
    let dead = enqueue(&*call_queue, &by).await;
    call_queue.mark_dead(&dead, HURT).await.unwrap();
    (done.key, dead.key)
}

/// A queued call that is claimed.
async fn enqueue(call_queue: &dyn CallQueueStore, by: &CallClaimer) -> Claim {
    let payload = Bytes::from_static(HURT.as_bytes());
    let order =
        QueuedCallRequest { payload, content_type: Some("text/html".into()), max_attempts: 1 };
    let key = QueuedCallKey::fresh("x");
    call_queue.put(&key, &order, 9).await.unwrap();
    let queue = call_queue.watch().await.unwrap().next().await.unwrap().unwrap();
    let own = |change: CallQueueChange| match change {
        CallQueueChange::Queued(queued) if queued.key == key => Some(queued),
        _ => None,
    };
    let seen: WaitingCall = queue.into_iter().find_map(own).unwrap();
    call_queue.claim(by, &seen).await.unwrap().unwrap().0
}

/// Serves a control API with its store in `folder` until `stop`.
async fn serving(folder: &Path, stop: CancellationToken) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(serve(listener, services(Arc::new(Hostile), folder, AccessControl::open()), stop));
    url
}

/// Checks that a browser treats the response as nothing but text, whatever type it claims.
fn assert_inert(what: &str, headers: &HeaderMap, own: bool) {
    let text = |name: &str| headers.get(name).map_or("", |value| value.to_str().unwrap());
    assert_eq!(text("x-content-type-options"), "nosniff", "{what}");
    assert_eq!(text("cross-origin-resource-policy"), "same-origin", "{what}");
    let policy = text("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; "), "{what}: {policy}");
    assert!(!policy.contains("unsafe") && !policy.contains("allow"), "{what}: {policy}");
    if own {
        assert!(policy.contains("script-src 'self'"), "{what}: {policy}");
        return;
    }
    assert!(policy.ends_with("; sandbox"), "{what}: {policy}");
    let form = text("content-type").split(';').next().unwrap();
    let shown = [
        "",
        "application/json",
        "application/problem+json",
        "text/plain",
        "text/event-stream",
        "application/x-ndjson",
    ];
    let saved = text("content-disposition") == "attachment";
    assert!(shown.contains(&form) || saved, "{what} is shown as {form}");
    assert!(!headers.contains_key("set"), "{what}: {headers:?}");
}

#[tokio::test]
async fn whatever_is_asked_for_is_data() {
    let (folder, stop) = (tempfile::tempdir().unwrap(), CancellationToken::new());
    let _stop = stop.clone().drop_guard();
    let url = serving(folder.path(), stop).await;
    let file = StoreUrl::Sqlite(folder.path().join("soloist.db"));
    let (done, dead) = fill(&*store::open(&file, "test", TTL).unwrap()).await;
    let asked = |method, path: String| (path, method);
    let special = [
        asked(Method::GET, format!("/v1/tasks/x/queue/{}/result", done.id)),
        asked(Method::GET, format!("/v1/tasks/x/queue/{}", done.id)),
        asked(Method::GET, format!("/v1/tasks/x/queue/{}", dead.id)),
        asked(Method::GET, "/v1/tasks/x/dead-letters".into()),
        asked(Method::GET, format!("/v1/tasks/x/dead-letters/{}", dead.id)),
        asked(Method::GET, "/v1/state/x/page".into()),
        asked(Method::GET, "/v1/nothing/%3Cscript%3E".into()),
        asked(Method::PATCH, "/v1/status".into()),
        asked(Method::GET, "/leader/%3Cscript%3E/".into()),
    ];
    let known = everything().into_iter().map(|(path, method, _)| (path, method));
    let all: Vec<_> = special.into_iter().chain(known).collect();
    assert!(all.len() > 40, "{all:?}");
    let client = Client::new();
    for (path, method) in all {
        for accept in ["text/html,*/*", "*/*"] {
            let request = client.request(method.clone(), format!("{url}{path}"));
            let answer = request.header("accept", accept).send().await.unwrap();
            let what = format!("{method} {path} {}", answer.status());
            let page = path == "/" && accept.starts_with("text/html");
            let own = page || path.starts_with("/dashboard");
            if path.starts_with("/leader/") {
                let policy = answer.headers()["content-security-policy"].to_str().unwrap();
                assert!(policy.contains("sandbox") && !policy.contains("same-origin"), "{what}");
                assert_eq!(answer.headers()["x-content-type-options"], "nosniff", "{what}");
            } else {
                assert_inert(&what, answer.headers(), own && method == Method::GET);
            }
        }
    }
    // The type that the guest states is passed on, but only as a download: programs know what
    // they asked for.
    let answer =
        client.get(format!("{url}/v1/tasks/x/queue/{}/result", done.id)).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/html");
    assert_eq!(answer.headers()["content-disposition"], "attachment");
    assert_eq!(answer.bytes().await.unwrap(), HURT.as_bytes());
}
