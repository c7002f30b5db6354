//! Jobs, while leaders are killed. Their runs are observed from outside: by what the guests
//! wrote, and by the history that every host shows.

mod clocks;
mod unclaimed;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use self::clocks::{a_leader_that_was_a_day_ahead_silences_nothing, most_hosts_are_right};
use crate::harness::{
    PATIENCE,
    cluster::{Cluster, Kind},
    exit::{FAILED, MISSING, USAGE},
    guests,
    process::{agrees, run, soloist},
};

crate::on_all_stores!(
    core:
    killed_leaders_and_missed_runs_that_are_skipped,
    killed_leaders_and_missed_runs_of_which_the_latest_is_run,
    killed_leaders_and_missed_runs_that_are_all_run,
    a_job_is_run_by_hand_from_any_host,
    what_comes_next_is_told_by_any_host,
    a_failing_job_is_seen_by_people,
    the_last_success_of_a_job_outlives_its_leader,
    a_leader_that_was_a_day_ahead_silences_nothing,
    most_hosts_are_right,
);

/// Long enough that runs are missed before a killed leader is replaced.
const LEASE: Duration = Duration::from_secs(4);

/// How often the leader is killed; `SOLOIST_JOB_KILLS` sets another number.
fn kills() -> usize {
    std::env::var("SOLOIST_JOB_KILLS").map_or(3, |kills| kills.parse().expect("a number"))
}

/// A cluster with the job `beat`, whose guest writes a line for each run to a file.
struct Beats {
    cluster: Cluster,
    settings: String,
    notes: PathBuf,
}

/// A line of the file: the arguments of the guest.
#[derive(Clone, Debug)]
struct Line {
    id: String,
    fencing_token: i64,
}

impl Beats {
    /// A cluster that has no host yet.
    async fn prepared(kind: Kind, more: &str) -> Self {
        let mut cluster = Cluster::new(kind).await;
        cluster.ttl = LEASE;
        let notes = cluster.folder.path().join("notes");
        fs::create_dir(&notes).expect("a folder");
        let settings = format!(
            "[action.beat]\nplugin = \"{}\"\nargs = [\"note\", \"say\"]\n\
             mounts = [{{ source = \"{}\", target = \"/notes\", read_only = false }}]\n{more}",
            guests().join("job.wasm").display(),
            notes.display(),
        );
        Self { cluster, settings, notes: notes.join("runs") }
    }

    async fn of_two(kind: Kind, more: &str) -> Self {
        let mut beats = Self::prepared(kind, more).await;
        beats.cluster.start_with("a", &beats.settings);
        beats.cluster.leading("a").await;
        beats.join("b").await;
        beats
    }

    async fn join(&mut self, name: &'static str) {
        self.cluster.start_with(name, &self.settings);
        self.cluster.stands(name).await;
    }

    fn lines(&self) -> Vec<Line> {
        let text = fs::read_to_string(&self.notes).unwrap_or_default();
        let line = |line: &str| {
            let words: Vec<_> = line.split(' ').collect();
            let [id, scheduled, "1", fencing_token] = words[..] else { panic!("{line:?}") };
            assert_eq!(id, format!("beat@{scheduled}"));
            Line {
                id: id.to_owned(),
                fencing_token: fencing_token.parse().expect("a fencing token"),
            }
        };
        text.lines().map(line).collect()
    }

    /// Waits until `count` lines were written under `fencing_token`. There is no event for a line,
    /// so it polls.
    async fn written(&self, fencing_token: i64, count: usize) {
        let wait = async {
            while self.lines().iter().filter(|line| line.fencing_token == fencing_token).count()
                < count
            {
                sleep(Duration::from_millis(20)).await;
            }
        };
        let logs =
            || self.cluster.hosts.values().map(|host| host.log.to_string()).collect::<String>();
        timeout(PATIENCE, wait)
            .await
            .unwrap_or_else(|_| panic!("no run under {fencing_token}:\n{}", logs()));
    }

    /// The runs in the host's history, the oldest first.
    async fn history(&self, name: &str) -> Vec<Value> {
        let url = format!("http://{}/v1/jobs/beat", self.cluster.host(name).api().await);
        let answer: Value = reqwest::get(url).await.expect("an answer").json().await.expect("JSON");
        let mut runs = answer["runs"].as_array().expect("runs").clone();
        runs.reverse();
        runs
    }
}

/// All runs that were observed, by their ids.
#[derive(Default)]
struct Seen(BTreeMap<String, Value>);

