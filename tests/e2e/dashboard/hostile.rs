//! Answers of plugins have no effect at the control address, in a real browser.

use serde_json::json;

use super::*;

/// A page that reports its own address, and tries to pause the cluster from there.
const PAGE: &str = "<!doctype html><title>hurt</title><script>document.title = 'ran';\
                    fetch('/v1/pause', { method: 'POST' })</script>";

/// Queued calls a task, and returns the path of its answer once that exists.
async fn answered(cluster: &Cluster, payload: String) -> String {
    let (client, api) = (Client::new(), cluster.host("a").api().await);
    let url = format!("http://{api}/v1/tasks/work");
    let queued_call =
        client.post(format!("{url}/queue")).body(payload).send().await.expect("a queued call");
    let queued_call: Value = queued_call.json().await.expect("JSON");
    let id = queued_call["id"].as_str().expect("an id");
    let answer = format!("{url}/queue/{id}/result");
    let there = timeout(PATIENCE, async {
        while client.get(&answer).send().await.expect("an answer").status() != StatusCode::OK {
            sleep(Duration::from_millis(20)).await;
        }
    });
    there.await.expect("no answer");
    answer
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium: `cargo xtask ci` runs it"]
async fn no_answer_is_a_page_of_the_control_address() {
    let mut cluster = Cluster::with_plugin(Kind::Sqlite, guests().join("reach.wasm")).await;
    let work = guests().join("work.wasm");
    cluster.join_with("a", &format!("[action.work]\nplugin = \"{}\"\n", work.display())).await;
    cluster.leading("a").await;
    let api = cluster.host("a").api().await;
    let browser = Browser::start().await;
    for (form, shown) in [("text/html", false), ("image/svg+xml", false), ("text/plain", true)] {
        let answer = answered(&cluster, format!("as {form} {PAGE}")).await;
        // The browser downloads what it may not show, and stays on its page.
        browser.go(&format!("http://{api}/v1/nothing")).await;
        browser.go(&answer).await;
        let seen = browser.run("return [document.title, document.body.innerText]", &[]).await;
        assert_ne!(seen[0], "ran", "{form}: {seen}");
        assert_eq!(seen[1].as_str().is_some_and(|text| text.contains("<script>")), shown, "{form}");
    }
    // A page of an action may run scripts, but its requests count as another site's.
    browser.go(&format!("http://{api}/leader/web/say?200&content-type:text/html")).await;
    let origin = browser.run("return self.origin", &[]).await;
    assert_eq!(origin, json!("null"));
    let status = cluster.host("a").status().await;
    assert_eq!(status["groups"]["main"]["paused"], Value::Null);
    assert_eq!(cluster.host("a").log.events("command").len(), 0);
    browser.end().await;
}
