//! Traces across hosts and plugins.

use std::{fs, time::Duration};

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::harness::{
    PATIENCE, at,
    client::Answer,
    cluster::{Cluster, Kind},
    collector::{Collector, PASSWORD, Span},
    guests, own_address,
    target::Target,
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

/// The header of a client whose request belongs to a recorded trace.
fn parent() -> String {
    format!("00-{TRACE}-{CALLER}-01")
}

/// The settings that export traces to `collector`.
fn traces(cluster: &Cluster, collector: &Collector) -> String {
    let file = cluster.folder.path().join("password");
    fs::write(&file, PASSWORD).expect("a file");
    let (url, file) = (collector.url(), file.display());
    format!("[traces]\nendpoint = \"{url}\"\nheaders = {{ Authorization = \"file:{file}\" }}\n")
}

/// A cluster whose web action `plugin` fetches the URL that it is asked for, from `target` only.
async fn reaching(plugin: &str, target: &Target) -> (Cluster, String) {
    let cluster = Cluster::with_plugin(Kind::Sqlite, guests().join(plugin)).await;
    (cluster, format!("outbound = [\"{}\"]\n", target.url("")))
}

/// Lets the plugin fetch `path` of `target`, as part of the client's trace.
async fn fetch(base: &str, target: &Target, path: &str) {
    let url = format!("{base}/fetch?{}", target.url(path));
    let answer = Client::new().get(url).header("traceparent", parent()).send().await;
    assert_eq!(answer.expect("an answer").status(), StatusCode::OK);
}

/// The span with this name and host whose parent is `id`.
async fn below(collector: &Collector, id: &str, name: &str, host: &str) -> Span {
    let span = collector.find(name, |span| span.parent == id && span.name == name).await;
    assert_eq!((&*span.trace, &*span.host), (TRACE, host), "{span:?}");
    span
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_one_trace_from_the_client_to_what_the_plugin_asks() {
    let (target, collector) = (Target::started().await, Collector::started().await);
    let (mut cluster, outbound) = reaching("reach.wasm", &target).await;
    let more = format!("{outbound}{}", traces(&cluster, &collector));
    cluster.join_with("a", &more).await;
    let fencing_token = cluster.leading("a").await["fencing_token"].to_string();
    cluster.join_with("b", &more).await;
    // Through the standby to the leader, the plugin, and the target.
    let base = format!("http://{}/leader/web", cluster.host("b").api().await);
    fetch(&base, &target, "/asked").await;

    let came = target.until("the request", |came| came.len() == 1).await;
    let forwarded = below(&collector, CALLER, "GET /leader/web", "b").await;
    let answered = below(&collector, &forwarded.id, "GET /leader/web", "a").await;
    let asked = below(&collector, &answered.id, "GET", "a").await;
    assert_eq!(came[0].parent, Some(format!("00-{TRACE}-{}-01", asked.id)));
    assert_eq!(answered.about("url.path"), "/leader/web/fetch");
    assert_eq!(answered.about("url.scheme"), "http");
    assert_eq!(answered.about("http.route"), "/leader/web");
    let b = cluster.host("b").api().await;
    let served_at =
        format!("{}:{}", answered.about("server.address"), answered.about("server.port"));
    assert_eq!(served_at, b.to_string(), "the host that the client has asked");
    let a = cluster.host("a").api().await;
    assert_eq!(forwarded.about("url.full"), format!("http://{a}/"));
    let sent_to = format!("{}:{}", asked.about("server.address"), asked.about("server.port"));
    assert_eq!(target.url("/"), format!("http://{sent_to}/"));
    assert_eq!(asked.about("url.full"), target.url("/"));
    assert_eq!(answered.about("soloist.fencing_token"), fencing_token);
    assert_eq!(answered.about("http.response.status_code"), "200");
    assert_eq!(asked.about("url.path"), "", "others have tokens in their paths");
    assert!(!answered.failed && !asked.failed);
    assert_eq!((answered.about("error.type"), &*answered.namespace), ("", "test"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_says_how() {
    let (target, collector) = (Target::started().await, Collector::started().await);
    let (mut cluster, outbound) = reaching("reach.wasm", &target).await;
    let closed = at(own_address(), 9);
    let more = format!("{outbound}{}", traces(&cluster, &collector));
    cluster.join_with("a", &more.replace("\"]\n", &format!("\", \"http://{closed}\"]\n"))).await;
    cluster.web.until_any_at("/", "an answer", |_| true).await;
    let url = format!("http://{}/fetch?http://{closed}/", cluster.web_at);
    let answer = Client::new().get(url).header("traceparent", parent()).send().await;
    let status = answer.expect("an answer").status();
    assert!(status.is_server_error(), "{status}");
    let answered = below(&collector, CALLER, "GET /", "a").await;
    assert!(answered.failed);
    assert_eq!(answered.about("error.type"), status.as_str());
    let asked = below(&collector, &answered.id, "GET", "a").await;
    assert!(asked.failed && asked.about("error.type") == "Connect", "{asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_collector_a_trace_goes_through_as_it_came() {
    let reuse = "instances = \"reuse\"\n";
    for (plugin, more) in [("reach.wasm", ""), ("reach.wasm", reuse), ("concurrent.wasm", "")] {
        assert_eq!(passed_on(plugin, more).await, [Some(parent()), None], "{plugin} {more}");
    }
    // With several requests in one instance, it is unknown which of them the plugin sends something
    // for.
    assert_eq!(passed_on("concurrent.wasm", reuse).await, [None, None]);
}

/// The traces that `plugin` passes on: for a request with a trace, and for one without.
async fn passed_on(plugin: &str, more: &str) -> [Option<String>; 2] {
    let target = Target::started().await;
    let (mut cluster, outbound) = reaching(plugin, &target).await;
    cluster.join_with("a", &format!("{outbound}{more}")).await;
    cluster.web.until_any_at("/", "an answer", |_| true).await;
    fetch(&format!("http://{}", cluster.web_at), &target, "/one").await;
    let untold = format!("http://{}/fetch?{}", cluster.web_at, target.url("/two"));
    reqwest::get(untold).await.expect("an answer");
    let came = target.until("both", |came| came.len() == 2).await;
    [came[0].parent.clone(), came[1].parent.clone()]
}

/// Waits until the host with these `tasks` knows a worker for each.
async fn takes_calls(tasks: &str) {
    let known = timeout(PATIENCE, async {
        loop {
            let tasks = reqwest::get(tasks).await.expect("an answer").json::<Value>().await;
            let tasks = tasks.expect("JSON");
            if tasks.as_array().expect("tasks").iter().all(|task| task["hosts"] != json!([])) {
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
    });
    known.await.expect("a worker for each task");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_on_another_host_is_in_the_trace_of_its_caller() {
    let collector = Collector::started().await;
    let mut cluster = Cluster::new(Kind::Sqlite).await;
    let plugin = guests().join("work.wasm").display().to_string();
    let settings = format!(
        "{}[action.near]\nplugin = \"{plugin}\"\ntasks = [\"far\"]\non = \"name=a\"\n\
         [action.far]\nplugin = \"{plugin}\"\non = \"name=b\"\n",
        traces(&cluster, &collector)
    );
    for name in ["a", "b"] {
        let host = format!("{settings}[host]\nlabels = {{ name = \"{name}\" }}\n");
        cluster.join_with(name, &host).await;
    }
    let url = format!("http://{}/v1/tasks", cluster.host("a").api().await);
    takes_calls(&url).await;
    let call = Client::new().post(format!("{url}/near")).header("traceparent", parent());
    let answer = call.body("call far echo x").send().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK);

    let called = below(&collector, CALLER, "call near", "a").await;
    let near = below(&collector, &called.id, "task near", "a").await;
    let passed_on = below(&collector, &near.id, "call far", "a").await;
    assert_eq!(passed_on.about("soloist.worker"), "b");
    let far = below(&collector, &passed_on.id, "task far", "b").await;
    assert_eq!(far.about("soloist.call"), passed_on.about("soloist.call"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_begins_a_trace_of_its_own() {
    let collector = Collector::started().await;
    let mut cluster = Cluster::new(Kind::Sqlite).await;
    let job = format!(
        "{}[action.beat]\nplugin = \"{}\"\nargs = [\"exit\", \"3\"]\nschedule = \"every 1s\"\n",
        traces(&cluster, &collector),
        guests().join("job.wasm").display()
    );
    cluster.join_with("a", &job).await;
    let one = collector.find("a run", |span| span.name == "job beat").await;
    assert!(one.failed && one.parent.is_empty(), "{one:?}");
    assert!(one.about("soloist.run_id").starts_with("beat@"), "{one:?}");
    let other = |span: &Span| span.name == "job beat" && span.trace != one.trace;
    collector.find("another run", other).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_gone_holds_nothing_up() {
    let mut collector = Collector::nobody();
    let mut cluster = Cluster::new(Kind::Sqlite).await;
    let settings = traces(&cluster, &collector);
    cluster.join_with("a", &settings).await;
    let answers = |answer: &Answer| answer.body.contains("I am server a");
    cluster.web.until("an answer", answers).await;
    let log = cluster.host("a").log.clone();
    log.event(0, "traces-lost").await;
    cluster.web.until("an answer", answers).await;
    collector.start().await;
    // A stopping host exports the remaining spans as well.
    let last = cluster.web.until_any_at("/last", "an answer", |_| true).await;
    cluster.terminate("a").await;
    let span = collector.find("the last", |span| span.about("url.path") == "/last").await;
    assert_eq!(span.about("http.response.status_code"), last.status.as_u16().to_string());
    assert_eq!(log.events("traces-lost").len(), 1);
    log.event(0, "traces-back").await;
}
