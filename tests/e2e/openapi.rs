//! Asks every GET route of a running cluster, and holds the answers against the description of the
//! control API.

use std::{fs, path::Path, time::Duration};

use boon::{Compiler, Schemas};
use reqwest::{Client, Response};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::harness::{
    PATIENCE,
    cluster::{Cluster, Kind},
    guests,
    process::agrees,
};

const DOCUMENT: &str = "http://soloist.example/openapi.json";

/// The description, and a client of the host that is held against it.
struct Described {
    document: Value,
    client: Client,
    url: String,
}

impl Described {
    /// The description in `docs/`, made strict: no answer may have a key that it does not name.
    fn new(url: String) -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/openapi.json");
        let text = fs::read_to_string(file).expect("a description");
        let mut document: Value = serde_json::from_str(&text).expect("JSON");
        let schemas = document["components"]["schemas"].as_object_mut().expect("schemas");
        for schema in schemas.values_mut().filter(|schema| schema["properties"].is_object()) {
            schema["additionalProperties"] = false.into();
        }
        Self { document, client: Client::new(), url }
    }

    /// Holds a response to `method path` against the description; returns its body, if it is JSON.
    async fn check(&self, method: &str, path: &str, response: Response) -> Option<Value> {
        let what = format!("{method} {path}");
        let status = response.status().as_u16().to_string();
        let responses = &self.document["paths"][path][method]["responses"];
        let described = &responses[&*status];
        assert!(described.is_object(), "{what}: {status} is not described: {response:?}");
        let form = response.headers().get("content-type").map(|form| form.to_str().unwrap());
        let form = form.unwrap_or_default().split(';').next().unwrap().to_owned();
        let (pointer, content) = match described["$ref"].as_str() {
            Some(at) => (at.to_owned(), self.document.pointer(&at[1..]).expect("it is there")),
            None => (format!("#/paths/{}/{method}/responses/{status}", escaped(path)), described),
        };
        let Some(media) = content["content"].as_object() else {
            assert_eq!(form, "", "{what}: a body");
            return None;
        };
        let (media, schema) = media.iter().next().expect("a media type");
        assert!(media == "*/*" || *media == form, "{what}: {form} is not {media}");
        if schema["schema"].is_null() {
            return None;
        }
        let body: Value = response.json().await.expect("JSON");
        let schema = format!("{DOCUMENT}{pointer}/content/{}/schema", escaped(media));
        let (mut compiler, mut schemas) = (Compiler::new(), Schemas::new());
        compiler.add_resource(DOCUMENT, self.document.clone()).expect("a resource");
        let schema = compiler.compile(&schema, &mut schemas).expect("a schema");
        if let Err(error) = schemas.validate(&body, schema) {
            panic!("{what}: {error:#}\n{body:#}");
        }
        Some(body)
    }

    async fn get(&self, path: &str, filled: &str) -> Option<Value> {
        let response = self.client.get(format!("{}{filled}", self.url)).send().await;
        self.check("get", path, response.expect("an answer")).await
    }

    async fn post(&self, path: &str, filled: &str, body: impl Into<reqwest::Body>) -> Value {
        let request = self.client.post(format!("{}{filled}", self.url)).body(body);
        let response = request.send().await.expect("an answer");
        self.check("post", path, response).await.expect("JSON")
    }

    /// Enqueues a call of `work`, and waits until it is in this state.
    async fn enqueued(&self, payload: &'static str, state: &str) -> String {
        let (path, filled) = ("/v1/tasks/{task}/queue", "/v1/tasks/work/queue");
        let id = self.post(path, filled, payload).await["id"].as_str().unwrap().to_owned();
        let reached = timeout(PATIENCE, async {
            let (path, filled) = (format!("{path}/{{id}}"), format!("{filled}/{id}"));
            while self.get(&path, &filled).await.expect("JSON")["state"] != state {
                sleep(Duration::from_millis(20)).await;
            }
        });
        reached.await.expect("the state is reached");
        id
    }
}

