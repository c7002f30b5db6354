//! What a host measures, and whether that can be true.

use std::collections::BTreeMap;

use rustix::process::Signal;

use crate::harness::{
    TTL,
    cluster::{Cluster, Kind},
    guests,
    process::Process,
};

crate::on_both_stores!(a_hand_over_is_measured, what_is_alive_is_counted);

/// The samples of one scrape, by name and labels as they are written.
#[derive(Debug)]
struct Scrape(BTreeMap<String, f64>);

impl Scrape {
    async fn of(host: &Process) -> Self {
        let url = format!("http://{}/metrics", host.api().await);
        let answer = reqwest::get(url).await.expect("an answer");
        assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("text/plain"));
        let text = answer.text().await.expect("text");
        let samples = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let sample = |line: &str| {
            let (name, value) = line.rsplit_once(' ').expect("a value");
            let described = name.split(['{', ' ']).next().expect("a name");
            let stem = ["_bucket", "_sum", "_count"].iter().find_map(|e| described.strip_suffix(e));
            let help = |name: &str| text.contains(&format!("# HELP {name} "));
            assert!(help(described) || stem.is_some_and(help), "{described} has no help");
            (name.to_owned(), value.parse().expect("a number"))
        };
        Self(samples.map(sample).collect())
    }

    fn get(&self, name: &str) -> Option<f64> {
        self.0.get(name).copied()
    }
}

async fn a_hand_over_is_measured(kind: Kind) {
    let mut cluster = Cluster::new(kind).await.brief();
    cluster.join("a").await;
    cluster.leading("a").await;
    cluster.join("b").await;
    let before = cluster.web.until("a", |answer| answer.host == "a").await;
    cluster.host("b").log.event(0, "following").await;
    cluster.freeze("a").await;
    let (a, b) = (cluster.host("a"), cluster.host("b"));
    let frozen = a.log.len();
    b.log.event(0, "leading").await;
    cluster.signal("a", Signal::CONT);
    a.log.event(frozen, "stopped").await;
    let after = cluster.web.until("b", |answer| answer.host == "b").await;
    assert!(after.token > before.token, "{before:?} then {after:?}");

    let former = Scrape::of(a).await;
    assert_eq!(former.get("soloist_leader{group=\"main\"}"), Some(0.0), "{former:?}");
    assert_eq!(former.get("soloist_instances"), Some(0.0), "{former:?}");
    let ended = "soloist_terms_total{group=\"main\",cause=\"deadline_passed\"}";
    assert_eq!(former.get(ended), Some(1.0), "{former:?}");
    assert_eq!(former.get("soloist_teardown_seconds_count{group=\"main\"}"), Some(1.0));
    let took = former.get("soloist_teardown_seconds_sum{group=\"main\"}").expect("a sum");
    assert!(took > 0.0 && took < 0.5, "a teardown took {took} s");
    let within = "soloist_teardown_seconds_bucket{group=\"main\",le=\"0.5\"}";
    assert_eq!(former.get(within), Some(1.0), "{former:?}");

    let leader = Scrape::of(b).await;
    assert_eq!(leader.get("soloist_leader{group=\"main\"}"), Some(1.0), "{leader:?}");
    let token = leader.get("soloist_token{group=\"main\"}").expect("a token");
    assert_eq!(token, after.token as f64);
    assert_eq!(leader.get("soloist_teardown_seconds_count{group=\"main\"}"), None, "{leader:?}");
    assert_eq!(leader.get(ended), None, "{leader:?}");

    cluster.terminate("b").await;
    cluster.web.until("a", |answer| answer.host == "a").await;
    let again = Scrape::of(cluster.host("a")).await;
    assert_eq!(again.get("soloist_leader{group=\"main\"}"), Some(1.0), "{again:?}");
    assert!(again.get("soloist_token{group=\"main\"}") > Some(token), "{again:?}");
}

async fn what_is_alive_is_counted(kind: Kind) {
    let mut cluster = Cluster::with_plugin(kind, guests().join("spin.wasm")).await.brief();
    cluster.start("a");
    cluster.web.until("a", |answer| answer.host == "a").await;
    let log = cluster.host("a").log.clone();
    let url = format!("http://{}/sleep?ms=25000", cluster.web_at);
    let slow = tokio::spawn(reqwest::get(url));
    log.find(0, "request", |line| line["message"] == "sleeping").await;
    // The second is sent when the first was taken in.
    log.event(log.len(), "renewed").await;
    log.event(log.len(), "renewed").await;
    let busy = Scrape::of(cluster.host("a")).await;
    assert_eq!(busy.get("soloist_instances"), Some(1.0), "{busy:?}");
    assert_eq!(busy.get("soloist_store_errors_total"), Some(0.0), "{busy:?}");
    let renewals = busy.get("soloist_renewal_seconds_count").expect("renewals");
    assert!(renewals >= 1.0, "{busy:?}");
    assert_eq!(busy.get("soloist_lease_margin_seconds_count"), Some(renewals), "{busy:?}");
    let trips = busy.get("soloist_renewal_seconds_sum").expect("a sum");
    let margins = busy.get("soloist_lease_margin_seconds_sum").expect("a sum");
    assert!(trips > 0.0 && margins > 0.0, "{busy:?}");
    // Before a renewal is sent there is less than a TTL left.
    assert!(trips + margins < TTL.as_secs_f64() * renewals, "{busy:?}");
    slow.abort();
}
