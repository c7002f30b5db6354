//! One host goes through a list of work, and all hosts execute it.

use std::fs;

use serde_json::Value;

use super::{three, work};
use crate::harness::{
    cluster::{Cluster, Kind},
    plugins,
};

crate::on_all_stores!(a_list_is_done_by_all_hosts);

async fn a_list_is_done_by_all_hosts(kind: Kind) {
    let mut cluster = Cluster::new(kind).await;
    three(&mut cluster, &work("")).await;
    let leader = cluster.web.until("a leader", |_| true).await.host;
    let folder = cluster.folder.path().join("plugins");
    let items = "echo x\\n".repeat(29) + "refuse";
    let settings = format!(
        "tasks = [\"work\"]\nrestart = \"never\"\n\
         config = {{ task = \"work\", items = \"{items}\", at-once = \"4\" }}\n"
    );
    fs::write(folder.join("fan-out.toml"), settings).unwrap();
    fs::copy(plugins().join("fan-out.wasm"), folder.join("fan-out.wasm")).unwrap();
    let says = |stream: &'static str, text: &'static str| {
        move |line: &Value| {
            let message = line["message"].as_str().unwrap_or_default();
            line["stream"] == stream && message.starts_with(text)
        }
    };
    let log = &cluster.host(&leader).log;
    log.find(0, "what was refused", says("stderr", "refuse: no, thank you")).await;
    let end = log.find(0, "the end", says("stdout", "29 of 30 done: ")).await;
    let end = end["message"].as_str().unwrap().to_owned();
    for host in ["a ", "b ", "c "] {
        assert!(end.contains(host), "{end}");
    }
}
