//! The metrics of a host, and whether they are plausible.

use std::collections::BTreeMap;

use rustix::process::Signal;

use crate::harness::{
    PATIENCE, TTL,
    cluster::{Cluster, Kind},
    guests,
    process::Process,
};

crate::on_all_stores!(
    a_hand_over_is_measured,
    what_is_alive_is_counted,
    requests_are_counted_by_what_came_of_them,
    queued_calls_are_counted_by_what_came_of_them,
    a_service_that_traps_is_counted,
);

/// The samples of one scrape, by their names and labels.
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

    /// Scrapes until `wanted` accepts the samples.
    async fn until(host: &Process, wanted: impl Fn(&Self) -> bool) -> Self {
        let begun = tokio::time::Instant::now();
        loop {
            let scrape = Self::of(host).await;
            if wanted(&scrape) {
                return scrape;
            }
            assert!(begun.elapsed() < PATIENCE, "no such measurements: {scrape:#?}");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
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
    assert!(after.fencing_token > before.fencing_token, "{before:?} then {after:?}");

    let former = Scrape::of(a).await;
    assert_eq!(former.get("soloist_is_leader{group=\"main\"}"), Some(0.0), "{former:?}");
    assert_eq!(former.get("soloist_instances"), Some(0.0), "{former:?}");
    let ended = "soloist_terms_total{group=\"main\",cause=\"deadline_passed\"}";
    assert_eq!(former.get(ended), Some(1.0), "{former:?}");
    assert_eq!(former.get("soloist_term_stop_duration_seconds_count{group=\"main\"}"), Some(1.0));
    let took = former.get("soloist_term_stop_duration_seconds_sum{group=\"main\"}").expect("a sum");
    assert!(took > 0.0 && took < 0.5, "a teardown took {took} s");
    let within = "soloist_term_stop_duration_seconds_bucket{group=\"main\",le=\"0.5\"}";
    assert_eq!(former.get(within), Some(1.0), "{former:?}");

    let leader = Scrape::of(b).await;
    assert_eq!(leader.get("soloist_is_leader{group=\"main\"}"), Some(1.0), "{leader:?}");
    let fencing_token =
        leader.get("soloist_fencing_token{group=\"main\"}").expect("a fencing token");
    assert_eq!(fencing_token, after.fencing_token as f64);
    assert_eq!(
        leader.get("soloist_term_stop_duration_seconds_count{group=\"main\"}"),
        None,
        "{leader:?}"
    );
    // Each of the two has won once.
    for host in [&former, &leader] {
        assert_eq!(
            host.get("soloist_term_start_duration_seconds_count{group=\"main\"}"),
            Some(1.0)
        );
        let took =
            host.get("soloist_term_start_duration_seconds_sum{group=\"main\"}").expect("a sum");
        assert!(took > 0.0 && took < PATIENCE.as_secs_f64(), "a take-over took {took} s");
    }
    assert_eq!(leader.get(ended), Some(0.0), "{leader:?}");

    cluster.terminate("b").await;
    cluster.web.until("a", |answer| answer.host == "a").await;
    let again = Scrape::of(cluster.host("a")).await;
    assert_eq!(again.get("soloist_is_leader{group=\"main\"}"), Some(1.0), "{again:?}");
    assert!(again.get("soloist_fencing_token{group=\"main\"}") > Some(fencing_token), "{again:?}");
}

async fn what_is_alive_is_counted(kind: Kind) {
    let mut cluster = Cluster::with_plugin(kind, guests().join("spin.wasm")).await.brief();
    cluster.start("a");
    cluster.web.until("a", |answer| answer.host == "a").await;
    let log = cluster.host("a").log.clone();
    let url = format!("http://{}/sleep?ms=25000", cluster.web_at);
    let slow = tokio::spawn(reqwest::get(url));
    log.find(0, "request", |line| line["message"] == "sleeping").await;
    // The second renewal is sent after the first was answered.
    log.event(log.len(), "renewed").await;
    log.event(log.len(), "renewed").await;
    let busy = Scrape::of(cluster.host("a")).await;
    assert_eq!(busy.get("soloist_instances"), Some(1.0), "{busy:?}");
    let memory = busy.get("soloist_guest_memory_bytes{action=\"web\"}").expect("a size");
    // The memory is a multiple of WebAssembly's page size, and at least one page.
    assert!(memory >= 65_536.0 && memory % 65_536.0 == 0.0, "{memory} bytes");
    // The metric exists from the start. On a busy machine there may have been some errors.
    let errors = busy.get("soloist_store_errors_total").expect("a number");
    assert!(busy.get("soloist_store_calls_total") > Some(errors), "{busy:?}");
    let renewals = busy.get("soloist_lease_renewal_duration_seconds_count").expect("renewals");
    assert!(renewals >= 1.0, "{busy:?}");
    assert_eq!(busy.get("soloist_lease_margin_seconds_count"), Some(renewals), "{busy:?}");
    let trips = busy.get("soloist_lease_renewal_duration_seconds_sum").expect("a sum");
    let margins = busy.get("soloist_lease_margin_seconds_sum").expect("a sum");
    assert!(trips > 0.0 && margins > 0.0, "{busy:?}");
    // A renewal is sent when less than a TTL is left.
    assert!(trips + margins < TTL.as_secs_f64() * renewals, "{busy:?}");
    slow.abort();
    Scrape::until(cluster.host("a"), |idle| {
        idle.get("soloist_instances") == Some(0.0)
            && idle.get("soloist_guest_memory_bytes{action=\"web\"}") == Some(0.0)
    })
    .await;
}

async fn requests_are_counted_by_what_came_of_them(kind: Kind) {
    let mut cluster = Cluster::with_plugin(kind, guests().join("spin.wasm")).await;
    cluster.start("a");
    cluster.web.until("a", |answer| answer.host == "a").await;
    let before = Scrape::of(cluster.host("a")).await;
    for zero in [
        "soloist_traps_total{action=\"web\"}",
        "soloist_gate_refusals_total{action=\"web\",reason=\"expired\"}",
        "soloist_relay_failed_total{action=\"web\"}",
        "soloist_terms_total{group=\"main\",cause=\"lease_gone\"}",
        "soloist_log_lines_lost_total",
    ] {
        assert_eq!(before.get(zero), Some(0.0), "{zero}: {before:?}");
    }
    for (path, code) in [("/", 200), ("/", 200), ("/nowhere", 404), ("/trap", 500)] {
        let answer = reqwest::get(format!("http://{}{path}", cluster.web_at)).await.expect("it");
        assert_eq!(answer.status(), code, "{path}");
    }
    let after = Scrape::of(cluster.host("a")).await;
    let more = |name: &str| after.get(name).unwrap_or(0.0) - before.get(name).unwrap_or(0.0);
    let requests = |code: &str| {
        more(&format!("soloist_http_requests_total{{action=\"web\",code=\"{code}\"}}"))
    };
    // The harness sends requests too, and they succeed.
    assert!(requests("200") >= 2.0, "{after:?}");
    assert_eq!((requests("304"), requests("404"), requests("500")), (0.0, 1.0, 1.0), "{after:?}");
    assert_eq!(after.get("soloist_traps_total{action=\"web\"}"), Some(1.0), "{after:?}");
    let all: f64 = ["200", "404", "500"].into_iter().map(requests).sum();
    assert_eq!(
        more("soloist_http_request_duration_seconds_count{action=\"web\"}"),
        all,
        "{after:?}"
    );
    assert!(more("soloist_http_request_duration_seconds_sum{action=\"web\"}") > 0.0, "{after:?}");
}

async fn queued_calls_are_counted_by_what_came_of_them(kind: Kind) {
    let mut cluster = Cluster::new(kind).await;
    let plugin = guests().join("work.wasm");
    cluster.start_with("a", &format!("[action.work]\nplugin = \"{}\"\n", plugin.display()));
    cluster.leading("a").await;
    let url = format!("http://{}/v1/tasks/work/queue", cluster.host("a").api().await);
    for payload in ["echo well done", "refuse", "fail-before 2"] {
        let queued_call =
            reqwest::Client::new().post(&url).body(payload).send().await.expect("an answer");
        assert_eq!(queued_call.status(), 202, "{payload}");
    }
    let expected = [("done", 2.0), ("again", 1.0), ("dead", 1.0)];
    let count = |scrape: &Scrape, outcome: &str| {
        scrape.get(&format!(
            "soloist_queued_call_attempts_total{{task=\"work\",outcome=\"{outcome}\"}}"
        ))
    };
    let all = Scrape::until(cluster.host("a"), |scrape| {
        expected.iter().all(|(outcome, at_least)| count(scrape, outcome) >= Some(*at_least))
    })
    .await;
    // If the store has lost answers, queued calls may have been attempted more often.
    if all.get("soloist_store_errors_total") == Some(0.0) {
        for (outcome, exactly) in expected {
            assert_eq!(count(&all, outcome), Some(exactly), "{outcome}: {all:?}");
        }
    }
    assert_eq!(all.get("soloist_task_enqueued_total{task=\"work\"}"), Some(3.0), "{all:?}");
}

async fn a_service_that_traps_is_counted(kind: Kind) {
    let mut cluster = Cluster::new(kind).await;
    let plugin = guests().join("service-trap.wasm");
    cluster.start_with("a", &format!("[action.beat]\nplugin = \"{}\"\n", plugin.display()));
    let restarted = "soloist_restarts_total{action=\"beat\"}";
    let trapped = "soloist_traps_total{action=\"beat\"}";
    let scrape =
        Scrape::until(cluster.host("a"), |scrape| scrape.get(restarted) >= Some(1.0)).await;
    assert!(scrape.get(trapped) >= scrape.get(restarted), "{scrape:?}");
    assert_eq!(scrape.get("soloist_restarts_total{action=\"web\"}"), None, "{scrape:?}");
}
