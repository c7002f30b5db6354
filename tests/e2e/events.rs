//! Server-sent events: the current status, every change, and the latest transitions from before.

use std::time::Duration;

use tokio::time::timeout;

use crate::harness::{
    cluster::{Cluster, Kind},
    events::Events,
    process::{run, soloist},
};

crate::on_all_stores!(
    core:
    a_change_of_leaders_is_told_with_its_cause,
    a_lost_leader_is_told_as_seen,
    a_line_that_is_quiet_shows_that_it_is_alive,
);

async fn a_change_of_leaders_is_told_with_its_cause(kind: Kind) {
    let cluster = Cluster::of_three(kind).await;
    let (a, b) = (cluster.host("a").api().await, cluster.host("b").api().await);
    let (mut of_a, mut of_b) = (Events::of(a).await, Events::of(b).await);
    // The first event is the status.
    let first = of_b.next().await.expect("an event");
    assert_eq!((&*first.name, &first.data["host"]["name"]), ("status", &"b".into()));
    let term = of_b.transition("following").await;
    assert_eq!((&term["host"], &term["group"]), (&"a".into(), &"main".into()), "{term}");
    let led = of_a.transition("leading").await;
    assert_eq!(
        (&led["host"], &led["fencing_token"]),
        (&"a".into(), &term["fencing_token"]),
        "{led}"
    );

    let by = ["switchover", "--by", "ada", "--reason", "new disks"];
    let done = run(soloist().args(by).env("SOLOIST_URL", format!("http://{a}"))).await;
    assert!(done.status.success(), "{}", done.output);
    let command = of_a.transition("command").await;
    assert_eq!(command["cause"], "ada: switchover main: new disks", "{command}");
    let stopping = of_a.transition("stopping").await;
    assert_eq!(stopping["cause"], "ada asked for it: new disks", "{stopping}");
    assert_eq!(stopping["fencing_token"], term["fencing_token"], "{stopping}");
    let ended = of_b.transition("ended").await;
    assert_eq!(
        (&ended["host"], &ended["fencing_token"]),
        (&"a".into(), &term["fencing_token"]),
        "{ended}"
    );
    assert_eq!(ended["cause"], "the leader resigned", "{ended}");
    let led = of_b.transition("leading").await;
    assert!(led["fencing_token"].as_i64() > term["fencing_token"].as_i64(), "{led} after {term}");
    of_b.status(|status| status["groups"]["main"]["role"] == "leader").await;

    // A client that connects later gets all earlier transitions.
    let mut late = Events::of(a).await;
    let again = late.transition("stopping").await;
    assert_eq!(again, stopping);
}

async fn a_lost_leader_is_told_as_seen(kind: Kind) {
    let mut cluster = Cluster::of_three(kind).await;
    let mut of_c = Events::of(cluster.host("c").api().await).await;
    of_c.transition("following").await;
    // A member that ends before another host has recorded it would be forgotten.
    let known = |status: &serde_json::Value| status["hosts"][0]["first_seen_at"].is_string();
    of_c.status(known).await;
    cluster.kill("a").await;
    let ended = of_c.transition("ended").await;
    assert_eq!(
        (&ended["host"], &ended["cause"]),
        (&"a".into(), &"the leader's session ended".into())
    );
    let next = of_c.transition("following").await;
    assert_eq!(next["host"], "b", "{next}");
    let gone = |status: &serde_json::Value| status["hosts"][0]["live"] == false;
    of_c.status(gone).await;
}

async fn a_line_that_is_quiet_shows_that_it_is_alive(kind: Kind) {
    let mut cluster = Cluster::new(kind).await;
    cluster.join("a").await;
    cluster.leading("a").await;
    let mut events = Events::of(cluster.host("a").api().await).await;
    let (mut beats, mut statuses) = (0, 0);
    let listening = async {
        while beats < 3 {
            let event = events.next().await.expect("an event");
            beats += usize::from(event.name.is_empty());
            statuses += usize::from(event.name == "status");
        }
    };
    timeout(Duration::from_secs(10), listening).await.expect("signs of life");
    // Each renewal sends a status; nothing else changes here.
    assert!((2..40).contains(&statuses), "{statuses} in {beats} beats");
    // A connected listener does not delay the end of the host.
    cluster.terminate("a").await;
    while events.next().await.is_some() {}
}