impl Seen {
    fn take(&mut self, runs: Vec<Value>) {
        for run in runs {
            let id = run["id"].as_str().expect("an id").to_owned();
            if let Some(before) = self.0.insert(id, run.clone()) {
                assert_eq!(
                    before["fencing_token"], run["fencing_token"],
                    "under two fencing tokens: {before} {run}"
                );
                // While a run is in progress, this may be the time when it was claimed.
                let told = before["outcome"] != "running";
                let same = before["started_at"] == run["started_at"];
                assert!(same || !told, "begun twice: {before} {run}");
            }
        }
    }

    /// The lateness of each run in milliseconds, in order.
    fn late(&self) -> Vec<i64> {
        let moment = |run: &Value, key: &str| -> chrono::DateTime<chrono::Utc> {
            run[key].as_str().and_then(|text| text.parse().ok()).expect("a moment")
        };
        let late =
            |run| (moment(run, "started_at") - moment(run, "scheduled_at")).num_milliseconds();
        self.0.values().map(late).collect()
    }

    fn missed(&self) -> u64 {
        self.0.values().filter_map(|run| run["missed_runs"].as_u64()).sum()
    }
}

/// Kills leaders, one after another; returns the cluster and what was observed.
async fn kill_leaders(kind: Kind, missed: &str) -> (Beats, Seen) {
    let settings = format!("schedule = \"every 1s\"\ncatch_up = \"{missed}\"\n");
    let mut beats = Beats::of_two(kind, &settings).await;
    let (mut leader, mut other) = ("a", "b");
    let mut seen = Seen::default();
    let mut fencing_token = token_of(&beats.cluster.leading("a").await);
    for _ in 0..kills() {
        beats.written(fencing_token, 2).await;
        let lengths = beats.cluster.lengths();
        beats.cluster.kill(leader).await;
        let log = beats.cluster.host(other).log.clone();
        fencing_token = token_of(&log.event(lengths[other], "leading").await);
        beats.written(fencing_token, 1).await;
        seen.take(beats.history(other).await);
        beats.join(leader).await;
        (leader, other) = (other, leader);
    }
    beats.written(fencing_token, 4).await;
    seen.take(beats.history(other).await);
    beats.cluster.terminate(leader).await;
    // From a host that has not begun these runs.
    seen.take(beats.history(other).await);
    check(&beats.lines(), &seen);
    (beats, seen)
}

fn token_of(line: &Value) -> i64 {
    line["fencing_token"].as_i64().expect("a fencing token")
}

/// With all settings: each run was begun once, under one fencing token, in order, and the guests'
/// lines agree with the history.
fn check(lines: &[Line], seen: &Seen) {
    let ids: Vec<_> = lines.iter().map(|line| line.id.as_str()).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "begun twice: {ids:?}");
    assert!(ids.is_sorted(), "out of order: {ids:?}");
    let fencing_tokens: Vec<_> = lines.iter().map(|line| line.fencing_token).collect();
    assert!(fencing_tokens.is_sorted(), "a former leader came after the next: {lines:?}");
    assert!(fencing_tokens.iter().collect::<BTreeSet<_>>().len() > kills(), "{lines:?}");
    for line in lines {
        if let Some(run) = seen.0.get(&line.id) {
            assert_eq!(run["fencing_token"], line.fencing_token, "{run}");
            // The leader may have been killed before it could record the outcome.
            assert!(run["outcome"] == "done" || run["outcome"] == "interrupted", "{run}");
        }
    }
    let written: BTreeSet<_> = ids.into_iter().collect();
    let silent = seen.0.iter().filter(|(id, _)| !written.contains(id.as_str()));
    for (id, run) in silent {
        let silent = run["outcome"] == "interrupted" || run["outcome"] == "missed";
        assert!(silent, "{id} wrote nothing: {run}");
    }
}

async fn killed_leaders_and_missed_runs_that_are_skipped(kind: Kind) {
    let (_beats, seen) = kill_leaders(kind, "skip").await;
    assert!(seen.late().iter().all(|late| (0..=1000).contains(late)), "{:?}", seen.late());
    assert!(seen.missed() > 0, "a lease takes longer than a run is waited for");
}

async fn killed_leaders_and_missed_runs_of_which_the_latest_is_run(kind: Kind) {
    let (_beats, seen) = kill_leaders(kind, "latest").await;
    let late = seen.late();
    // The latest missed run was due two seconds ago at most when it is chosen, and a busy machine
    // takes a moment to begin it. Of older ones, most would be later than that.
    assert!(late.iter().all(|late| (0..=2500).contains(late)), "{late:?}");
    let caught_up = late.iter().filter(|late| **late > 1000).count();
    assert!(caught_up >= kills(), "one for each leader that was lost: {late:?}");
}

