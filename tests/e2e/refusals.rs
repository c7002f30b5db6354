//! Bad input: one clear error, what to do next, the right exit code, and no panic.

use std::{fs, net::TcpListener};

use crate::harness::{
    cluster::{Cluster, Kind},
    etcd::Etcd,
    plugins,
    process::run,
};

const USAGE: i32 = 64;
const UNAVAILABLE: i32 = 69;

/// Runs host `a` with this addition to a good configuration; it must refuse.
async fn refused(more: &str, code: i32, words: &[&str]) {
    let cluster = Cluster::new(Kind::Sqlite).await;
    refused_by(&mut cluster.command("a", more), code, words).await;
}

async fn refused_by(command: &mut tokio::process::Command, code: i32, words: &[&str]) {
    let ended = run(command).await;
    let text = ended.output;
    assert_eq!(ended.status.code(), Some(code), "{text}");
    for word in words {
        assert!(text.contains(word), "no {word:?} in:\n{text}");
    }
    assert!(!text.contains("panicked"), "{text}");
    assert_eq!(text.matches("error:").count(), 1, "one error:\n{text}");
}

#[tokio::test]
async fn an_unknown_key() {
    refused("lissten = \"x\"\n", USAGE, &["a.toml", "lissten", "listen"]).await;
}

#[tokio::test]
async fn a_table_written_twice() {
    let more = "[lease]\nttl = \"9s\"\n";
    refused(more, USAGE, &["a.toml", "lease"]).await;
}

#[tokio::test]
async fn a_ttl_below_the_minimum_of_the_store() {
    let web = plugins().join("i-am-server.wasm");
    let cluster = Cluster::on(Some(Etcd::stopped()), web).brief();
    let file = cluster.folder.path().join("low.toml");
    fs::write(&file, cluster.configuration("").replace("ttl = \"2s\"", "ttl = \"1s\"")).unwrap();
    let mut command = crate::harness::process::soloist();
    command.arg("run").arg("--config").arg(&file);
    refused_by(&mut command, USAGE, &["low.toml:4", "ttl", "2s"]).await;
}

#[tokio::test]
async fn an_impossible_timing() {
    let cluster = Cluster::new(Kind::Sqlite).await;
    let file = cluster.folder.path().join("odd.toml");
    let odd = cluster.configuration("").replace("[lease]", "[lease]\nstop = \"10s\"");
    fs::write(&file, odd).unwrap();
    let mut command = crate::harness::process::soloist();
    command.arg("run").arg("--config").arg(&file);
    refused_by(&mut command, USAGE, &["odd.toml", "stop"]).await;
}

#[tokio::test]
async fn a_control_address_in_use() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap().to_string();
    let cluster = Cluster::new(Kind::Sqlite).await;
    cluster.command("a", "");
    let file = cluster.folder.path().join("a.toml");
    let mut command = crate::harness::process::soloist();
    command.arg("run").arg("--config").arg(file).args(["--listen", &at]);
    refused_by(&mut command, UNAVAILABLE, &[&at, "listen"]).await;
}

#[tokio::test]
async fn a_file_that_is_no_database() {
    let cluster = Cluster::new(Kind::Sqlite).await;
    fs::write(cluster.folder.path().join("soloist.db"), "This is no database. ".repeat(100))
        .unwrap();
    refused_by(&mut cluster.command("a", ""), USAGE, &["soloist.db"]).await;
    let text = fs::read_to_string(cluster.folder.path().join("soloist.db")).unwrap();
    assert!(text.starts_with("This is no database."), "nothing is lost");
}

#[tokio::test]
async fn an_unknown_flag() {
    refused_by(
        crate::harness::process::soloist().args(["run", "--nmae", "a"]),
        USAGE,
        &["--nmae", "--name"],
    )
    .await;
}

#[tokio::test]
async fn nobody_to_ask_for_status() {
    refused_by(
        crate::harness::process::soloist().args(["status", "--url", "http://127.0.0.1:9"]),
        UNAVAILABLE,
        &["127.0.0.1:9"],
    )
    .await;
}
