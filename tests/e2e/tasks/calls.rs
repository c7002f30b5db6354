//! Calls that succeed, and calls that are wrong.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{Caller, Outcome, control, counts, start, take_calls, three, under_way, work};
use crate::harness::{
    PATIENCE,
    cluster::{Cluster, Kind},
    exit::{DATA, FAILED, MISSING, UNAVAILABLE, USAGE},
    process::{Ended, run, soloist},
};

crate::on_all_stores!(
    calls_are_spread_over_all_hosts,
    only_hosts_with_the_label_work,
    a_call_ends_everywhere_when_its_time_is_over,
    more_calls_than_a_host_takes_are_told_so,
    a_task_needs_no_leader,
    people_call_by_command,
);

/// The critical value of Pearson's chi-squared test with two degrees of freedom, at 1 %.
const CRITICAL: f64 = 9.21;

async fn calls_are_spread_over_all_hosts(kind: Kind) {
    let mut cluster = Cluster::new(kind).await;
    three(&mut cluster, &work("")).await;
    let caller = Caller::of(&cluster, "b").await;
    // Sequential calls, and several in parallel.
    for at_once in [1, 16] {
        let outcomes = caller.calls(300, at_once, "echo x", |_, _| ()).await;
        assert!(outcomes.iter().all(|it| it.code == 200 && it.body == "x"), "{outcomes:?}");
        let counts = counts(&outcomes);
        let expected = 100.0;
        let square = |count: &usize| (f64::from(u32::try_from(*count).unwrap()) - expected).powi(2);
        let chi: f64 = counts.values().map(|count| square(count) / expected).sum();
        for (host, count) in &counts {
            println!("{host} worked {count} times");
        }
        println!("{at_once} at once: chi-squared {chi:.2}, rejected from {CRITICAL}");
        assert!(counts.len() == 3 && chi < CRITICAL, "{counts:?}");
    }
    // What the task learns about its call.
    let who = caller.request("", "who").header("content-type", "text/x-question");
    let Outcome { host, attempt, body, .. } = super::outcome(who).await;
    assert!(body.starts_with(&format!("{host} work {attempt} text/x-question ")), "{body}");
}

async fn only_hosts_with_the_label_work(kind: Kind) {
    let mut cluster = Cluster::new(kind).await;
    start(&mut cluster, &["a", "b", "c"], &work("require_label = \"name=c\"")).await;
    take_calls(&cluster, "a", &["c"]).await;
    let caller = Caller::of(&cluster, "a").await;
    let outcomes = caller.calls(20, 4, "echo x", |_, _| ()).await;
    assert_eq!(counts(&outcomes), [("c", 20)].into(), "{outcomes:?}");
    cluster.terminate("c").await;
    take_calls(&cluster, "a", &[]).await;
    let nobody = caller.call("echo x").await;
    assert!(nobody.code == 503 && nobody.retry_after.is_some(), "{nobody:?}");
    assert!(nobody.body.contains("it requires hosts with the label name=c"), "{nobody:?}");
}

async fn a_call_ends_everywhere_when_its_time_is_over(kind: Kind) {
    let mut cluster = Cluster::new(kind).await;
    start(&mut cluster, &["a", "b"], &work("require_label = \"name=b\"")).await;
    take_calls(&cluster, "a", &["b"]).await;
    let caller = Caller::of(&cluster, "a").await;
    let late = caller.call_with("?timeout=300ms", "spin").await;
    assert_eq!(late.code, 504, "{late:?}");
    assert!(late.body.contains("it took longer than 300ms"), "{late:?}");
    // The other host has stopped as well, as it does for a client that disconnects.
    under_way(&cluster, "b", 0).await;
    let gone = tokio::spawn(async move { caller.call("spin").await });
    under_way(&cluster, "b", 1).await;
    gone.abort();
    under_way(&cluster, "b", 0).await;
}

async fn more_calls_than_a_host_takes_are_told_so(kind: Kind) {
    let mut cluster = Cluster::new(kind).await;
    three(&mut cluster, &work("max_concurrent_requests = 1\nmax_queued_requests = 1")).await;
    let caller = Caller::of(&cluster, "a").await;
    // Two for each host, and two more, for which there is no room on any host.
    let outcomes = caller.calls(8, 8, "sleep 2000", |_, _| ()).await;
    let (done, busy): (Vec<_>, Vec<_>) = outcomes.iter().partition(|it| it.code == 200);
    assert_eq!((done.len(), busy.len()), (6, 2), "{outcomes:?}");
    for refused in busy {
        assert_eq!((refused.code, refused.retry_after.as_deref()), (429, Some("1")), "{refused:?}");
        assert!(
            refused.body.contains("`max_concurrent_requests` and `max_queued_requests`"),
            "{refused:?}"
        );
    }
    assert_eq!(caller.call("echo x").await.code, 200);
}