async fn killed_leaders_and_missed_runs_that_are_all_run(kind: Kind) {
    let (_beats, seen) = kill_leaders(kind, "all").await;
    let late = seen.late();
    let caught_up = late.iter().filter(|late| **late > 1000).count();
    assert!(caught_up >= kills(), "some for each leader that was lost: {late:?}");
    assert_eq!(seen.missed(), 0, "none is dropped");
    // Every second between the first and the last run has its run.
    let moments: Vec<chrono::DateTime<chrono::Utc>> = (seen.0.values())
        .map(|run| {
            run["scheduled_at"].as_str().and_then(|text| text.parse().ok()).expect("a moment")
        })
        .collect();
    for pair in moments.windows(2) {
        assert_eq!((pair[1] - pair[0]).num_seconds(), 1, "{pair:?}");
    }
}

async fn a_job_is_run_by_hand_from_any_host(kind: Kind) {
    let beats = Beats::of_two(kind, "schedule = \"none\"\n").await;
    let fencing_token = token_of(&beats.cluster.leading("a").await);
    let b = format!("http://{}", beats.cluster.host("b").api().await);
    // On a host that does not lead, waiting for the end.
    let ended = run(soloist().args(["job", "run", "beat", "--wait", "--url", &b])).await;
    assert!(ended.status.success(), "{}", ended.output);
    let history = beats.history("b").await;
    assert_eq!(history.len(), 1);
    let record = &history[0];
    assert_eq!((&record["outcome"], &record["host"]), (&json!("done"), &json!("a")), "{record}");
    assert_eq!(
        (&record["fencing_token"], &record["by_hand"]),
        (&json!(fencing_token), &json!(true))
    );
    let id = record["id"].as_str().expect("an id");
    assert!(id.ends_with("Z-by-hand"), "{id}");
    assert!(ended.output.contains(id) && ended.output.contains(" done after "), "{}", ended.output);
    assert!(ended.output.contains(&format!("  {id} ")), "it printed: {}", ended.output);

    let shown = run(soloist().args(["job", "--url", &b])).await.output;
    assert!(shown.contains("beat") && shown.contains("none") && shown.contains("done"), "{shown}");
    let shown = run(soloist().args(["job", "history", "beat", "--url", &b])).await.output;
    assert!(shown.contains(id) && shown.contains("next on request"), "{shown}");
    let shown = run(soloist().args(["job", "--json", "--url", &b])).await.output;
    let list: Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!(list["jobs"][0]["last_run"]["id"], id, "{list}");
    assert_eq!(list["jobs"][0]["next_run_at"], Value::Null);

    let missing = run(soloist().args(["job", "run", "beet", "--url", &b])).await;
    assert_eq!(missing.status.code(), Some(MISSING), "{}", missing.output);
    assert!(missing.output.contains("the jobs are beat"), "{}", missing.output);
}

async fn what_comes_next_is_told_by_any_host(kind: Kind) {
    let settings = "schedule = \"30 2 * * *\"\ntime_zone = \"Europe/Berlin\"\n";
    let beats = Beats::of_two(kind, settings).await;
    let b = format!("http://{}", beats.cluster.host("b").api().await);
    let next = |more: &'static str| {
        let mut command = soloist();
        command.args(["job", "next", "beat", "--url", &b]).args(more.split_whitespace());
        async move { run(&mut command).await }
    };
    let shown = next("").await;
    assert!(shown.status.success(), "{}", shown.output);
    assert!(shown.output.starts_with("beat: 30 2 * * * Europe/Berlin\n"), "{}", shown.output);
    assert!(shown.output.contains("TIME IN Europe/Berlin"), "{}", shown.output);
    assert_eq!(shown.output.lines().count(), 2 + 1 + 10, "{}", shown.output);
    // Every year the clock is changed twice.
    let year = next("--count 400").await.output;
    let forwards =
        "set from 02:00 forwards to 03:00, which leaves 02:30 out: fires at 03:00 instead";
    assert!(year.contains(forwards), "{year}");
    let back = "set from 03:00 back to 02:00: the first 02:30 of two";
    assert!(year.contains(back), "{year}");
    let elsewhere = next("--time-zone Asia/Kathmandu --json").await.output;
    let elsewhere: Value = serde_json::from_str(&elsewhere).expect("JSON");
    assert_eq!(elsewhere["time_zone"], "Asia/Kathmandu", "{elsewhere}");
    let run = &elsewhere["runs"][0];
    assert_eq!(run["id"], format!("beat@{}", run["scheduled_at"].as_str().expect("a moment")));
    assert!(run["local_time"].as_str().is_some_and(|it| it.ends_with(" +05:45")), "{run}");
    let wrong = next("--time-zone Asia/Katmandoo").await;
    assert_eq!(wrong.status.code(), Some(USAGE), "{}", wrong.output);
    assert!(wrong.output.contains("did you mean"), "{}", wrong.output);
    assert_eq!(next("--count 0").await.status.code(), Some(USAGE));
}

