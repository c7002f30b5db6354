//! Hosts that reach etcd over TLS, with client certificates.

use std::{fs, path::PathBuf};

use serde_json::Value;

use crate::harness::{
    CALM_TTL, TTL, certificates,
    cluster::Cluster,
    etcd::Etcd,
    exit::UNAVAILABLE,
    process::{agrees, run},
    proxy::Proxy,
};

/// An etcd that requires certificates, and the proxy address that its own certificate is valid for.
async fn secure() -> (Etcd, Proxy) {
    let etcd = Etcd::secure(&certificates()).await;
    let proxy = Proxy::secure(etcd.endpoint()).await;
    (etcd, proxy)
}

fn url(proxy: &Proxy) -> String {
    format!("etcds://{}", proxy.endpoint())
}

/// The TLS settings: the certificate to use and the CA to trust, as files of this folder.
fn tls(ca: &str, own: &str, folder: PathBuf) -> String {
    let file = |name: String| format!("{:?}", folder.join(name));
    let (ca, cert) = (file(format!("{ca}.pem")), file(format!("{own}.pem")));
    format!("[store_tls]\nca = {ca}\ncert = {cert}\nkey = {}\n", file(format!("{own}.key")))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_is_replaced() {
    let (_etcd, proxy) = secure().await;
    let mut cluster = Cluster::at(url(&proxy), CALM_TTL);
    let tls = tls("authority", "person", certificates());
    cluster.join_with("a", &tls).await;
    cluster.leading("a").await;
    cluster.join_with("b", &tls).await;
    cluster.waiting("a", &["b"]).await;
    cluster.kill("a").await;
    cluster.leading("b").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_not_let_in_does_not_start() {
    let (_etcd, proxy) = secure().await;
    let cluster = Cluster::at(url(&proxy), TTL);
    let lacking = tls("authority", "person", cluster.folder.path().to_owned());
    for (tls, words) in [
        (tls("authority", "intruder", certificates()), "refuses the certificate of this host"),
        (tls("stranger", "person", certificates()), "does not trust"),
        (String::new(), "does not trust"),
        (lacking, "authority.pem: name a file in PEM"),
    ] {
        let ended = run(&mut cluster.command("a", &tls)).await;
        assert_eq!(ended.status.code(), Some(UNAVAILABLE), "{}", ended.output);
        assert!(ended.output.contains(words), "no {words:?} in:\n{}", ended.output);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_says_that_it_trusts_etcd_no_more() {
    let (mut etcd, proxy) = secure().await;
    let mut cluster = Cluster::at(url(&proxy), CALM_TTL);
    let folder = cluster.folder.path().to_owned();
    let put = |from: &str, to: &str| {
        fs::copy(certificates().join(from), folder.join("new")).unwrap();
        fs::rename(folder.join("new"), folder.join(to)).unwrap();
    };
    for (from, to) in
        [("authority.pem", "ca.pem"), ("person.pem", "own.pem"), ("person.key", "own.key")]
    {
        put(from, to);
    }
    cluster.join_with("a", &tls("ca", "own", folder.clone())).await;
    cluster.leading("a").await;
    // Replaced files take effect with the next connection.
    put("stranger.pem", "ca.pem");
    etcd.kill().await;
    let host = cluster.host("a");
    host.log.event(0, "reread").await;
    etcd.start().await;
    agrees(host, |status| {
        let error = status["store"]["last_error"].as_str();
        error.is_some_and(|it| it.contains("does not trust") && it.contains("UnknownIssuer"))
    })
    .await;
    put("authority.pem", "ca.pem");
    let back = |line: &Value| line["event"] == "store-back";
    host.log.find(0, "store-back", back).await;
}
