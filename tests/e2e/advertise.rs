//! Hosts that advertise an address at which they are not reached: what is said of it.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::{
    process::Command,
    time::{sleep, timeout},
};

use crate::harness::{
    PATIENCE,
    cluster::{Cluster, Kind},
    guests, plugins,
    process::{Ended, Process, agrees, run, soloist},
};

crate::on_all_stores!(
    a_request_that_goes_astray_says_whose_address_is_wrong,
    an_address_that_leads_nowhere_is_shown_where_it_is_needed,
);

/// A service, a job and a task that only the host `a` runs; and the settings `more` of `[host]`.
fn settings(name: &str, more: &str) -> String {
    let (plugins, guests) = (plugins(), guests());
    format!(
        "[action.count]\nplugin = \"{}\"\n\
         [action.report]\nplugin = \"{}\"\nschedule = \"0 3 * * *\"\n\
         [action.work]\nplugin = \"{}\"\nrequire_label = \"at=a\"\n\
         [host]\nlabels = {{ at = \"{name}\" }}\n{more}",
        plugins.join("job-runner.wasm").display(),
        guests.join("job.wasm").display(),
        guests.join("work.wasm").display(),
    )
}

/// Waits until `host` knows that `a` takes calls of `work`.
async fn knows_of_work(host: &Process) {
    let url = format!("http://{}/v1/tasks", host.api().await);
    let known = timeout(PATIENCE, async {
        loop {
            let tasks: Value = reqwest::get(&url).await.unwrap().json().await.unwrap();
            if tasks[0]["hosts"] == json!(["a"]) {
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
    });
    known.await.expect("a takes no calls");
}

/// `a` leads, and advertises the address of `b`.
async fn a_request_that_goes_astray_says_whose_address_is_wrong(kind: Kind) {
    let mut cluster = Cluster::new(kind).await;
    cluster.join_with("b", &settings("b", "")).await;
    cluster.leading("b").await;
    let url_of_b = format!("http://{}", cluster.host("b").api().await);
    let wrong = format!("advertise = \"{url_of_b}\"\n");
    cluster.join_with("a", &settings("a", &wrong)).await;
    cluster.join_with("c", &settings("c", "")).await;
    let to_a = run(soloist().args(["switchover", "--to", "a", "--url", &url_of_b])).await;
    assert!(to_a.status.success(), "{}", to_a.output);
    let itself = format!("the leader a at {url_of_b}, which is b itself");
    for (name, reached) in [("b", "b itself"), ("c", "b")] {
        let host = cluster.host(name);
        agrees(host, |status| status["groups"]["main"]["leader"] == "a").await;
        let url = format!("http://{}", host.api().await);
        let astray = format!("host {name} forwarded this to the leader a at {url_of_b}");
        let astray = format!("{astray}, which is {reached}");
        for command in [
            &["switchover"][..],
            &["logs", "count"],
            &["logs", "count", "--follow"],
            &["job", "run", "report"],
        ] {
            let Ended { status, output } = run(soloist().args(command).args(["--url", &url])).await;
            assert!(!status.success() && output.contains(&astray), "{command:?}: {output}");
            assert!(output.contains("help: set `host.advertise` on a"), "{command:?}: {output}");
        }
        let to_a = run(soloist().args(["logs", "count", "--host", "a", "--url", &url])).await;
        let astray = format!("the host a at {url_of_b}, which is {reached}");
        assert!(!to_a.status.success() && to_a.output.contains(&astray), "{}", to_a.output);
        knows_of_work(host).await;
        let call = reqwest::Client::new().post(format!("{url}/v1/tasks/work")).body("who");
        let call = call.send().await.unwrap();
        assert_eq!(call.status(), 503);
        let said = call.text().await.unwrap();
        let remedy = "set `host.advertise` on a";
        assert!(said.contains(&astray) && said.contains(remedy), "{said}");
        // The relay passes requests on from any host: `b` is where this one begins to go round.
        let page = reqwest::get(format!("{url}/leader/web/")).await.unwrap();
        assert_eq!(page.status(), 508);
        let said = page.text().await.unwrap();
        let astray = format!("host b forwarded this to {itself}");
        assert!(said.contains(&astray) && said.contains(remedy), "{said}");
    }
    // At its true address, the leader does what it is asked for.
    let url_of_a = format!("http://{}", cluster.host("a").api().await);
    let by_a = run(soloist().args(["switchover", "--to", "b", "--url", &url_of_a])).await;
    assert!(by_a.status.success(), "{}", by_a.output);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loopback_address_is_warned_of_before_a_remote_store_answers() {
    // TEST-NET-1 (RFC 5737): nobody answers there.
    let store = "etcd://192.0.2.1:2379".to_owned();
    let mut cluster = Cluster::at(store, crate::harness::CALM_TTL);
    cluster.start("a");
    let host = cluster.host("a");
    let logged = host.log.event(0, "loopback-address").await;
    let said = logged["message"].as_str().expect("a message");
    let url = format!("http://{}", host.api().await);
    for words in [&*url, "its store is on another machine", "set `host.advertise` on a"] {
        assert!(said.contains(words), "no {words:?} in {said}");
    }
    agrees(host, |status| status["host"]["warnings"] == json!([said])).await;
    let shown = run(soloist().args(["status", "--url", &url])).await;
    assert!(shown.output.contains(said), "{}", shown.output);
}

/// A host in a network of its own, as in a container, has another loopback address.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_in_another_network_is_not_reached_by_a_loopback_address() {
    let mut cluster = Cluster::new(Kind::Sqlite).await;
    cluster.join("a").await;
    let url = format!("http://{}", cluster.host("a").api().await);
    agrees(cluster.host("a"), |status| status["host"]["warnings"].is_null()).await;
    let apart = Process::start(&mut apart(&cluster.command("b", "")));
    let leads_back = format!("a is on another machine, and advertises {url}, which leads back");
    for said in ["b advertises http://127.0.0.1:", &leads_back] {
        let warning = |line: &Value| {
            line["event"] == "loopback-address"
                && line["message"].as_str().is_some_and(|it| it.starts_with(said))
        };
        apart.log.find(0, said, warning).await;
    }
    agrees(cluster.host("a"), |status| {
        let all = status["host"]["warnings"].as_array().into_iter().flatten();
        let all: Vec<_> = all.filter_map(Value::as_str).collect();
        let unreachable = format!("a advertises {url}, which b does not reach");
        let leads_back = "b is on another machine, and advertises http://127.0.0.1:";
        all.len() == 2
            && all.iter().any(|it| it.starts_with(&unreachable))
            && all.iter().any(|it| it.starts_with(leads_back))
    })
    .await;
    // The warnings end with the host.
    drop(apart);
    cluster.host("a").log.event(0, "addresses-right").await;
}

/// The same command in a network of its own; without root's rights, in a user namespace.
fn apart(plain: &Command) -> Command {
    let plain = plain.as_std();
    let script = "ip link set lo up && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--net", "sh", "-c", script, "sh"]);
    command.arg(plain.get_program()).args(plain.get_args()).kill_on_drop(true);
    if let Some(folder) = plain.get_current_dir() {
        command.current_dir(folder);
    }
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

/// `a` leads, and nothing listens where it says that it does.
async fn an_address_that_leads_nowhere_is_shown_where_it_is_needed(kind: Kind) {
    let mut cluster = Cluster::new(kind).await;
    let hold = "max_hold = \"300ms\"\n";
    cluster.join_with("a", &format!("{hold}[host]\nadvertise = \"http://127.0.0.1:9\"\n")).await;
    cluster.leading("a").await;
    cluster.join_with("b", hold).await;
    let b = cluster.host("b");
    agrees(b, |status| status["groups"]["main"]["leader"] == "a").await;
    let answer = reqwest::get(format!("http://{}/leader/web/", b.api().await)).await.unwrap();
    let (status, text) = (answer.status(), answer.text().await.unwrap());
    let named = "b does not reach the leader a at http://127.0.0.1:9: ";
    assert!(status == 503 && text.contains(named), "{status} {text}");
    let named_in = |text: Option<&str>| text.is_some_and(|text| text.contains(named));
    let status = b.status().await;
    assert!(named_in(status["host"]["warnings"][0].as_str()), "{status}");
    let told = b.log.event(0, "leader-unreached").await;
    assert!(named_in(told["message"].as_str()), "{told}");
    let leads = json!("b");
    cluster.kill("a").await;
    let agreed = agrees(cluster.host("b"), |status| status["groups"]["main"]["leader"] == leads);
    let status = agreed.await;
    assert!(status["host"]["warnings"].is_null(), "another leads: {status}");
}
