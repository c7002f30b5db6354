//! The first-party plugins do their work: what they have accepted outlives the leader that accepted
//! it.

use std::{collections::BTreeMap, time::Duration};

use reqwest::{Client, Method, StatusCode};
use serde_json::Value;
use tokio::time::{sleep, timeout};

use crate::harness::{
    PATIENCE,
    cluster::{Cluster, Kind},
    plugins,
    target::{Came, Target},
};

crate::on_all_stores!(
    a_webhook_outlives_the_leader_that_took_it,
    no_webhook_is_lost_or_overtaken_while_leaders_change,
    a_dead_letter_lets_the_next_one_by_and_can_be_tried_again,
    the_history_of_a_check_outlives_the_leader,
    the_record_follows_the_leader,
);

/// A cluster whose web action is one of the plugins, with state, and one target server.
struct Stage {
    cluster: Cluster,
    grants: String,
    client: Client,
}

impl Stage {
    async fn new(kind: Kind, plugin: &str, target: &Target) -> Self {
        let plugin = plugins().join(format!("{plugin}.wasm"));
        let cluster = Cluster::with_plugin(kind, plugin).await.brief();
        let grants = format!(
            "kinds = [\"http\", \"service\"]\nstate = true\noutbound = [\"{}\"]\n",
            target.url("")
        );
        let client = Client::builder()
            .pool_max_idle_per_host(0)
            .timeout(Duration::from_secs(5))
            .build()
            .expect("a client");
        Self { cluster, grants, client }
    }

    /// Starts a host, and waits until it stands or leads.
    async fn join(&mut self, name: &'static str) {
        self.cluster.start_with(name, &self.grants);
        self.cluster.stands(name).await;
    }

    /// Starts `a`, which leads, and `b`.
    async fn of_two(kind: Kind, plugin: &str, target: &Target) -> Self {
        let mut stage = Self::new(kind, plugin, target).await;
        stage.join("a").await;
        stage.cluster.leading("a").await;
        stage.join("b").await;
        stage
    }

    /// Sends one request; `None` if there was no complete answer.
    async fn ask(&self, method: Method, path: &str, body: String) -> Option<(StatusCode, String)> {
        let url = format!("http://{}{path}", self.cluster.web_at);
        let answer = self.client.request(method, url).body(body).send().await.ok()?;
        Some((answer.status(), answer.text().await.ok()?))
    }

    /// Repeats a request without side effects until `wanted` accepts the answer.
    async fn until(
        &self,
        method: Method,
        path: &str,
        body: &str,
        wanted: impl Fn(StatusCode, &str) -> bool,
    ) -> String {
        let mut last = None;
        let found = timeout(PATIENCE, async {
            loop {
                last = self.ask(method.clone(), path, body.to_owned()).await;
                match &last {
                    Some((status, text)) if wanted(*status, text) => return text.clone(),
                    _ => sleep(Duration::from_millis(20)).await,
                }
            }
        });
        let found = found.await;
        found.unwrap_or_else(|_| panic!("{method} {path}: no such answer, but {last:?}"))
    }

    async fn put(&self, path: &str, body: &str) {
        self.until(Method::PUT, path, body, |status, _| status == StatusCode::NO_CONTENT).await;
    }

    /// The JSON at `path`, once `wanted` accepts it.
    async fn shown(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let json = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
        let liked = |status, text: &str| status == StatusCode::OK && wanted(&json(text));
        json(&self.until(Method::GET, path, "", liked).await)
    }

    /// Sends a webhook once; returns its id if it was accepted.
    async fn post(&self, topic: &str, body: &str) -> Option<String> {
        let answer = self.ask(Method::POST, &format!("/{topic}"), body.to_owned()).await;
        let (_, text) = answer.filter(|(status, _)| *status == StatusCode::ACCEPTED)?;
        let answer: Value = serde_json::from_str(&text).expect("JSON");
        Some(answer["id"].as_str().expect("an id").to_owned())
    }
}