/// A step of a JSON pointer in a URL (RFC 6901, sections 3 and 6).
fn escaped(step: &str) -> String {
    let step = step.replace('~', "~0").replace('/', "~1");
    step.replace('{', "%7B").replace('}', "%7D").replace('*', "%2A").replace('+', "%2B")
}

/// The path with what the cluster of the test has in place of its parameters.
fn filled(path: &str, done: &str, dead: &str) -> String {
    let id = if path.contains("/dead-letters/") { dead } else { done };
    let action = if path.starts_with("/v1/state/") { "kept" } else { "web" };
    let path = path.replace("{id}", id).replace("{action}", action).replace("{key}", "k");
    path.replace("{task}", "work").replace("{name}", "beat")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_as_described() {
    let mut cluster = Cluster::new(Kind::Sqlite).await;
    let (work, job) = (guests().join("work.wasm"), guests().join("job.wasm"));
    let settings = format!(
        "[action.work]\nplugin = \"{}\"\n\
         [action.beat]\nplugin = \"{}\"\nargs = [\"say\"]\nschedule = \"every 1h\"\n",
        work.display(),
        job.display()
    );
    cluster.start_with("a", &settings);
    cluster.leading("a").await;
    cluster.start_with("b", &settings);
    let host = Described::new(format!("http://{}", cluster.host("a").api().await));
    let running = |status: &Value| {
        let actions = status["actions"].as_array().expect("actions");
        actions.iter().all(|action| action["state"] == "running")
            && status["hosts"].as_array().is_some_and(|hosts| hosts.len() == 2)
            && status["groups"]["main"]["next_leader"] == "b"
    };
    agrees(cluster.host("a"), running).await;

    // Everything that can be there is there.
    host.post("/v1/pause", "/v1/pause", r#"{"by": "ada", "reason": "disks"}"#).await;
    host.post("/v1/drain", "/v1/drain", r#"{"host": "b"}"#).await;
    let ran = host.post("/v1/jobs/{name}/run", "/v1/jobs/beat/run?wait=true", "").await;
    assert_eq!(ran["outcome"], "done", "{ran}");
    let value = host.client.put(format!("{}/v1/state/kept/k", host.url)).body("v").send().await;
    host.check("put", "/v1/state/{action}/{key}", value.expect("an answer")).await;
    let done = host.enqueued("echo well done", "done").await;
    let dead = host.enqueued("refuse", "dead").await;

    let paths = host.document["paths"].as_object().expect("paths").clone();
    let mut asked = 0;
    for (path, _) in paths.iter().filter(|(_, methods)| methods["get"].is_object()) {
        // Without `accept: text/html` this is the list for people.
        if path != "/" {
            host.get(path, &filled(path, &done, &dead)).await;
            asked += 1;
        }
    }
    assert!(asked > 25, "{asked}");

    let status = host.get("/v1/status", "/v1/status").await.expect("JSON");
    let paused = json!(status["groups"]["main"]["paused"]);
    assert_eq!((&paused["by"], &paused["reason"]), (&json!("ada"), &json!("disks")), "{paused}");
    for (path, filled) in [
        ("/v1/jobs/{name}", "/v1/jobs/none"),
        ("/v1/jobs/{name}/next", "/v1/jobs/beat/next?count=0"),
        ("/v1/tasks/{task}/queue/{id}", "/v1/tasks/work/queue/none"),
        ("/v1/tasks/{task}/queue/{id}/result", &format!("/v1/tasks/work/queue/{dead}/result")),
        ("/v1/state/{action}/{key}", "/v1/state/kept/none"),
    ] {
        let problem = host.get(path, filled).await.expect("JSON");
        assert!(problem["status"].as_u64() >= Some(400), "{filled}: {problem}");
        assert!(!problem["detail"].as_str().unwrap().is_empty(), "{filled}: {problem}");
    }
    let served = host.get("/v1/openapi.json", "/v1/openapi.json").await.expect("JSON");
    assert_eq!(served["paths"], host.document["paths"], "served is what is published");
}
