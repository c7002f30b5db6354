//! Who should lead: groups, and strategies that prefer some hosts to others.

use serde_json::Value;

use crate::harness::{
    cluster::{Cluster, Kind},
    guests, plugins,
    process::agrees,
};

crate::on_all_stores!(
    the_best_is_next_and_takes_over,
    a_better_host_takes_over_where_that_is_wanted,
    labels_are_preferred_in_their_order,
    two_groups_keep_apart_and_still_share_a_lonely_host,
    hosts_that_disagree_come_to_rest,
    a_plugin_says_who_should_lead,
);

fn is(group: &'static str, key: &'static str, wanted: &'static str) -> impl Fn(&Value) -> bool {
    move |status| status["groups"][group][key] == wanted
}

fn with(group: &str, host: &str) -> String {
    format!("[group.main]\n{group}\n[host]\n{host}\n")
}

async fn the_best_is_next_and_takes_over(kind: Kind) {
    let mut cluster = Cluster::new(kind).await.brief();
    let priority = |number: i32| with("strategy = \"priority\"", &format!("priority = {number}"));
    cluster.start_with("a", &priority(0));
    cluster.leading("a").await;
    cluster.start_with("b", &priority(1));
    agrees(cluster.host("a"), is("main", "next_leader", "b")).await;
    cluster.start_with("c", &priority(5));
    let status = agrees(cluster.host("a"), is("main", "next_leader", "c")).await;
    assert_eq!(status["groups"]["main"]["strategy"], "priority", "{status}");
    cluster.host("b").log.event(0, "stepped-back").await;
    // The leader stays: nothing prefers another host.
    assert_eq!(status["groups"]["main"]["leader"], "a");
    cluster.kill("a").await;
    cluster.leading("c").await;
    cluster.kill("c").await;
    cluster.leading("b").await;
}

async fn a_better_host_takes_over_where_that_is_wanted(kind: Kind) {
    let mut cluster = Cluster::new(kind).await;
    let group = "strategy = \"priority\"\npreempt = true\npreempt_delay = \"200ms\"";
    cluster.start_with("a", &with(group, "priority = 1"));
    cluster.leading("a").await;
    cluster.start_with("b", &with(group, "priority = 9"));
    cluster.leading("b").await;
    assert!(cluster.host("a").log.event(0, "stopping").await.to_string().contains("b should lead"));
    cluster.terminate("b").await;
    agrees(cluster.host("a"), is("main", "leader", "a")).await;
    cluster.start_with("b", &with(group, "priority = 9"));
    cluster.leading("b").await;
}

async fn labels_are_preferred_in_their_order(kind: Kind) {
    let mut cluster = Cluster::new(kind).await;
    let group = "strategy = \"priority\"\nprefer = [\"size=big\", \"size=medium\"]";
    for (name, size) in [("a", "small"), ("b", "small"), ("c", "medium"), ("d", "big")] {
        cluster.start_with(name, &with(group, &format!("labels = {{ size = \"{size}\" }}")));
        cluster.stands(name).await;
        if name == "a" {
            cluster.leading("a").await;
        }
    }
    agrees(cluster.host("a"), is("main", "next_leader", "d")).await;
    cluster.terminate("d").await;
    agrees(cluster.host("a"), is("main", "next_leader", "c")).await;
}

async fn two_groups_keep_apart_and_still_share_a_lonely_host(kind: Kind) {
    let mut cluster = Cluster::new(kind).await;
    let reports = format!(
        "[action.reports]\nplugin = \"{}\"\ngroup = \"reports\"\n[group.reports]\n\
         strategy = \"avoid\"\navoid = [\"group:main\"]\npreempt = true\npreempt_delay = \"100ms\"\n",
        plugins().join("job-runner.wasm").display()
    );
    // The only host leads both groups.
    cluster.start_with("a", &reports);
    cluster.leading("a").await;
    cluster.leads("a", "reports").await;
    cluster.start_with("b", &reports);
    cluster.leads("b", "reports").await;
    agrees(cluster.host("b"), is("main", "leader", "a")).await;
    // Where the other host leads the group to avoid, they swap.
    cluster.terminate("a").await;
    cluster.leading("b").await;
    cluster.start_with("a", &reports);
    cluster.leads("a", "reports").await;
    agrees(cluster.host("a"), is("main", "leader", "b")).await;
}

