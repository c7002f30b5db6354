//! A store that refuses writes: no run is claimed, every host that is asked says so, and nothing
//! waits.

use etcd_client::{AlarmAction, AlarmType};
use serde_json::Value;

use super::Beats;
use crate::harness::{
    cluster::Kind,
    exit::UNAVAILABLE,
    process::{Ended, run, soloist, until_readiness},
};

async fn asked(beats: &Beats, args: &[&str]) -> Ended {
    let url = format!("http://{}", beats.cluster.host("b").api().await);
    run(soloist().arg("job").args(args).args(["--url", &url])).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_claimed_is_told_by_all_and_not_begun_later() {
    let beats = Beats::of_two(Kind::Etcd, "schedule = \"none\"\n").await;
    let mut etcd = beats.cluster.etcd.as_ref().expect("etcd").connect().await;
    etcd.alarm(AlarmAction::Activate, AlarmType::Nospace, None).await.expect("raised");
    for name in ["a", "b"] {
        until_readiness(beats.cluster.host(name), false, "etcdctl alarm disarm").await;
        let url = format!("http://{}/v1/jobs", beats.cluster.host(name).api().await);
        let list: Value = reqwest::get(url).await.expect("an answer").json().await.expect("JSON");
        let error = list["jobs"][0]["error"].as_str().unwrap_or_default();
        assert!(error.contains("etcdctl alarm disarm"), "{name}: {list}");
    }
    let given_up = asked(&beats, &["run", "beat", "--wait"]).await;
    assert_eq!(given_up.status.code(), Some(UNAVAILABLE), "{}", given_up.output);
    for part in ["no run of beat could be claimed", "etcdctl alarm disarm"] {
        assert!(given_up.output.contains(part), "no {part:?}: {}", given_up.output);
    }
    etcd.alarm(AlarmAction::Deactivate, AlarmType::Nospace, None).await.expect("disarmed");
    until_readiness(beats.cluster.host("b"), true, "").await;
    let done = asked(&beats, &["run", "beat", "--wait"]).await;
    assert!(done.status.success(), "{}", done.output);
    assert_eq!(beats.history("b").await.len(), 1, "the other one is not begun any more");
}