async fn a_task_needs_no_leader(kind: Kind) {
    let mut cluster = Cluster::new(kind).await;
    let folder = cluster.folder.path().join("plugins");
    std::fs::copy(crate::harness::guests().join("work.wasm"), folder.join("work.wasm")).unwrap();
    let web = cluster.configuration("");
    let settings = web.split("[action.web]").next().unwrap();
    for name in ["a", "b"] {
        cluster.start_from(name, settings);
    }
    take_calls(&cluster, "a", &["a", "b"]).await;
    let caller = Caller::of(&cluster, "a").await;
    let outcomes = caller.calls(20, 4, "echo x", |_, _| ()).await;
    assert!(outcomes.iter().all(|it| it.code == 200) && counts(&outcomes).len() == 2);
    let status = cluster.host("a").status().await;
    assert_eq!(status["groups"].as_object().map(serde_json::Map::len), Some(0), "{status:#}");
    let action = &status["actions"][0];
    assert_eq!(
        (&action["kind"], &action["state"]),
        (&"task".into(), &"running".into()),
        "{action}"
    );
    // The running hosts load a new version of the task.
    std::fs::write(folder.join("work.toml"), "max_body_size = \"1B\"\n").unwrap();
    let began = Instant::now();
    while caller.call("echo x").await.code == 200 {
        assert!(began.elapsed() < PATIENCE, "the settings are not taken up");
        sleep(Duration::from_millis(50)).await;
    }
}

async fn people_call_by_command(kind: Kind) {
    let mut cluster = Cluster::new(kind).await;
    three(&mut cluster, &work("")).await;
    let url = control(&cluster, "c").await;
    let tell = |args: &'static [&'static str]| {
        let url = url.clone();
        async move { run(soloist().args(args).env("SOLOIST_URL", url)).await }
    };
    let Ended { status, output } = tell(&["task", "call", "work", "echo well done"]).await;
    assert!(status.success() && output.contains("well done"), "{output}");
    assert!(output.lines().any(|line| line.ends_with(" worked")), "{output}");
    let Ended { status, output } = tell(&["task", "call", "--quiet", "work", "echo x"]).await;
    assert!(status.success() && output == "x", "{output:?}");
    let Ended { output, .. } =
        tell(&["task", "call", "--attempts", "2", "work", "fail-before 2"]).await;
    assert!(output.contains("attempt 2") && output.contains("at attempt 2"), "{output}");
    let Ended { output, .. } = tell(&["task"]).await;
    assert!(output.contains("work") && output.contains("a, b, c"), "{output}");
    for (args, code, words) in [
        (&["task", "call", "rest"][..], MISSING, "there is no task rest"),
        (&["task", "call", "work", "refuse"], DATA, "no, thank you"),
        (&["task", "call", "work", "trap"], FAILED, "it trapped"),
        (
            &["task", "call", "--timeout", "200ms", "work", "spin"],
            UNAVAILABLE,
            "it took longer than 200ms",
        ),
    ] {
        let Ended { status, output } = tell(args).await;
        assert_eq!(status.code(), Some(code), "{args:?}: {output}");
        assert!(output.contains(words) && output.contains("help: "), "no {words:?} in:\n{output}");
    }
    let Ended { status, output } = tell(&["task", "call", "--attempts", "0", "work"]).await;
    assert_eq!(status.code(), Some(USAGE), "{output}");
    assert!(output.contains("0 is not in 1..=100"), "{output}");
}

/// A guest begins many calls before it reads any answer. Until then the host holds the payloads and
/// the answers.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_guest_makes_the_host_keep_is_bounded() {
    let mut cluster = Cluster::new(Kind::Sqlite).await;
    let settings = work("tasks = [\"*\"]\nmax_concurrent_requests = 1000\ncall_timeout = \"2m\"\n");
    start(&mut cluster, &["a"], &settings).await;
    take_calls(&cluster, "a", &["a"]).await;
    let host = cluster.host("a");
    let url = format!("http://{}/v1/tasks/work", host.api().await);
    let call = async |payload: String| {
        let client = reqwest::Client::new();
        let answer = client.post(&url).body(payload).timeout(4 * PATIENCE).send().await;
        let answer = answer.expect("an answer");
        (answer.status(), answer.text().await.expect("a text"))
    };
    let spread = |calls: u32| format!("spread {calls} work echo {}", "x".repeat(1_000_000));
    // A gigabyte, if all of it was held.
    let (status, told) = call(spread(1100)).await;
    let peak = host.peak_memory() >> 20;
    assert!(told.contains("Overloaded"), "{status} {told} at {peak} MiB");
    assert!(peak < 700, "it held {peak} MiB");
    host.log.event(0, "overdrawn").await;
    // All memory is released.
    let (status, told) = call(spread(100)).await;
    assert_eq!(status, reqwest::StatusCode::OK, "{told}");
}
