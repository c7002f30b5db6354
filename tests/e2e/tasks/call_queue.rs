//! Queued calls: they stay in the store until they are done, whichever hosts die.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    time::Duration,
};

use futures::{StreamExt, stream};
use reqwest::Client;
use rustix::process::Signal;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};

use super::{Caller, control, start, take_calls, three, under_way, work};
use crate::harness::{
    PATIENCE, TTL,
    cluster::{Cluster, Kind},
    etcd_cluster::EtcdCluster,
    exit::MISSING,
    process::{Ended, run, soloist},
};

crate::on_all_stores!(
    core:
    a_queued_call_is_done_and_its_answer_is_kept,
    what_fails_too_often_is_a_dead_letter,
    only_hosts_with_the_label_do_queued_calls,
    a_host_that_is_killed_leaves_its_queued_calls_to_others,
    a_host_that_stops_finishes_its_queued_calls,
    what_is_too_much_is_refused,
    a_plugin_enqueues,
);

/// The state of a queued call, as a host reports it.
async fn look(at: &Caller, id: &str) -> Value {
    let url = format!("{}/v1/tasks/work/queue/{id}", at.at);
    at.client.get(url).send().await.unwrap().json().await.unwrap()
}

/// Waits until the queued call has this state.
pub(super) async fn until(at: &Caller, id: &str, state: &str) -> Value {
    let stands = timeout(PATIENCE, async {
        loop {
            let queued_call = look(at, id).await;
            if queued_call["state"] == state {
                return queued_call;
            }
            sleep(Duration::from_millis(20)).await;
        }
    });
    match stands.await {
        Ok(queued_call) => queued_call,
        Err(_) => panic!("it is not {state}: {:#}", look(at, id).await),
    }
}

async fn enqueue(at: &Caller, payload: &str) -> String {
    let queued_call = at.call_with("/queue", payload).await;
    assert_eq!(queued_call.code, 202, "{queued_call:?}");
    let told: Value = serde_json::from_str(&queued_call.body).unwrap();
    told["id"].as_str().unwrap().to_owned()
}

/// Makes `count` queued calls, a few at a time: each write of the embedded store is synced, so more
/// in parallel would exceed its time-out.
pub(super) async fn enqueue_all(at: &Caller, count: usize, payload: &str) -> Vec<String> {
    let queued_calls = stream::iter(0..count).map(|_| enqueue(at, payload)).buffer_unordered(4);
    queued_calls.collect().await
}

async fn a_queued_call_is_done_and_its_answer_is_kept(kind: Kind) {
    let mut cluster = Cluster::new(kind).await;
    three(&mut cluster, &work("result_retention = \"12s\"")).await;
    let (a, b) = (Caller::of(&cluster, "a").await, Caller::of(&cluster, "b").await);
    let id = enqueue(&a, "echo well done").await;
    // Every host knows the queued call.
    let done = until(&b, &id, "done").await;
    assert_eq!((&done["result"], &done["attempts"]), (&"well done".into(), &1.into()), "{done}");
    let url = format!("{}/v1/tasks/work/queue/{id}/result", b.at);
    let answer = Client::new().get(url).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/plain");
    assert_eq!(answer.text().await.unwrap(), "well done");
    // Several hosts execute them; how many each gets is not promised.
    let ids = enqueue_all(&a, 60, "who").await;
    let mut hosts = BTreeMap::<String, usize>::new();
    for id in &ids {
        let answer = until(&a, id, "done").await["result"].as_str().unwrap().to_owned();
        assert!(answer.ends_with(id), "{answer}");
        *hosts.entry(answer.split(' ').next().unwrap().to_owned()).or_default() += 1;
    }
    println!("{hosts:?}");
    assert!(hosts.len() > 1, "{hosts:?}");
    // The answer is deleted after its time.
    let expired = timeout(PATIENCE, async {
        while look(&a, &id).await["detail"].is_null() {
            sleep(Duration::from_millis(50)).await;
        }
    });
    expired.await.expect("the answer is kept");
}

