//! The store is another one or an older one than before, or a stranger answers in its place.

use rusqlite::Connection;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{TAKE_OVER, ends, is_next, leads_on, outlives_its_lease, text};
use crate::harness::{
    CALM_TTL,
    cluster::{Cluster, Kind},
    crowd::Crowd,
    etcd::Etcd,
    etcd_cluster::EtcdCluster,
    process::{Process, agrees, run, soloist, until_readiness},
};

/// A member loses its data and is started alone, as in a hasty replacement.
#[tokio::test(flavor = "multi_thread")]
async fn a_member_of_another_etcd_is_passed_by() {
    let mut etcd = EtcdCluster::started().await;
    let mut cluster = Cluster::at(etcd.url(), CALM_TTL);
    cluster.join("a").await;
    let before = cluster.web.until("a", |answer| answer.host == "a").await;
    cluster.join("b").await;
    is_next(cluster.host("b")).await;
    let crowd = Crowd::gather(&cluster.web, 2);
    let stranger = etcd.members[0].endpoint();
    etcd.members[0].start_as_a_stranger().await;
    // `c` knows nothing of the cluster, and asks the stranger first.
    cluster.join("c").await;
    for name in ["a", "b", "c"] {
        let standbys = json!(["b", "c"]);
        let sees = agrees(cluster.host(name), |it| it["groups"]["main"]["standbys"] == standbys);
        assert_eq!(sees.await["groups"]["main"]["leader"], "a");
    }
    let named = cluster.host("c").log.event(0, "store-other-etcd").await;
    assert_eq!(named["address"], stranger.as_str(), "{named}");
    assert!(text(&named["message"]).contains("is a member of another etcd"), "{named}");
    outlives_its_lease(cluster.host("a")).await;
    leads_on(cluster.host("a"), before.fencing_token).await;
    for name in ["b", "c"] {
        assert!(cluster.host(name).log.events("leading").is_empty());
    }
    assert_eq!(cluster.host("c").log.events("store-other-etcd").len(), 1, "named once");
    cluster.terminate("a").await;
    let after = cluster.web.until("b", |answer| answer.host == "b").await;
    assert!(after.fencing_token > before.fencing_token, "{before:?} then {after:?}");
    crowd.disperse().await;
}

/// The host does not start. On a machine that is too busy for its first look, it waits in vain.
#[tokio::test(flavor = "multi_thread")]
async fn members_of_two_etcds_are_no_store() {
    let (a, b) = (Etcd::started().await, Etcd::started().await);
    for (first, second) in [(&a, &b), (&b, &a)] {
        let url = format!("etcd://{},{}", first.endpoint(), second.endpoint());
        let cluster = Cluster::at(url, CALM_TTL);
        let host = Process::start(&mut cluster.command("a", ""));
        let said = [
            &a.endpoint(),
            &b.endpoint(),
            "members of different etcd clusters",
            "name only those of one",
        ];
        let refused = |line: &Value| said.iter().all(|word| line.to_string().contains(word));
        host.log.find(0, "refusal", refused).await;
        assert!(host.log.events("leading").is_empty(), "{}", host.log);
    }
}

/// `a` leads again after `keep` has saved the store, and `b` has seen that.
async fn led_again(cluster: &mut Cluster, keep: impl AsyncFnOnce(&Cluster)) -> i64 {
    cluster.join("a").await;
    cluster.web.until("a", |answer| answer.host == "a").await;
    cluster.join("b").await;
    is_next(cluster.host("b")).await;
    keep(cluster).await;
    for leader in ["b", "a"] {
        let url = format!("http://{}", cluster.host("a").api().await);
        let resigned = run(soloist().arg("switchover").env("SOLOIST_URL", url)).await;
        assert!(resigned.status.success(), "{}", resigned.output);
        cluster.web.until(leader, |answer| answer.host == leader).await;
    }
    let leads = cluster.web.until("a", |answer| answer.host == "a").await;
    for name in ["a", "b"] {
        agrees(cluster.host(name), |status| {
            status["groups"]["main"]["fencing_token"] == leads.fencing_token
        })
        .await;
    }
    leads.fencing_token
}

/// Checks that all hosts have noticed, and that one leads again without being restarted: under a
/// higher fencing token than `before`, and not before every lease of before has run out.
async fn goes_on_above(mut cluster: Cluster, before: i64, back: Instant) {
    for name in ["a", "b"] {
        let host = cluster.host(name);
        let said = host.log.event(0, "store-changed").await;
        assert!(text(&said["message"]).contains("went back from"), "{said}");
        host.log.event(0, "tokens-raised").await;
    }
    let next = cluster.web.until("a leader", |answer| answer.fencing_token > before).await;
    // The one that noticed last may have begun the wait a moment after the store was back.
    assert!(back.elapsed() >= CALM_TTL, "it leads too early: {:?}", back.elapsed());
    for name in ["a", "b"] {
        let now = next.fencing_token;
        agrees(cluster.host(name), |status| status["groups"]["main"]["fencing_token"] == now).await;
        until_readiness(cluster.host(name), true, "").await;
    }
    for name in ["a", "b"] {
        cluster.terminate(name).await;
    }
}

