//! Leaders change under load, and clients notice nothing but a delay.

use std::{env, sync::Arc, time::Duration};

use reqwest::Client;
use tokio::{
    sync::{Semaphore, watch},
    task::{JoinHandle, JoinSet},
    time::{Instant, MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{Forwarding, millis};
use crate::harness::{PATIENCE, TTL, cluster::Kind, guests};

crate::on_all_stores!(core: hand_overs_lose_no_request, restarts_lose_no_request);

/// 200 requests a second.
const TICK: Duration = Duration::from_millis(5);
/// How many requests may be in flight, which is more than arrive while the leader changes. A
/// machine that is too busy for 200 a second gets fewer, instead of more and more at once.
const WAITING: usize = 50;

/// Clients that send requests at a constant rate, whatever happens to earlier ones.
struct Load {
    stop: CancellationToken,
    answered: watch::Receiver<usize>,
    task: JoinHandle<Outcome>,
}

#[derive(Default)]
struct Outcome {
    took: Vec<Duration>,
    failed: Vec<String>,
}

impl Load {
    fn start(urls: Vec<String>) -> Self {
        let (stop, (count, answered)) = (CancellationToken::new(), watch::channel(0));
        let task = tokio::spawn(ask(urls, stop.clone(), count));
        Self { stop, answered, task }
    }

    /// Waits for `more` further answers.
    async fn goes_on(&mut self, more: usize) {
        let goal = *self.answered.borrow_and_update() + more;
        timeout(PATIENCE, self.answered.wait_for(|count| *count >= goal)).await.unwrap().unwrap();
    }

    /// Stops the clients, and prints the results. No request may have failed.
    async fn ends(self, what: &str) {
        self.stop.cancel();
        let mut outcome = self.task.await.unwrap();
        outcome.took.sort();
        let all = outcome.took.len();
        let at = |share: usize| millis(outcome.took[(all - 1) * share / 100]);
        println!(
            "{what}: {all} requests, {} failed; p50 {:.1} ms, p99 {:.1} ms, longest pause {:.1} ms",
            outcome.failed.len(),
            at(50),
            at(99),
            at(100),
        );
        assert!(outcome.failed.is_empty(), "{:?}", outcome.failed);
        // No request waited for longer than one change of the leader. This is not a measure of
        // speed: a forgotten request would wait for the next hand-over, or until its time limit.
        let longest = outcome.took.last().copied().unwrap_or_default();
        assert!(longest < TTL * 2 + Duration::from_secs(1), "a request took {longest:?}");
    }
}

async fn ask(urls: Vec<String>, stop: CancellationToken, count: watch::Sender<usize>) -> Outcome {
    let client = Client::builder().timeout(PATIENCE).build().unwrap();
    let count = Arc::new(count);
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut asked = JoinSet::new();
    let places = Arc::new(Semaphore::new(WAITING));
    for number in 0_usize.. {
        if stop.run_until_cancelled(ticks.tick()).await.is_none() {
            break;
        }
        let url = urls[number % urls.len()].clone();
        let (client, count) = (client.clone(), Arc::clone(&count));
        let place = Arc::clone(&places).acquire_owned().await.unwrap();
        asked.spawn(async move {
            let _place = place;
            let began = Instant::now();
            let outcome = ask_once(&client, &url, number).await;
            count.send_modify(|count| *count += 1);
            (began.elapsed(), outcome)
        });
    }
    let mut outcome = Outcome::default();
    while let Some(ended) = asked.join_next().await {
        let (took, answer) = ended.unwrap();
        outcome.took.push(took);
        outcome.failed.extend(answer.err());
    }
    outcome
}

/// Every other request is a POST, which must not be executed twice.
async fn ask_once(client: &Client, url: &str, number: usize) -> Result<(), String> {
    let posts = number % 2 == 1;
    let text = format!("request {number}");
    let request = if posts {
        client.post(format!("{url}/echo")).body(text.clone())
    } else {
        client.get(format!("{url}/"))
    };
    let failed = |error: reqwest::Error| format!("{url} {number}: {error:?}");
    let answer = request.send().await.map_err(failed)?;
    let status = answer.status();
    let body = answer.text().await.map_err(failed)?;
    let wanted = if posts { text.as_str() } else { "ok" };
    if status == 200 && body == wanted {
        Ok(())
    } else {
        Err(format!("{url} {number}: {status} {body}"))
    }
}

/// The number of changes of the leader; `SOLOIST_HAND_OVERS` sets another one.
fn times(default: usize) -> usize {
    env::var("SOLOIST_HAND_OVERS").map_or(default, |times| times.parse().expect("a number"))
}

async fn three(kind: Kind) -> Forwarding {
    let settings = "standby = \"forward\"\n";
    Forwarding::of(kind, guests().join("spin.wasm"), settings, &["a", "b", "c"]).await
}

fn addresses(all: &Forwarding) -> Vec<String> {
    ["a", "b", "c"].map(|name| all.web(name, "")).to_vec()
}

async fn hand_overs_lose_no_request(kind: Kind) {
    let all = three(kind).await;
    let mut load = Load::start(addresses(&all));
    load.goes_on(50).await;
    let times = times(4);
    for round in 0..times {
        let asked = ["a", "b", "c"][round % 3];
        resign(&all, asked).await;
        load.goes_on(20).await;
    }
    load.ends(&format!("{kind:?}: {times} hand-overs")).await;
}

/// Hosts are restarted, one after another, while clients use the other two.
async fn restarts_lose_no_request(kind: Kind) {
    let mut all = three(kind).await;
    let urls = [all.web("b", ""), all.web("c", "")].to_vec();
    let mut load = Load::start(urls);
    load.goes_on(50).await;
    for _ in 0..3 {
        all.cluster.terminate("a").await;
        load.goes_on(20).await;
        all.join("a").await;
        // Until `a` leads again, which is after both others have resigned.
        while told_leader(&all).await != "a" {
            resign(&all, "b").await;
        }
        load.goes_on(20).await;
    }
    load.ends(&format!("{kind:?}: 3 restarts of the leader")).await;
}

/// Lets the leader hand over, through any host, and waits until it stands again and can be the next
/// leader.
async fn resign(all: &Forwarding, asked: &str) {
    let seen = all.cluster.lengths();
    let url = format!("http://{}/v1/switchover", all.cluster.host(asked).api().await);
    let answer = Client::new().post(url).send().await.unwrap();
    let (status, done) = (answer.status(), answer.text().await.unwrap());
    assert_eq!(status, 200, "{done}");
    let done: serde_json::Value = serde_json::from_str(&done).unwrap();
    let leader = done["handed_over"]["from"].as_str().unwrap();
    all.cluster.host(leader).log.event(seen[leader], "standby").await;
}

async fn told_leader(all: &Forwarding) -> String {
    let answer = all.get(all.web("b", "/")).await;
    answer.headers()["soloist-host"].to_str().unwrap().to_owned()
}
