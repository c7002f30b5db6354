//! Commands that hand over, pause, drain and remove.

use rustix::process::Signal;

use crate::harness::{
    cluster::{Cluster, Kind},
    exit::{MISSING, REFUSED, UNAVAILABLE},
    process::{Ended, agrees, run, soloist, until_readiness},
};

crate::on_all_stores!(
    core:
    a_leader_switches_over,
    a_leader_hands_over_to_a_host_that_is_named,
    another_leader_than_the_one_that_is_named_is_no_success,
    what_cannot_be_handed_over_stays,
    a_pause_holds_preference_back,
    a_paused_group_is_not_led_again,
    a_drained_host_stays_out,
    a_drain_of_the_last_host_says_that_nobody_leads,
    a_host_that_cannot_follow_in_a_paused_group_is_not_ready,
    hosts_are_known_until_they_are_removed,
);

/// Runs `soloist` with `args` against a host.
pub(crate) async fn tell(cluster: &Cluster, host: &str, args: &[&str]) -> Ended {
    let url = format!("http://{}", cluster.host(host).api().await);
    let by = ["--by", "ada", "--reason", "new disks"];
    run(soloist().args(args).args(by).env("SOLOIST_URL", url)).await
}

/// Whether an entry of the status names the order of [`tell`].
pub(crate) fn ordered(entry: &serde_json::Value) -> bool {
    entry["by"] == "ada" && entry["reason"] == "new disks" && entry["since"].is_string()
}

pub(crate) async fn done(cluster: &Cluster, host: &str, args: &[&str], words: &str) {
    let Ended { status, output } = tell(cluster, host, args).await;
    assert!(status.success() && output.contains(words), "{args:?}: {status}\n{output}");
}

pub(crate) async fn refused(cluster: &Cluster, host: &str, args: &[&str], code: i32, words: &str) {
    let Ended { status, output } = tell(cluster, host, args).await;
    assert_eq!(status.code(), Some(code), "{args:?}: {output}");
    assert!(output.contains(words) && output.contains("help: "), "no {words:?} in:\n{output}");
}

async fn a_leader_switches_over(kind: Kind) {
    let cluster = Cluster::of_three(kind).await;
    let before = cluster.web.until("a", |answer| answer.host == "a").await;
    // Any host accepts the command.
    done(&cluster, "c", &["switchover"], "b leads main now").await;
    let after = cluster.web.until("b", |answer| answer.host == "b").await;
    assert!(after.fencing_token > before.fencing_token, "{before:?} then {after:?}");
    let log = &cluster.host("a").log;
    let command = log.event(0, "command").await;
    assert_eq!((&command["by"], &command["reason"]), (&"ada".into(), &"new disks".into()), "{log}");
    let stopping = log.event(0, "stopping").await;
    assert!(stopping.to_string().contains("ada asked for it: new disks"), "{log}");
    // The former leader stands again at once, at the end of the queue.
    cluster.waiting("b", &["c", "a"]).await;
    done(&cluster, "b", &["switchover"], "c leads main now").await;
    cluster.waiting("c", &["a", "b"]).await;
    done(&cluster, "b", &["switchover"], "a leads main now").await;
}

async fn a_leader_hands_over_to_a_host_that_is_named(kind: Kind) {
    let cluster = Cluster::of_three(kind).await;
    done(&cluster, "b", &["switchover", "--to", "c"], "c leads main now").await;
    cluster.web.until("c", |answer| answer.host == "c").await;
    cluster.host("b").log.event(0, "stepped-back").await;
    // No host is preferred any longer, so the queue stays as it is.
    done(&cluster, "a", &["switchover", "--to", "a"], "a leads main now").await;
    refused(&cluster, "b", &["switchover", "--to", "a"], REFUSED, "a leads main already").await;
    cluster.leading("a").await;
}

async fn another_leader_than_the_one_that_is_named_is_no_success(kind: Kind) {
    let cluster = Cluster::of_three(kind).await;
    // A frozen host stays in the queue until its lease is over, and cannot lead.
    cluster.signal("b", Signal::STOP);
    let words = "c leads main now, and not b, which was gone";
    refused(&cluster, "c", &["switchover", "--to", "b"], UNAVAILABLE, words).await;
    cluster.web.until("c", |answer| answer.host == "c").await;
}