/// The value of the metric on a host, if it has it.
async fn last_success(cluster: &Cluster, host: &str) -> Option<f64> {
    let url = format!("http://{}/metrics", cluster.host(host).api().await);
    let text = reqwest::get(url).await.expect("an answer").text().await.expect("a text");
    let name = "soloist_job_last_success_timestamp_seconds{action=\"beat\"} ";
    text.lines().find_map(|line| line.strip_prefix(name)?.parse().ok())
}

async fn the_last_success_of_a_job_outlives_its_leader(kind: Kind) {
    let mut beats = Beats::of_two(kind, "schedule = \"none\"\n").await;
    assert_eq!(last_success(&beats.cluster, "a").await, None);
    let url = format!("http://{}", beats.cluster.host("b").api().await);
    let ended = run(soloist().args(["jobs", "run", "beat", "--wait", "--url", &url])).await;
    assert!(ended.status.success(), "{}", ended.output);
    // The runner notes it just after the client hears of it.
    let seen = timeout(PATIENCE, async {
        loop {
            if let Some(seen) = last_success(&beats.cluster, "a").await {
                return seen;
            }
            sleep(Duration::from_millis(20)).await;
        }
    });
    let seen = seen.await.expect("a success");
    let now = SystemTime::UNIX_EPOCH.elapsed().expect("after 1970").as_secs_f64();
    assert!((0.0..PATIENCE.as_secs_f64()).contains(&(now - seen)), "{seen} is not {now}");
    assert_eq!(last_success(&beats.cluster, "b").await, None, "it has not led");
    beats.cluster.terminate("a").await;
    beats.cluster.leading("b").await;
    agrees(beats.cluster.host("b"), |status| state_of(status)["state"] == "running").await;
    assert_eq!(last_success(&beats.cluster, "b").await, Some(seen));
}

async fn a_failing_job_is_seen_by_people(kind: Kind) {
    let mut beats = Beats::of_two(kind, "schedule = \"none\"\n").await;
    beats.cluster.terminate("b").await;
    beats.cluster.terminate("a").await;
    beats.settings = beats.settings.replace("\"note\", \"say\"", "\"say\", \"trip\"");
    beats.cluster.start_with("a", &beats.settings);
    beats.cluster.leading("a").await;
    let a = format!("http://{}", beats.cluster.host("a").api().await);
    let up = |status: &Value| state_of(status)["state"] == "running";
    agrees(beats.cluster.host("a"), up).await;
    let ended = run(soloist().args(["job", "run", "beat", "--wait", "--url", &a])).await;
    assert_eq!(ended.status.code(), Some(FAILED), "{}", ended.output);
    assert!(ended.output.contains("it exited with code 1"), "{}", ended.output);
    let status = beats.cluster.host("a").status().await;
    let beat = state_of(&status);
    assert_eq!((&beat["kind"], &beat["state"]), (&json!("job"), &json!("running")), "{beat}");
    let error = beat["last_error"].as_str().unwrap_or_default();
    assert!(error.contains("failed: it exited with code 1"), "{beat}");
    beats.cluster.host("a").log.event(0, "job-failed").await;
    let metrics = reqwest::get(format!("{a}/metrics")).await.expect("an answer");
    let metrics = metrics.text().await.expect("a text");
    let counted = "soloist_job_runs_total{action=\"beat\",outcome=\"failed\"} 1";
    assert!(metrics.contains(counted), "{metrics}");
    assert!(
        metrics.contains("soloist_job_run_duration_seconds_count{action=\"beat\"} 1"),
        "{metrics}"
    );
    // The job trips only once.
    let ended = run(soloist().args(["job", "run", "beat", "--wait", "--url", &a])).await;
    assert!(ended.status.success(), "{}", ended.output);
    let status = beats.cluster.host("a").status().await;
    assert_eq!(state_of(&status)["last_error"], Value::Null, "{status}");
    assert!(beats.cluster.host("a").log.events("draining").is_empty(), "it ended a term");
}

fn state_of(status: &Value) -> Value {
    let actions = status["actions"].as_array().expect("actions");
    actions.iter().find(|action| action["name"] == "beat").cloned().unwrap_or_default()
}
