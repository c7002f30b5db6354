//! Settings within their bounds: a host must start, serve and end with all that it accepts. The
//! keys and their bounds are read from the schema, so new keys are tested as well.

use std::{collections::BTreeMap, fmt::Write, fs, time::Duration};

use reqwest::Client;
use serde_json::Value;
use tokio::time::{sleep, timeout};

use crate::harness::{
    PATIENCE,
    cluster::{Cluster, Kind},
    exit::CONFIG,
    guests, plugins,
    process::{Process, run, soloist},
};

/// The number of random settings.
const TRIES: u64 = 20;

/// A key with a number or a span, and its bounds, as the file writes them.
#[derive(Clone, Debug)]
struct Bounded {
    least: String,
    most: String,
    beyond: Vec<String>,
}

/// The keys of each kind of table, by the table's name in the schema.
type Tables = BTreeMap<String, BTreeMap<String, Bounded>>;

async fn tables() -> Tables {
    let printed = run(soloist().args(["config", "schema"])).await;
    let schema: Value = serde_json::from_str(&printed.output).expect("JSON");
    let of_table = |table: &Value| {
        let keys = table["properties"].as_object().expect("keys").iter();
        keys.filter_map(|(key, about)| Some((key.clone(), Bounded::of(about)?))).collect()
    };
    let definitions = schema["definitions"].as_object().expect("tables").iter();
    definitions.map(|(name, table)| (name.clone(), of_table(table))).collect()
}

impl Bounded {
    fn of(about: &Value) -> Option<Self> {
        let text = |text: &str| format!("{text:?}");
        if let Some(bounds) = about["x-bounds"].as_str() {
            let (least, most) = bounds.split_once(" to ").expect("two ends");
            let endless = if most.ends_with("/s") {
                ["18446744073709551615B/s", "99999999999TiB/s"]
            } else if most.ends_with('B') {
                ["18446744073709551615B", "99999999999TiB"]
            } else {
                ["18446744073709551615s", "584542046090years"]
            };
            let beyond = endless.map(text).into();
            return Some(Self { least: text(least), most: text(most), beyond });
        }
        let (least, most) = (about["minimum"].as_i64()?, about["maximum"].as_i64()?);
        let beyond = [least - 1, most + 1, i64::MAX, i64::MIN].map(|n| n.to_string()).into();
        Some(Self { least: least.to_string(), most: most.to_string(), beyond })
    }
}

/// The keys that only some kinds of action take; the other kinds refuse them.
const OF_JOBS: [&str; 2] = ["jitter", "run_timeout"];

/// Tables of settings; `choose` returns the value for each key, or none to leave it out.
fn settings(tables: &Tables, mut choose: impl FnMut(&Bounded) -> Option<String>) -> String {
    let (web, work) = (plugins().join("i-am-server.wasm"), guests().join("work.wasm"));
    let job = guests().join("job.wasm");
    let mut text = String::new();
    let mut table = |head: &str, of: &str, takes: &dyn Fn(&str) -> bool| {
        text += head;
        for (key, bounded) in tables[of].iter().filter(|(key, _)| takes(key)) {
            if let Some(value) = choose(bounded) {
                writeln!(text, "{key} = {value}").expect("a text takes all");
            }
        }
    };
    let is_of_jobs = |key: &str| OF_JOBS.contains(&key);
    let listen = "listen = \"127.0.0.1:0\"";
    table("[lease]\n", "LeaseTable", &|_| true);
    table("[host]\n", "HostTable", &|_| true);
    table("[group.main]\nstrategy = \"priority\"\npreempt = true\n", "GroupTable", &|_| true);
    let head = |name: &str, plugin: &std::path::Path, more: &str| {
        format!("[action.{name}]\nplugin = \"{}\"\n{more}\n", plugin.display())
    };
    let more = format!("{listen}\ninstances = \"reuse\"");
    table(&head("web", &web, &more), "ActionTable", &|key| !is_of_jobs(key));
    let more = "schedule = \"every 1s\"";
    table(&head("job", &job, more), "ActionTable", &|key| is_of_jobs(key));
    table(&head("work", &work, ""), "ActionTable", &|key| {
        !is_of_jobs(key) && key != "max_reuse" && key != "max_idle"
    });
    text
}