async fn what_cannot_be_handed_over_stays(kind: Kind) {
    let mut cluster = Cluster::new(kind).await;
    cluster.join("a").await;
    let before = cluster.web.until("a", |_| true).await;
    agrees(cluster.host("a"), |status| status["groups"]["main"]["leading_since"].is_string()).await;
    refused(&cluster, "a", &["switchover"], REFUSED, "no other host stands for main").await;
    refused(&cluster, "a", &["switchover", "--group", "man"], MISSING, "no group `man`").await;
    refused(&cluster, "a", &["switchover", "--to", "z"], MISSING, "there is no host `z`").await;
    refused(&cluster, "a", &["drain", "z"], MISSING, "there is no host `z`").await;
    refused(&cluster, "a", &["resume"], REFUSED, "not paused").await;
    refused(&cluster, "a", &["undrain"], REFUSED, "a is not drained").await;
    // A host that does not run the group's actions.
    let other =
        cluster.configuration("").replace("[action.web]", "[action.web]\ngroup = \"other\"");
    cluster.start_from("b", &other.replace(":3000", ":3001"));
    cluster.leads("b", "other").await;
    agrees(cluster.host("a"), |status| status["hosts"][1]["first_seen_at"].is_string()).await;
    let args = ["switchover", "--to", "b"];
    refused(&cluster, "b", &args, REFUSED, "b does not stand for main").await;
    // A host that has died.
    cluster.kill("b").await;
    let gone = |status: &serde_json::Value| status["hosts"][1]["last_seen_at"].is_string();
    agrees(cluster.host("a"), gone).await;
    refused(&cluster, "a", &args, REFUSED, "b is not alive; it was seen last at").await;
    // A refused command changes nothing and is not logged.
    assert!(cluster.host("a").log.events("command").is_empty(), "{}", cluster.host("a").log);
    let nobody = ["switchover", "--url", "http://127.0.0.1:9"];
    refused(&cluster, "a", &nobody, UNAVAILABLE, "no answer").await;
    assert_eq!(cluster.web.until("a", |_| true).await, before);
}

const PREFERENCE: &str =
    "[group.main]\nstrategy = \"priority\"\npreempt = true\npreempt_delay = \"100ms\"\n";

fn priority(number: i32) -> String {
    format!("{PREFERENCE}[host]\npriority = {number}\n")
}

async fn a_pause_holds_preference_back(kind: Kind) {
    let mut cluster = Cluster::new(kind).await;
    cluster.start_with("a", &priority(1));
    cluster.leading("a").await;
    done(
        &cluster,
        "a",
        &["pause", "--group", "main", "--keep-failover"],
        "a leader that dies is replaced",
    )
    .await;
    cluster.start_with("b", &priority(2));
    let next = agrees(cluster.host("b"), |status| status["groups"]["main"]["role"] == "next").await;
    assert!(ordered(&next["groups"]["main"]["paused"]), "{next}");
    // The leader had time enough to give way.
    let log = &cluster.host("a").log;
    for _ in 0..3 {
        log.event(log.len(), "renewed").await;
    }
    assert_eq!(log.events("stopping").len(), 0, "{log}");
    done(&cluster, "b", &["resume", "--group", "main"], "main: resumed").await;
    cluster.leading("b").await;
    assert!(log.event(0, "stopping").await.to_string().contains("b should lead"), "{log}");
}

async fn a_paused_group_is_not_led_again(kind: Kind) {
    let mut cluster = Cluster::of_three(kind).await;
    done(&cluster, "b", &["pause"], "a leader that dies is not replaced").await;
    let paused = |status: &serde_json::Value| {
        status["groups"]["main"]["role"] == "out"
            && status["groups"]["main"]["next_leader"].is_null()
    };
    agrees(cluster.host("b"), paused).await;
    agrees(cluster.host("c"), paused).await;
    cluster.web.until("a", |answer| answer.host == "a").await;
    for command in [&["switchover"][..], &["drain", "a"]] {
        refused(&cluster, "b", command, REFUSED, "main is paused, by ada").await;
    }
    cluster.kill("a").await;
    cluster.host("b").log.event(0, "leaderless").await;
    let seen = cluster.lengths();
    agrees(cluster.host("b"), |status| status["groups"]["main"]["leader"].is_null()).await;
    done(&cluster, "c", &["resume"], "all groups: resumed").await;
    cluster.another_leads("a", &seen).await;
}