async fn hosts_that_disagree_come_to_rest(kind: Kind) {
    let mut cluster = Cluster::new(kind).await;
    // Each host prefers the other.
    let prefer = |label: &str, own: &str| {
        let group = format!(
            "strategy = \"priority\"\nprefer = [\"is={label}\"]\npreempt = true\npreempt_delay = \"100ms\""
        );
        with(&group, &format!("labels = {{ is = \"{own}\" }}"))
    };
    cluster.start_with("a", &prefer("b", "a"));
    cluster.leading("a").await;
    cluster.start_with("b", &prefer("a", "b"));
    let told = |host: &str| cluster.host(host).log.clone();
    let (a, b) = (told("a"), told("b"));
    tokio::select! {
        _ = a.event(0, "disagreement") => {}
        _ = b.event(0, "disagreement") => {}
    }
    let terms = a.events("leading").len() + b.events("leading").len();
    assert!(terms <= 8, "{terms} terms\n{a}{b}");
}

async fn a_plugin_says_who_should_lead(kind: Kind) {
    let mut cluster = Cluster::new(kind).await.brief();
    let group = format!(
        "strategy = \"{}\"\npreempt = true\npreempt_delay = \"100ms\"",
        guests().join("strategy.wasm").display()
    );
    let labelled = |label: &str| with(&group, &format!("labels = {{ {label} = \"1\" }}"));
    cluster.start_with("a", &labelled("other"));
    cluster.leading("a").await;
    cluster.start_with("b", &labelled("other"));
    let status = agrees(cluster.host("a"), is("main", "next_leader", "b")).await;
    assert_eq!(status["groups"]["main"]["strategy"], "strategy.wasm");
    cluster.start_with("c", &labelled("wanted"));
    cluster.leading("c").await;
    // If the strategy fails, the queue decides, and no leader has to give way.
    for (name, label) in [("d", "trap"), ("e", "spin"), ("f", "ask")] {
        let seen = cluster.host("c").log.len();
        cluster.start_with(name, &labelled(label));
        let failed = cluster.host("c").log.event(seen, "strategy-failed").await;
        assert_eq!(failed["group"], "main", "{failed}");
        agrees(cluster.host("c"), is("main", "leader", "c")).await;
        let seen = cluster.host("c").log.len();
        cluster.kill(name).await;
        cluster.host("c").log.find(seen, "the next one", |line| line["event"] == "renewed").await;
    }
}

/// A strategy is a preference: if it fails there is a leader all the same, and the failure is
/// reported.
#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_is_no_strategy_keeps_nobody_from_leading() {
    let mut cluster = Cluster::new(Kind::Sqlite).await;
    let reasons = [
        ("i-am-server.wasm", "is no strategy: it exports `wasi:http/incoming-handler"),
        ("nowhere.wasm", "cannot read the plugin"),
    ];
    for (file, reason) in reasons {
        let file = plugins().join(file);
        cluster.start_with("a", &with(&format!("strategy = \"{}\"", file.display()), ""));
        let failed = cluster.host("a").log.event(0, "strategy-failed").await;
        assert!(failed["error"].as_str().is_some_and(|it| it.contains(reason)), "{failed}");
        cluster.leading("a").await;
        let status = cluster.host("a").status().await;
        let actions = status["actions"].as_array().expect("actions");
        let refused = actions.iter().find(|action| action["state"] == "refused").expect("it");
        assert!(refused["last_error"].as_str().is_some_and(|it| it.contains(reason)), "{refused}");
        cluster.kill("a").await;
    }
}