/// The keys and bodies of the requests that the target received.
fn taken(came: &[Came]) -> Vec<(String, String)> {
    let taken = came.iter().filter(|came| came.status.is_success());
    taken.map(|came| (came.key.clone().expect("a key"), came.body.clone())).collect()
}

async fn a_webhook_outlives_the_leader_that_took_it(kind: Kind) {
    let mut target = Target::nobody();
    let mut stage = Stage::of_two(kind, "webhook-relay", &target).await;
    stage.put("/push/target", &target.url("/hook?x=1")).await;
    let mut sent = Vec::new();
    for number in 0..5 {
        // A body that arrives in several pieces.
        let body = format!("{number}\n").repeat(20_000);
        sent.push((stage.post("push", &body).await.expect("it is taken"), body));
    }
    stage.shown("/", |shown| shown["topics"]["push"]["next"]["attempts"] != 0).await;
    stage.cluster.kill("a").await;
    let leading = stage.cluster.leading("b").await;
    target.start().await;
    target.until("all of them", |came| came.len() >= sent.len()).await;
    stage.shown("/", |shown| shown["topics"]["push"]["waiting"] == 0).await;
    let came = target.came();
    assert!(taken(&came) == sent, "each once, in order: {:?}", came.len());
    for came in came {
        assert_eq!((came.method, came.path.as_str()), (Method::POST, "/hook?x=1"));
        assert_eq!(leading["fencing_token"], came.fencing_token);
    }
}

async fn no_webhook_is_lost_or_overtaken_while_leaders_change(kind: Kind) {
    let target = Target::started().await;
    let mut stage = Stage::of_two(kind, "webhook-relay", &target).await;
    stage.put("/push/target", &target.url("/")).await;
    let mut confirmed = Vec::new();
    for (round, (old, new)) in [("a", "b"), ("b", "c"), ("c", "d")].into_iter().enumerate() {
        if round == 0 {
            // A webhook that cannot be delivered yet is not lost either.
            target.answer(StatusCode::SERVICE_UNAVAILABLE);
        }
        for number in 0..8 {
            let body = format!("{round}.{number}");
            confirmed.extend(stage.post("push", &body).await.map(|id| (id, body)));
        }
        if round == 0 {
            target.until("a try", |came| !came.is_empty()).await;
        }
        if round == 1 {
            // The leader hands over; later leaders are killed.
            stage.cluster.terminate(old).await;
        } else {
            stage.cluster.kill(old).await;
        }
        stage.cluster.leading(new).await;
        target.answer(StatusCode::OK);
        stage.join(["c", "d", "e"][round]).await;
        stage.shown("/", |_| true).await;
    }
    assert!(confirmed.len() >= 20, "hardly anything was taken: {confirmed:?}");
    stage.shown("/", |shown| shown["topics"]["push"]["waiting"] == 0).await;
    let mut bodies: BTreeMap<String, String> = BTreeMap::new();
    let mut first = Vec::new();
    for (id, body) in taken(&target.came()) {
        let known = bodies.entry(id.clone()).or_insert_with(|| {
            first.push((id, body.clone()));
            body.clone()
        });
        assert_eq!(*known, body, "one id, one webhook");
    }
    first.retain(|webhook| confirmed.contains(webhook));
    assert_eq!(first, confirmed, "what was confirmed came, in that order");
}