async fn a_host_that_cannot_follow_in_a_paused_group_is_not_ready(kind: Kind) {
    let mut cluster = Cluster::new(kind).await.brief();
    for name in ["a", "b"] {
        cluster.join(name).await;
    }
    done(&cluster, "b", &["pause"], "a leader that dies is not replaced").await;
    until_readiness(cluster.host("b"), true, "").await;
    cluster.kill("a").await;
    until_readiness(cluster.host("b"), false, "`soloist resume` lets a host lead").await;
    done(&cluster, "b", &["resume"], "all groups: resumed").await;
    cluster.leading("b").await;
    until_readiness(cluster.host("b"), true, "").await;
}

async fn a_drain_of_the_last_host_says_that_nobody_leads(kind: Kind) {
    let mut cluster = Cluster::new(kind).await;
    cluster.join("a").await;
    cluster.leading("a").await;
    done(&cluster, "a", &["drain"], "until it is undrained; nobody leads main now").await;
}

async fn a_drained_host_stays_out(kind: Kind) {
    let mut cluster = Cluster::of_three(kind).await;
    done(&cluster, "c", &["drain", "a"], "a leads no group").await;
    cluster.web.until("b", |answer| answer.host == "b").await;
    let drained = |status: &serde_json::Value| {
        ordered(&status["hosts"][0]["drained"]) && status["groups"]["main"]["role"] == "out"
    };
    let status = agrees(cluster.host("a"), drained).await;
    let obstacle = status["groups"]["main"]["obstacle"].as_str().expect("an obstacle");
    assert!(obstacle.contains("ada drained this host: new disks"), "{status}");
    until_readiness(cluster.host("a"), false, "drained by ada: new disks").await;
    refused(&cluster, "c", &["switchover", "--to", "a"], REFUSED, "a is drained, by ada").await;
    // The drain outlasts restarts of this host and of the others.
    cluster.terminate("a").await;
    cluster.start("a");
    // An order is no fault, so nobody is paged for it.
    let ordered = cluster.host("a").log.event(0, "not-ready").await;
    assert_eq!(ordered["level"], "INFO", "{ordered}");
    cluster.terminate("b").await;
    cluster.web.until("c", |answer| answer.host == "c").await;
    agrees(cluster.host("a"), drained).await;
    done(&cluster, "a", &["undrain"], "a stands for election again").await;
    agrees(cluster.host("a"), |status| status["groups"]["main"]["role"] == "next").await;
    until_readiness(cluster.host("a"), true, "").await;
}

async fn hosts_are_known_until_they_are_removed(kind: Kind) {
    let mut cluster = Cluster::of_three(kind).await;
    let known = |status: &serde_json::Value| {
        let members = status["hosts"].as_array().expect("members");
        members.len() == 3 && members.iter().all(|member| member["first_seen_at"].is_string())
    };
    let before = agrees(cluster.host("a"), known).await;
    cluster.kill("c").await;
    let gone = |status: &serde_json::Value| {
        status["hosts"][2]["live"] == false && status["hosts"][2]["last_seen_at"].is_string()
    };
    let status = agrees(cluster.host("a"), gone).await;
    assert_eq!(status["hosts"][2]["url"], before["hosts"][2]["url"]);
    // A host that comes back is the known one.
    cluster.join("c").await;
    let back = agrees(cluster.host("a"), |status| status["hosts"][2]["live"] == true).await;
    assert_eq!(back["hosts"][2]["first_seen_at"], before["hosts"][2]["first_seen_at"]);
    refused(&cluster, "a", &["remove", "c"], REFUSED, "c is alive").await;
    cluster.terminate("c").await;
    agrees(cluster.host("b"), gone).await;
    done(&cluster, "b", &["remove", "c"], "c is removed").await;
    let two = |status: &serde_json::Value| status["hosts"].as_array().map(Vec::len) == Some(2);
    agrees(cluster.host("a"), two).await;
    refused(&cluster, "a", &["remove", "c"], MISSING, "there is no host `c`").await;
}