/// The snapshot contains the session's lease and the key of `a`'s first term, but not the key of
/// its current term.
#[tokio::test(flavor = "multi_thread")]
async fn an_etcd_that_is_restored_within_the_ttl_ends_the_term() {
    let mut cluster = Cluster::new(Kind::Etcd).await;
    let keep = async |cluster: &Cluster| {
        let etcd = cluster.etcd.as_ref().expect("etcd");
        etcd.snapshot().await;
        // More than is written after the restore, since nothing else would show that the store is
        // older.
        let mut hand = etcd.connect().await;
        for round in 0..100 {
            hand.put("other", format!("{round}"), None).await.expect("put");
        }
    };
    let before = led_again(&mut cluster, keep).await;
    let seen = cluster.host("a").log.len();
    let etcd = cluster.etcd.as_mut().expect("etcd");
    let fault = Instant::now();
    etcd.kill().await;
    etcd.restore_snapshot().await;
    etcd.start().await;
    let back = Instant::now();
    assert!(fault.elapsed() < CALM_TTL, "the lease could have run out");
    ends(cluster.host("a"), seen, "went back from").await;
    // A renewal is due every fifth of the TTL.
    let took = back.elapsed();
    assert!(took < CALM_TTL / 5 + TAKE_OVER, "noticed after {took:?}");
    goes_on_above(cluster, before, back).await;
}

/// The host that is started again has not seen the store of before, and knows from its supervisor
/// how far the fencing tokens had come.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_forgets_no_fencing_token_of_a_store_that_went_back() {
    let mut cluster = Cluster::new(Kind::Etcd).await;
    cluster.supervised = true;
    let keep = async |cluster: &Cluster| cluster.etcd.as_ref().expect("etcd").snapshot().await;
    let before = led_again(&mut cluster, keep).await;
    cluster.terminate("a").await;
    let leads = cluster.web.until("b", |answer| answer.host == "b").await;
    let etcd = cluster.etcd.as_mut().expect("etcd");
    etcd.kill().await;
    etcd.restore_snapshot().await;
    etcd.start().await;
    let log = cluster.host("b").log.clone();
    log.event(0, "store-changed").await;
    let seen = log.len();
    cluster.host("b").supervised(0).await.signal(Signal::KILL);
    // Unless it has raised them before it was killed.
    if log.events("tokens-raised").is_empty() {
        let said = log.event(seen, "store-changed").await;
        assert!(text(&said["message"]).contains("when this host crashed"), "{said}");
    }
    let highest = leads.fencing_token.max(before);
    cluster.web.until("b", |answer| answer.fencing_token > highest).await;
}

/// No host that runs remembers how high they were.
#[tokio::test(flavor = "multi_thread")]
async fn an_operator_raises_the_fencing_tokens() {
    for kind in [Kind::Etcd, Kind::Sqlite] {
        let mut cluster = Cluster::new(kind).await;
        cluster.join("a").await;
        let leads = cluster.web.until("a", |answer| answer.host == "a").await;
        let above = leads.fencing_token + 1_000_000;
        let raise = async |cluster: &Cluster| {
            let settings = cluster.folder.path().join("operator.toml");
            std::fs::write(&settings, cluster.configuration("")).expect("settings");
            let mut raise = soloist();
            raise.args(["store", "raise-tokens", "--above", &above.to_string(), "--config"]);
            run(raise.arg(settings)).await
        };
        let raised = raise(&cluster).await;
        assert!(raised.status.success(), "{}", raised.output);
        assert!(
            raised.output.contains(&format!("exceed {above} from now on")),
            "{}",
            raised.output
        );
        let next = cluster.web.until("a", |answer| answer.fencing_token > above).await;
        // Once more, it changes nothing.
        assert!(raise(&cluster).await.status.success());
        let same = cluster.web.until("a", |answer| answer.host == "a").await;
        assert_eq!(same.fencing_token, next.fencing_token);
        cluster.terminate("a").await;
    }
}

/// As `sqlite3 soloist.db ".restore backup"` does it.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_restored_ends_the_term() {
    let mut cluster = Cluster::new(Kind::Sqlite).await;
    let folder = cluster.folder.path().to_owned();
    let (file, backup) = (folder.join("soloist.db"), folder.join("backup.db"));
    let keep = async |_: &Cluster| {
        let file = Connection::open(&file).expect("a file");
        file.execute("VACUUM INTO ?1", [backup.to_str()]).expect("a backup");
    };
    let before = led_again(&mut cluster, keep).await;
    let seen = cluster.host("a").log.len();
    let back = Instant::now();
    let mut restored = Connection::open(&file).expect("a file");
    let progress = None::<fn(rusqlite::backup::Progress)>;
    restored.restore("main", &backup, progress).expect("it is restored");
    ends(cluster.host("a"), seen, "went back from").await;
    assert!(back.elapsed() < TAKE_OVER, "noticed after {:?}", back.elapsed());
    goes_on_above(cluster, before, back).await;
}