async fn a_dead_letter_lets_the_next_one_by_and_can_be_tried_again(kind: Kind) {
    let target = Target::started().await;
    target.answer(StatusCode::INTERNAL_SERVER_ERROR);
    let stage = Stage::of_two(kind, "webhook-relay", &target).await;
    stage.put("/push/target?attempts=2", &target.url("/")).await;
    let dead = stage.post("push", "first").await.expect("it is taken");
    let shown = stage.shown("/", |shown| shown["topics"]["push"]["dead"] == 1).await;
    let letter = &shown["topics"]["push"]["dead_letters"][0];
    assert_eq!((&letter["id"], &letter["attempts"]), (&Value::from(dead.as_str()), &2.into()));
    assert_eq!(target.came().len(), 2);
    target.answer(StatusCode::OK);
    let next = stage.post("push", "second").await.expect("it is taken");
    target.until("the next", |came| taken(came) == [(next.clone(), "second".into())]).await;
    let again = format!("/push/dead/{dead}");
    let (status, _) = stage.ask(Method::POST, &again, String::new()).await.expect("an answer");
    assert_eq!(status, StatusCode::ACCEPTED);
    let both = [(next, "second".to_owned()), (dead, "first".to_owned())];
    target.until("the letter", |came| taken(came) == both).await;
    let empty = |shown: &Value| shown["topics"]["push"]["waiting"] == 0;
    assert_eq!(stage.shown("/", empty).await["topics"]["push"]["dead"], 0);

    for (method, path, body, status) in [
        (Method::POST, "/nobody", "x".to_owned(), StatusCode::NOT_FOUND),
        (Method::POST, "/push", "x".repeat((192 << 10) + 1), StatusCode::PAYLOAD_TOO_LARGE),
        (Method::PUT, "/push/target", "nowhere".to_owned(), StatusCode::BAD_REQUEST),
        (Method::PUT, "/push/target?attempts=0", target.url("/"), StatusCode::BAD_REQUEST),
        (Method::PUT, "/a%2fb/target", target.url("/"), StatusCode::BAD_REQUEST),
        (Method::DELETE, "/push/dead/none", String::new(), StatusCode::NOT_FOUND),
        (Method::PATCH, "/push", String::new(), StatusCode::METHOD_NOT_ALLOWED),
    ] {
        let answer = stage.ask(method.clone(), path, body).await;
        assert_eq!(answer.map(|(status, _)| status), Some(status), "{method} {path}");
    }
}

async fn the_history_of_a_check_outlives_the_leader(kind: Kind) {
    let target = Target::started().await;
    let mut stage = Stage::of_two(kind, "uptime", &target).await;
    stage.put("/checks/site?every=1", &target.url("/health")).await;
    let some = |shown: &Value, count| {
        shown["checks"]["site"]["samples"].as_array().is_some_and(|list| list.len() >= count)
    };
    let before = stage.shown("/api", |shown| some(shown, 2)).await;
    let before = before["checks"]["site"]["samples"].as_array().cloned().expect("samples");
    stage.cluster.kill("a").await;
    let fencing_token = stage.cluster.leading("b").await["fencing_token"].clone();
    target.answer(StatusCode::SERVICE_UNAVAILABLE);
    let down = |shown: &Value| shown["checks"]["site"]["up"] == false;
    let after = stage.shown("/api", down).await;
    let after = &after["checks"]["site"];
    let samples = after["samples"].as_array().expect("samples");
    assert_eq!(samples[..before.len()], before[..], "what a saw");
    let last = samples.last().expect("a sample");
    assert_eq!((&last["fencing_token"], &last["status"]), (&fencing_token, &503.into()));
    assert!(after["uptime_percent"].as_f64().is_some_and(|it| it > 0.0 && it < 100.0), "{after}");

    let page = stage.until(Method::GET, "/", "", |status, _| status == StatusCode::OK).await;
    assert!(page.contains("<b>site</b>") && page.contains(">down<"), "{page}");
    assert!(!page.contains("<script"), "{page}");
    let gone = |status, _: &str| status == StatusCode::NO_CONTENT;
    stage.until(Method::DELETE, "/checks/site", "", gone).await;
    stage.shown("/api", |shown| shown["checks"] == serde_json::json!({})).await;
    let bad = stage.ask(Method::PUT, "/checks/site", "<script>".to_owned()).await;
    assert_eq!(bad.map(|(status, _)| status), Some(StatusCode::BAD_REQUEST));
}