fn put(cluster: &Cluster, settings: &str) -> String {
    let file = cluster.folder.path().join("made.toml");
    fs::write(&file, settings).expect("a file");
    file.display().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_beyond_its_bounds_is_refused_and_the_bounds_are_told() {
    let (cluster, tables) = (Cluster::new(Kind::Sqlite).await, tables().await);
    for turn in 0..4 {
        let mut wrong = 0;
        let text = settings(&tables, |bounded| {
            let value = bounded.beyond.get(turn % bounded.beyond.len());
            wrong += 1;
            value.cloned()
        });
        let file = put(&cluster, &text);
        let ended = run(soloist().args(["config", "check", &file])).await;
        assert_eq!(ended.status.code(), Some(CONFIG), "{}", ended.output);
        assert!(!ended.output.contains("panicked"), "{}", ended.output);
        let told = ended.output.matches("help: write a ").count();
        assert!(wrong > 40 && told == wrong, "{told} of {wrong} are told:\n{}", ended.output);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_accepted_starts_serves_and_ends() {
    let (mut started, tables) = (0, tables().await);
    for seed in 0..TRIES {
        let mut random = fastrand::Rng::with_seed(seed);
        let text = settings(&tables, |bounded| match random.u8(..4) {
            0 => Some(bounded.least.clone()),
            1 | 2 => Some(bounded.most.clone()),
            _ => None,
        });
        started += u64::from(starts_if_accepted(seed, &text).await);
    }
    // Two in five fit together, on average: `ttl` with `stop_timeout`, and the timeouts.
    assert!(started > TRIES / 8, "only {started} of {TRIES} were accepted");
}

/// Starts a host with these settings; returns whether they were accepted. If so, the host must
/// work.
async fn starts_if_accepted(seed: u64, settings: &str) -> bool {
    let cluster = Cluster::new(Kind::Sqlite).await;
    let file = put(&cluster, settings);
    let mut check = soloist();
    let checked = run(check.current_dir(cluster.folder.path()).args(["config", "check", &file]));
    let checked = checked.await;
    assert!(!checked.output.contains("panicked"), "{seed}: {}\n{settings}", checked.output);
    if !checked.status.success() {
        assert_eq!(checked.status.code(), Some(CONFIG), "{seed}: {}", checked.output);
        return false;
    }
    let mut command = soloist();
    command.current_dir(cluster.folder.path()).args(["run", "--log-format", "json"]);
    let mut host = Process::start(command.args(["--listen", "127.0.0.1:0", "--config", &file]));
    let api = host.api().await;
    let client = Client::builder().timeout(PATIENCE).build().expect("a client");
    let get = async |path: &str| client.get(format!("http://{api}{path}")).send().await;
    let alive = get("/livez").await.unwrap_or_else(|error| panic!("{seed}: {error}\n{settings}"));
    assert!(alive.status().is_success(), "{seed}: {}\n{settings}", alive.status());
    let leads = timeout(PATIENCE, host.log.event(0, "leading")).await;
    assert!(leads.is_ok(), "{seed}: it does not lead\n{settings}\n{}", host.log);
    // The limits may refuse these requests; the host must survive them.
    for _ in 0..3 {
        let _ = get("/leader/web/").await;
        let _ = client.post(format!("http://{api}/v1/tasks/work")).body("who").send().await;
        sleep(Duration::from_millis(100)).await;
    }
    let alive = get("/livez").await.unwrap_or_else(|error| {
        panic!("{seed}: it ended: {error}\n{settings}\n{}", host.log);
    });
    assert!(alive.status().is_success());
    let status = host.terminate().await;
    assert!(status.success(), "{seed}: {status}\n{settings}\n{}", host.log);
    true
}
