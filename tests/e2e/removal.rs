//! Removing a host and admitting it again, and commands whose answers are lost.

use rustix::process::Signal;
use serde_json::Value;
use tokio::join;

use crate::harness::exit::{REFUSED, UNAVAILABLE};
use crate::{
    commands::{done, ordered, refused, tell},
    harness::{
        cluster::{Cluster, Kind},
        process::{agrees, readiness},
    },
};

crate::on_all_stores!(
    core:
    a_host_that_is_removed_leaves_and_stays_out_until_it_is_admitted,
    a_host_whose_session_ran_out_does_not_come_back,
    an_order_whose_answer_is_lost_says_so,
);

fn count(status: &Value) -> Option<usize> {
    status["hosts"].as_array().map(Vec::len)
}

async fn a_host_that_is_removed_leaves_and_stays_out_until_it_is_admitted(kind: Kind) {
    let mut cluster = Cluster::of_three(kind).await;
    agrees(cluster.host("b"), |status| status["hosts"][2]["first_seen_at"].is_string()).await;
    refused(&cluster, "a", &["remove", "a", "--force"], REFUSED, "cannot remove itself").await;
    refused(&cluster, "b", &["admit", "a"], REFUSED, "a is not removed").await;
    let words = "a is removed; it has given up its leaderships and left. It cannot join again";
    done(&cluster, "b", &["remove", "a", "--force"], words).await;
    let mut host = cluster.hosts.remove("a").expect("a");
    assert!(host.ended().await.success(), "{}", host.log);
    let story = host.log.story();
    let at = |event: &str| story.iter().position(|it| it == event).expect(event);
    assert!(at("stopped") < at("leaving"), "{story:?}");
    let leaving = host.log.event(0, "leaving").await.to_string();
    assert!(leaving.contains("soloist admit a"), "{leaving}");
    cluster.web.until("b", |answer| answer.host == "b").await;
    let out = |status: &Value| count(status) == Some(2) && ordered(&status["removed"]["a"]);
    agrees(cluster.host("b"), out).await;
    // A service manager restarts the host: it stays up, reports the removal, and does nothing else.
    cluster.start("a");
    let told = cluster.host("a").log.event(0, "not-joined").await;
    let text = told["message"].as_str().expect("text");
    assert!(text.contains("removed by ada: new disks; `soloist admit a`"), "{text}");
    let (ready, why) = readiness(cluster.host("a")).await;
    assert!(!ready && why.contains("soloist admit a"), "{why}");
    let status = agrees(cluster.host("a"), |status| status["removed"].is_object()).await;
    assert!(status["host"]["obstacle"].is_string(), "{status}");
    let args = ["switchover", "--to", "a"];
    refused(&cluster, "b", &args, REFUSED, "a is removed, by ada").await;
    cluster.terminate("b").await;
    cluster.web.until("c", |answer| answer.host == "c").await;
    agrees(cluster.host("c"), |status| status["groups"]["main"]["next_leader"].is_null()).await;
    let log = &cluster.host("a").log;
    assert!(log.events("standby").is_empty() && log.events("leaving").is_empty(), "{log}");
    done(&cluster, "a", &["admit", "a"], "a may join again").await;
    agrees(cluster.host("a"), |status| status["groups"]["main"]["role"] == "next").await;
    assert!(readiness(cluster.host("a")).await.0);
}

async fn a_host_whose_session_ran_out_does_not_come_back(kind: Kind) {
    let mut cluster = Cluster::new(kind).await.brief().with_three().await;
    agrees(cluster.host("b"), |status| status["hosts"][0]["first_seen_at"].is_string()).await;
    cluster.freeze("a").await;
    // A frozen host cannot notice its removal, so the command waits for the end of its session
    // only.
    let words = "a is removed; it did not confirm: its session ran out";
    done(&cluster, "b", &["remove", "a", "--force"], words).await;
    cluster.leading("b").await;
    let mut host = cluster.hosts.remove("a").expect("a");
    host.signal(Signal::CONT);
    assert!(host.ended().await.success(), "{}", host.log);
    host.log.event(0, "leaving").await;
    assert_eq!(host.log.events("standby").len(), 1, "it stood again: {}", host.log);
    agrees(cluster.host("b"), |status| count(status) == Some(2)).await;
    // For a host that was not seen alive, the answer differs.
    cluster.kill("c").await;
    agrees(cluster.host("b"), |status| status["hosts"][1]["last_seen_at"].is_string()).await;
    let words = "c is removed; it was seen last at";
    done(&cluster, "b", &["remove", "c", "--force"], words).await;
    cluster.start("c");
    cluster.host("c").log.event(0, "not-joined").await;
    // Without `--force` it is only forgotten, and the command explains the difference.
    refused(&cluster, "b", &["remove", "c"], REFUSED, "c is removed already").await;
}

async fn an_order_whose_answer_is_lost_says_so(kind: Kind) {
    let mut cluster = Cluster::of_three(kind).await;
    let held = cluster.hold_store();
    let orders: [(&[&str], &str); 4] = [
        (&["pause", "--group", "main"], "soloist resume --group main"),
        (&["drain", "c"], "soloist undrain c"),
        (&["remove", "c", "--force"], "soloist admit c"),
        (&["undrain", "c"], "soloist drain c"),
    ];
    let told = |(args, undo): (&'static [&'static str], &'static str)| {
        let cluster = &cluster;
        async move {
            let ended = tell(cluster, "b", args).await;
            assert_eq!(ended.status.code(), Some(UNAVAILABLE), "{}", ended.output);
            for words in ["may have been done", "soloist status", undo] {
                assert!(ended.output.contains(words), "no {words:?} in\n{}", ended.output);
            }
            assert!(!ended.output.contains("nothing"), "{}", ended.output);
        }
    };
    let [one, two, three, four] = orders;
    join!(told(one), told(two), told(three), told(four));
    cluster.release_store(held);
    // The status shows what the commands have done.
    cluster.hosts.remove("c");
    agrees(cluster.host("b"), |status| status["store"]["state"] == "ok").await;
}