async fn what_fails_too_often_is_a_dead_letter(kind: Kind) {
    let mut cluster = Cluster::new(kind).await;
    start(&mut cluster, &["a"], &work("max_attempts = 2")).await;
    take_calls(&cluster, "a", &["a"]).await;
    let a = Caller::of(&cluster, "a").await;
    let (refused, failed) = (enqueue(&a, "refuse").await, enqueue(&a, "fail").await);
    let late = enqueue(&a, "fail-before 2").await;
    let letter = until(&a, &refused, "dead").await;
    assert_eq!(letter["attempts"], 1, "{letter}");
    let letter = until(&a, &failed, "dead").await;
    assert!(letter["attempts"] == 2 && letter.to_string().contains("not today"), "{letter}");
    assert_eq!(until(&a, &late, "done").await["result"], "attempt 2");
    let url = control(&cluster, "a").await;
    let tell = |args: Vec<String>| {
        let url = url.clone();
        async move { run(soloist().arg("task").args(args).env("SOLOIST_URL", url)).await }
    };
    let args = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let Ended { status, output } = tell(args(&["dead-letters", "list", "work"])).await;
    assert!(status.success(), "{output}");
    assert!(output.contains(&refused) && output.contains("no, thank you"), "{output}");
    let Ended { output, .. } = tell(args(&["dead-letters", "retry", "work", &failed])).await;
    assert!(output.contains("1 in the queue again"), "{output}");
    until(&a, &failed, "dead").await;
    let Ended { output, .. } = tell(args(&["dead-letters", "delete", "work", "--all"])).await;
    assert!(output.contains("2 deleted"), "{output}");
    let Ended { status, output } = tell(args(&["show", "work", &refused])).await;
    assert!(status.code() == Some(MISSING) && output.contains("help: "), "{output}");
    let Ended { output, .. } = tell(args(&["dead-letters", "list", "work"])).await;
    assert!(output.contains("no dead letters of work"), "{output}");
    for command in ["list", "retry"] {
        let Ended { status, output } = tell(args(&["dead-letters", command, "wrok"])).await;
        assert!(status.code() == Some(MISSING) && output.contains("wrok"), "{command}: {output}");
    }
}

async fn only_hosts_with_the_label_do_queued_calls(kind: Kind) {
    let mut cluster = Cluster::new(kind).await;
    start(&mut cluster, &["a", "b"], &work("require_label = \"name=b\"")).await;
    take_calls(&cluster, "a", &["b"]).await;
    let a = Caller::of(&cluster, "a").await;
    for id in enqueue_all(&a, 10, "who").await {
        let done = until(&a, &id, "done").await;
        assert!(done["result"].as_str().unwrap().starts_with("b "), "{done}");
    }
}

async fn a_host_that_is_killed_leaves_its_queued_calls_to_others(kind: Kind) {
    let mut cluster = Cluster::new(kind).await.brief();
    three(&mut cluster, &work("max_concurrent_requests = 8")).await;
    let a = Caller::of(&cluster, "a").await;
    let ids = enqueue_all(&a, 60, "sleep 1000").await;
    // The host executes some of them.
    under_way(&cluster, "b", 4).await;
    cluster.kill("b").await;
    let mut again = 0;
    for id in &ids {
        let done = until(&a, id, "done").await;
        assert_ne!(done["result"], "", "{done}");
        again += usize::from(done["attempts"] != 1);
    }
    println!("{again} of {} done again", ids.len());
    assert!((1..=8).contains(&again), "{again} queued calls were begun again");
}

async fn a_host_that_stops_finishes_its_queued_calls(kind: Kind) {
    let mut cluster = Cluster::new(kind).await;
    three(&mut cluster, &work("max_concurrent_requests = 8")).await;
    let a = Caller::of(&cluster, "a").await;
    let ids = enqueue_all(&a, 60, "sleep 1000").await;
    under_way(&cluster, "b", 4).await;
    cluster.terminate("b").await;
    for id in &ids {
        let done = until(&a, id, "done").await;
        assert_eq!(done["attempts"], 1, "{done}");
    }
}