async fn the_record_follows_the_leader(kind: Kind) {
    let target = Target::started().await;
    target.answer(StatusCode::SERVICE_UNAVAILABLE);
    let mut stage = Stage::of_two(kind, "leader-dns", &target).await;
    let record = serde_json::json!({
        "register": {
            "method": "PUT", "url": target.url("/{group}"),
            "headers": { "x-secret": "hidden" }, "body": "{host} {address} {fencing_token}",
        },
        "remove": { "method": "DELETE", "url": target.url("/{group}") },
        "addresses": { "a": "10.0.0.1", "b": "10.0.0.2", "c": "10.0.0.3" },
    });
    stage.put("/record", &record.to_string()).await;
    // The plugin keeps trying.
    target.until("a second try", |came| came.len() >= 2).await;
    target.answer(StatusCode::OK);
    let registered = |method: Method, body: String| {
        move |came: &[Came]| {
            came.last().is_some_and(|last| {
                last.status.is_success() && last.method == method && last.body == body
            })
        }
    };
    let fencing_token = stage.cluster.leading("a").await["fencing_token"].clone();
    target.until("a", registered(Method::PUT, format!("a 10.0.0.1 {fencing_token}"))).await;
    let shown = stage.shown("/", |shown| shown["registration"]["registered"] == true).await;
    assert!(!shown.to_string().contains("hidden"), "{shown}");

    stage.cluster.kill("a").await;
    let fencing_token = stage.cluster.leading("b").await["fencing_token"].clone();
    target.until("b", registered(Method::PUT, format!("b 10.0.0.2 {fencing_token}"))).await;
    stage.join("c").await;
    stage.cluster.terminate("b").await;
    let fencing_token = stage.cluster.leading("c").await["fencing_token"].clone();
    let came =
        target.until("c", registered(Method::PUT, format!("c 10.0.0.3 {fencing_token}"))).await;
    assert!(
        came.is_sorted_by_key(|came| came.fencing_token),
        "fencing tokens only rise: {came:#?}"
    );
    let removed: Vec<_> = came.iter().filter(|came| came.method == Method::DELETE).collect();
    assert_eq!(removed.len(), 1, "the one that was killed removed nothing: {came:#?}");
    assert!(came.iter().all(|came| came.path == "/main"), "{came:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_grants_they_say_what_is_missing_and_wait() {
    const NAMES: [&str; 3] = ["leader-dns", "uptime", "webhook-relay"];
    let mut cluster = Cluster::new(Kind::Sqlite).await;
    let action = |name: &str| {
        let plugin = plugins().join(format!("{name}.wasm"));
        let at = cluster.web_at;
        format!(
            "[action.{name}]\nplugin = \"{}\"\nlisten = \"{at}\"\nkinds = [\"http\", \"service\"]\n",
            plugin.display()
        )
    };
    let more: String = NAMES.into_iter().map(action).collect();
    cluster.start_with("a", &more);
    for name in NAMES {
        let says = |line: &Value| {
            let text = line["message"].as_str().unwrap_or_default();
            line["action"] == name
                && text.starts_with("this plugin keeps")
                && text.contains("state = true")
        };
        cluster.host("a").log.find(0, &format!("words of {name}"), says).await;
        let url = format!("http://{}/{name}/", cluster.web_at);
        let answer = reqwest::get(url).await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(answer.text().await.expect("a text").contains("state = true"));
    }
    let status = cluster.host("a").status().await;
    for action in status["actions"].as_array().expect("actions") {
        assert_eq!(
            (&action["state"], &action["restarts"]),
            (&"running".into(), &0.into()),
            "{action}"
        );
    }
    let log = cluster.terminate("a").await;
    assert!(!log.to_string().contains("the service ended"), "{log}");
}
