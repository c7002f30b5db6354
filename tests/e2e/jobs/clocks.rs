//! Wrong wall clocks: which hosts notice, which of them step aside, and that no run is
//! suppressed because of what a wrong clock has done. faketime(1) shifts the wall clocks; the
//! boot-time clock is real.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::Value;
use tokio::process::Command;

use super::{Beats, Kind};
use crate::harness::process::agrees;

const EVERY: &str = "schedule = \"every 1s\"\n";
/// How far the wrong clock is ahead.
const AHEAD: &str = "+20h";
/// Hours less than the wrong clock would suppress the job's runs.
const SOON: Duration = Duration::from_secs(20);

/// The environment variables of a process whose wall clock is shifted.
async fn faketime(offset: &str) -> Vec<(String, String)> {
    let program = std::env::var_os("SOLOIST_TEST_FAKETIME").unwrap_or_else(|| "faketime".into());
    let output = Command::new(program)
        .args(["--exclude-monotonic", "-f", offset, "env"])
        .output()
        .await
        .expect("faketime, of the Debian package of that name: `cargo xtask test` installs it");
    let text = String::from_utf8(output.stdout).expect("an environment");
    let told = text.lines().filter_map(|line| line.split_once('='));
    // The variables that share state between related processes are left out.
    let is_meant = |name: &str| name.contains("FAKE") && !name.ends_with("_SHARED");
    let meant = told.filter(|(name, _)| is_meant(name) || *name == "LD_PRELOAD");
    let more = [("NO_FAKE_STAT", "1")];
    meant.chain(more).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

impl Beats {
    async fn start_ahead(&mut self, name: &'static str) {
        let environment = faketime(AHEAD).await;
        self.cluster.start_in(name, &self.settings, environment);
    }

    /// Waits until at least `count` runs were begun under fencing tokens other than these.
    async fn begun_by_others(&self, fencing_tokens: &[i64], count: usize) {
        let wait = async {
            let others = || {
                self.lines()
                    .into_iter()
                    .filter(|line| !fencing_tokens.contains(&line.fencing_token))
            };
            while others().count() < count {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let begun = tokio::time::timeout(SOON, wait).await;
        assert!(begun.is_ok(), "the job is silent: {:?}", self.lines());
    }

    fn begins_nothing_twice(&self) {
        let mut ids: Vec<_> = self.lines().into_iter().map(|line| line.id).collect();
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count, "begun twice: {:?}", self.lines());
    }
}

/// The only host could not notice its wrong clock. The next leader starts the runs that it
/// skipped.
pub(super) async fn a_leader_that_was_a_day_ahead_silences_nothing(kind: Kind) {
    let mut beats = Beats::prepared(kind, EVERY).await;
    beats.start_ahead("a").await;
    let fencing_token =
        beats.cluster.leading("a").await["fencing_token"].as_i64().expect("a fencing token");
    beats.written(fencing_token, 3).await;
    beats.cluster.kill("a").await;
    beats.join("b").await;
    beats.cluster.leading("b").await;
    beats.begun_by_others(&[fencing_token], 3).await;
    beats.begins_nothing_twice();
}

/// One of three hosts has a wrong clock; the others are right, and it notices.
pub(super) async fn most_hosts_are_right(kind: Kind) {
    let mut beats = Beats::prepared(kind, EVERY).await;
    beats.start_ahead("a").await;
    let fencing_token =
        beats.cluster.leading("a").await["fencing_token"].as_i64().expect("a fencing token");
    beats.written(fencing_token, 2).await;
    beats.join("b").await;
    let log = beats.cluster.host("a").log.clone();
    let disputed = log.event(0, "clock-off").await;
    assert!(disputed.to_string().contains("the clock of b is"), "{disputed}");
    assert!(log.events("draining").is_empty(), "of two nobody knows who is right:\n{log}");

    beats.join("c").await;
    let wrong = log.event(0, "clock-wrong").await;
    assert!(wrong.to_string().contains("20h ahead of those of most hosts"), "{wrong}");
    let end = log.event(0, "draining").await;
    assert!(end["cause"].as_str().is_some_and(|cause| cause.contains("20h ahead")), "{end}");
    beats.begun_by_others(&[fencing_token], 3).await;
    beats.begins_nothing_twice();
    // This host reports the wrong clock everywhere, and the others report nothing.
    let status = agrees(beats.cluster.host("a"), |status| {
        status["groups"]["main"]["obstacle"].as_str().is_some_and(|it| it.contains("20h ahead"))
    })
    .await;
    assert!(status["host"]["clock"].as_str().is_some_and(|it| it.contains("20h")), "{status}");
    let api = beats.cluster.host("a").api().await;
    let ask = |path: &str| reqwest::get(format!("http://{api}/{path}"));
    assert_eq!(ask("readyz").await.expect("an answer").status(), StatusCode::SERVICE_UNAVAILABLE);
    let metrics = ask("metrics").await.expect("an answer").text().await.expect("a text");
    let ahead = metrics.lines().find(|line| line.starts_with("soloist_clock_ahead_seconds"));
    let seconds: f64 = ahead.and_then(|line| line.rsplit(' ').next()?.parse().ok()).expect("it");
    assert!((seconds - 72_000.0).abs() < 60.0, "{ahead:?}");
    agrees(beats.cluster.host("b"), |status| status["host"]["clock"] == Value::Null).await;
}