async fn what_is_too_much_is_refused(kind: Kind) {
    let mut cluster = Cluster::new(kind).await;
    let settings =
        work("max_payload_size = \"20B\"\nmax_queued_calls = 2\nrequire_label = \"name=nobody\"");
    start(&mut cluster, &["a"], &settings).await;
    let a = Caller::of(&cluster, "a").await;
    let long = a.call_with("/queue", "echo twenty-one bytes").await;
    assert!(long.code == 413 && long.body.contains("`max_payload_size`"), "{long:?}");
    enqueue_all(&a, 2, "echo x").await;
    let full = a.call_with("/queue", "echo x").await;
    assert_eq!((full.code, full.retry_after.as_deref()), (429, Some("1")), "{full:?}");
    assert!(full.body.contains("`max_queued_calls`"), "{full:?}");
    for (options, words) in [
        ("?mode=queue", "unknown field"),
        ("/queue?max_attempts=3", "apply to direct calls only"),
        ("/queue?made=enqueue", "unknown field"),
    ] {
        let wrong = a.call_with(options, "echo x").await;
        assert!(wrong.code == 400 && wrong.body.contains(words), "{options}: {wrong:?}");
    }
}

async fn a_plugin_enqueues(kind: Kind) {
    let mut cluster = Cluster::new(kind).await;
    start(&mut cluster, &["a"], &work("tasks = [\"work\"]")).await;
    take_calls(&cluster, "a", &["a"]).await;
    let a = Caller::of(&cluster, "a").await;
    let id = a.call("enqueue work echo again").await.body;
    assert_eq!(until(&a, &id, "done").await["result"], "again");
    let url = control(&cluster, "a").await;
    let Ended { status, output } =
        run(soloist().args(["task", "enqueue", "work", "echo by hand", "--url", &url])).await;
    assert!(status.success(), "{output}");
    assert_eq!(until(&a, output.trim(), "done").await["result"], "by hand");
}

/// Many queued calls with a three-member etcd, while hosts are killed at random and restarted.
/// `SOLOIST_QUEUED_CALLS` sets the number (10,000 for the figures in the docs).
#[tokio::test(flavor = "multi_thread")]
async fn none_is_lost_in_a_storm() {
    let count = env::var("SOLOIST_QUEUED_CALLS").map_or(400, |count| count.parse().unwrap());
    let etcd = EtcdCluster::started().await;
    let mut cluster = Cluster::at(etcd.url(), TTL);
    let settings = work("max_attempts = 1000\nresult_retention = \"1h\"\nmax_queued_calls = 20000");
    let names = ["a", "b", "c", "d"];
    start(&mut cluster, &names, &settings).await;
    take_calls(&cluster, "a", &names).await;
    // The asked host stays; those that execute queued calls are killed.
    let a = Caller::of(&cluster, "a").await;
    let began = Instant::now();
    let casting = {
        let a = a.clone();
        tokio::spawn(async move { enqueue_all(&a, count, "sleep 5").await })
    };
    let (mut killed, mut random) = (0, fastrand::Rng::new());
    let mut ids: Option<BTreeSet<String>> = None;
    let mut casting = Some(casting);
    let mut again = 0;
    loop {
        let name = names[random.usize(1..names.len())];
        sleep(Duration::from_millis(random.u64(300..900))).await;
        if let Some(process) = cluster.hosts.remove(name) {
            process.signal(Signal::KILL);
            process.kill().await;
            killed += 1;
            let labels = format!("[host]\nlabels = {{ name = \"{name}\" }}\n");
            cluster.start_with(name, &format!("{settings}{labels}"));
        }
        if casting.as_ref().is_some_and(tokio::task::JoinHandle::is_finished)
            && let Some(done) = casting.take()
        {
            ids = Some(done.await.unwrap().into_iter().collect());
        }
        if let Some(left) = &mut ids {
            let all: Vec<_> = left.iter().cloned().collect();
            let looks = stream::iter(all).map(|id| async { (look(&a, &id).await, id) });
            let looks: Vec<_> = looks.buffer_unordered(32).collect().await;
            for (queued_call, id) in looks {
                if queued_call["state"] == "done" {
                    again += usize::from(queued_call["attempts"] != 1);
                    left.remove(&id);
                }
                assert_ne!(queued_call["state"], "dead", "{queued_call}");
            }
            if left.is_empty() {
                break;
            }
        }
        assert!(began.elapsed() < PATIENCE * 40, "{:?} are left", ids.map(|left| left.len()));
    }
    let took = began.elapsed().as_secs_f64();
    println!(
        "{count} queued calls in {took:.0} s, {killed} hosts killed, 0 lost, {again} begun again"
    );
}
