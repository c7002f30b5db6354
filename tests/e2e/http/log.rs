//! What the log says about requests.

use serde_json::Value;

use super::Ways;
use crate::harness::log::Log;

async fn line(log: &Log, path: &str) -> Value {
    let is_it = |line: &Value| line["event"] == "request" && line["path"] == path;
    log.find(0, &format!("a line of {path}"), is_it).await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_is_in_the_access_log_of_the_leader() {
    let ways = Ways::to("spin.wasm", "access_log = true\n").await;
    let log = &ways.all.cluster.host("a").log;
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    for (number, way) in ways.ways.iter().enumerate() {
        let url = format!("http://{}{}/status/{number}?secret", way.to, way.prefix);
        let asked = reqwest::Client::new().get(url).header("traceparent", parent);
        let text = asked.send().await.unwrap().text().await.unwrap();
        let told = line(log, &format!("/status/{number}")).await;
        assert_eq!((&told["method"], &told["status"]), (&"GET".into(), &404.into()), "{told}");
        assert_eq!(told["bytes"], text.len(), "{told}");
        assert_eq!(told["trace"], "0af7651916cd43dd8448eb211c80319c", "{told}");
        assert!(told["ms"].is_u64() && !told.to_string().contains("secret"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_names_the_request() {
    for guest in ["spin.wasm", "concurrent.wasm"] {
        let ways = Ways::to(guest, "").await;
        let log = &ways.all.cluster.host("a").log;
        let answer = ways.all.get(format!("http://{}/trap?secret", ways.ways[0].to)).await;
        assert_eq!(answer.status(), 500);
        let failed = |line: &Value| line["message"] == "the plugin failed in a request";
        let told = log.find(0, "a failure", failed).await;
        assert_eq!(told["request"], "GET /trap", "{told}");
        // A different error in another request is logged too, even shortly afterwards.
        let url = format!("http://{}/trap", ways.ways[0].to);
        let answer = reqwest::Client::new().post(url).send().await.unwrap();
        assert_eq!(answer.status(), 500);
        let other = |line: &Value| failed(line) && line["request"] == "POST /trap";
        log.find(0, "another failure", other).await;
        assert_eq!(log.events("request").len(), 0, "an access log that nobody asked for");
    }
}
