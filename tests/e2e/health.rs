//! Actions that fail: the leadership moves to a host where they work, but it does not circulate,
//! and an action that fails everywhere affects no other one.

use std::{fs, net::TcpListener, path::PathBuf, time::Duration};

use serde_json::Value;

use crate::{
    commands::done,
    harness::{
        at,
        cluster::{Cluster, Kind},
        guests, own_address,
        process::agrees,
    },
};

crate::on_all_stores!(
    what_fails_on_one_host_runs_on_another,
    what_fails_everywhere_is_parked_and_the_rest_goes_on,
    alone_a_host_parks_at_once,
    a_host_that_comes_is_asked_to_do_better,
    a_hook_that_fails_everywhere_is_parked_too,
    what_one_host_refuses_ends_no_term_of_another,
    a_taken_address_moves_the_leadership_on,
);

const HOSTS: [&str; 3] = ["a", "b", "c"];

/// A cluster whose leases do not expire even on a very busy machine, because the tests count terms.
async fn patient(kind: Kind) -> Cluster {
    let mut cluster = Cluster::new(kind).await;
    cluster.ttl = Duration::from_secs(15);
    cluster
}

/// A cluster whose action `work` works or fails on each host as the test says.
struct Ordered(Cluster);

impl Ordered {
    async fn new(kind: Kind) -> Self {
        let ordered = Self(patient(kind).await);
        fs::copy(guests().join("service-fickle.wasm"), ordered.plugin()).expect("a copy");
        for host in HOSTS {
            fs::create_dir(ordered.orders(host)).expect("a folder");
        }
        ordered
    }

    fn plugin(&self) -> PathBuf {
        self.0.folder.path().join("plugins/work.wasm")
    }

    fn orders(&self, host: &str) -> PathBuf {
        self.0.folder.path().join(format!("orders-{host}"))
    }

    /// From now on, `work` fails on `host`.
    fn fail(&self, host: &str) {
        fs::write(self.orders(host).join("fail"), "").expect("a file");
    }

    fn settings(&self, host: &str) -> String {
        let work = format!(
            "[action.work]\nmax_restarts = 1\nrestart_window = \"2s\"\n\
             mounts = [{{ source = \"{}\", target = \"/orders\" }}]\n",
            self.orders(host).display()
        );
        format!("{}[host]\ncooldown = \"4s\"\n", self.0.configuration(&work))
    }

    /// Starts a host, which leads if it is the first.
    async fn start(&mut self, host: &'static str) {
        let settings = self.settings(host);
        self.0.start_from(host, &settings);
        self.0.stands(host).await;
    }

    /// Three hosts, of which `a` leads, and `work` runs.
    async fn of_three(kind: Kind) -> Self {
        let mut ordered = Self::new(kind).await;
        ordered.start("a").await;
        ordered.0.leading("a").await;
        ordered.action("a", "work", |work| work["state"] == "running").await;
        ordered.start("b").await;
        ordered.start("c").await;
        // A leader that hands over must know the other hosts.
        let all = |status: &Value| status["hosts"].as_array().is_some_and(|it| it.len() == 3);
        agrees(ordered.0.host("a"), all).await;
        ordered
    }

    /// The status of the action `name` on `host`, once `wanted` accepts it.
    async fn action(&self, host: &str, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let find = |status: &Value| {
            let actions = status["actions"].as_array().cloned().unwrap_or_default();
            actions.into_iter().find(|action| action["name"] == name)
        };
        let likes = |status: &Value| find(status).as_ref().is_some_and(&wanted);
        find(&agrees(self.0.host(host), likes).await).expect("an action")
    }

    /// The number of terms that each host has begun.
    fn terms(&self) -> [usize; 3] {
        HOSTS.map(|host| self.0.hosts.get(host).map_or(0, |it| it.log.events("leading").len()))
    }

    /// How often the action was parked, on all hosts together.
    fn parkings(&self) -> usize {
        self.0.hosts.values().map(|host| host.log.events("parked").len()).sum()
    }

    async fn parked(&self, reason: &str) {
        for host in self.0.hosts.keys() {
            let work = self.action(host, "work", |work| work["state"] == "parked").await;
            let error = work["last_error"].as_str().unwrap_or_default();
            assert!(error.contains(reason), "{host}: {work}");
        }
    }
}

const EXITS: &str = "it ended 2 times within 2s; the last time, it exited with code 1";

async fn what_fails_on_one_host_runs_on_another(kind: Kind) {
    let mut ordered = Ordered::of_three(kind).await;
    let seen = ordered.0.lengths();
    ordered.fail("a");
    ordered.0.another_leads("a", &seen).await;
    let a = ordered.0.host("a").log.clone();
    let end = a.event(0, "draining").await;
    assert!(end["cause"].as_str().is_some_and(|cause| cause.contains(EXITS)), "{end}");
    // The host reports why it stands back.
    let back = a.event(seen["a"], "not-ready").await;
    let text = back["message"].as_str().unwrap_or_default();
    assert!(
        text.contains("action work failed here") && text.contains("for election for 4s"),
        "{back}"
    );

    let [led, b, c] = ordered.terms();
    assert_eq!((led, b + c), (1, 1), "one hand-over, and none after it");
    let leader = if b == 1 { "b" } else { "c" };
    ordered.action(leader, "work", |work| work["state"] == "running").await;
    assert_eq!(ordered.0.web.until("it", |_| true).await.host, leader);
    assert_eq!(ordered.parkings(), 0);
    // It stops standing back once no other host is next.
    let back = a.last("not-ready");
    ordered.0.terminate(if b == 1 { "c" } else { "b" }).await;
    a.event(back, "standby").await;
}

async fn what_fails_everywhere_is_parked_and_the_rest_goes_on(kind: Kind) {
    let ordered = Ordered::of_three(kind).await;
    HOSTS.iter().for_each(|host| ordered.fail(host));
    ordered.parked(EXITS).await;
    assert_eq!(ordered.terms(), [1, 1, 1], "a hand-over a host, and not one more");
    assert_eq!(ordered.parkings(), 1);
    let answer = ordered.0.web.until("the neighbour", |_| true).await;
    // The other hosts stand again, and the leader stays.
    for host in HOSTS.into_iter().filter(|host| *host != answer.host) {
        let log = ordered.0.host(host).log.clone();
        log.event(log.last("resigning"), "standby").await;
    }
    assert_eq!(ordered.0.web.until("the neighbour", |_| true).await, answer);
    assert_eq!((ordered.terms(), ordered.parkings()), ([1, 1, 1], 1));

    // Once repaired, the action runs in the same term, and no host was restarted.
    fs::copy(guests().join("service-loop.wasm"), ordered.plugin()).expect("a copy");
    let running = |work: &Value| work["state"] == "running";
    let work = ordered.action(&answer.host, "work", running).await;
    assert_eq!(work["last_error"], Value::Null);
    for host in HOSTS.into_iter().filter(|host| *host != answer.host) {
        ordered.action(host, "work", |work| work["state"] == "standby").await;
    }
    assert_eq!(ordered.0.web.until("the neighbour", |_| true).await, answer);
    assert_eq!(ordered.terms(), [1, 1, 1]);
}

async fn alone_a_host_parks_at_once(kind: Kind) {
    let mut ordered = Ordered::new(kind).await;
    ordered.fail("a");
    ordered.start("a").await;
    ordered.parked(EXITS).await;
    let answer = ordered.0.web.until("the neighbour", |_| true).await;
    assert_eq!((answer.host.as_str(), ordered.terms()), ("a", [1, 0, 0]));
    let log = ordered.0.terminate("a").await;
    assert_eq!(log.events("parked").len(), 1, "{log}");
    assert!(log.events("hook-failed").is_empty());
}

async fn a_host_that_comes_is_asked_to_do_better(kind: Kind) {
    let mut ordered = Ordered::new(kind).await;
    ordered.fail("a");
    ordered.start("a").await;
    ordered.parked(EXITS).await;
    ordered.start("b").await;
    ordered.action("b", "work", |work| work["state"] == "running").await;
    let a = ordered.0.host("a").log.clone();
    let end = a.event(0, "draining").await;
    let cause = end["cause"].as_str().unwrap_or_default();
    assert!(cause.contains("parked here, and has not failed on b"), "{end}");
    ordered.fail("c");
    ordered.fail("b");
    // `c` joined after the action worked. It tries it once, and so does every other host.
    ordered.start("c").await;
    ordered.parked(EXITS).await;
    let [a, b, c] = ordered.terms();
    assert!((a, b) == (1, 1) && c <= 1, "{:?}", ordered.terms());
}

async fn a_hook_that_fails_everywhere_is_parked_too(kind: Kind) {
    let mut cluster = patient(kind).await;
    let settings = |order: &str| {
        format!(
            "[action.work]\nplugin = \"{}\"\nconfig = {{ on-leader = \"{order}\" }}\n",
            guests().join("hooks.wasm").display()
        )
    };
    cluster.start_with("a", &settings("fail no route from a"));
    cluster.start_with("b", &settings("fail no route from b"));
    // A host that is alone parks the failing action until the other joins.
    for host in ["a", "b"] {
        cluster.leading(host).await;
    }
    let ordered = Ordered(cluster);
    // The last leader continues without the action.
    ordered.parked("no route from").await;
    let answer = ordered.0.web.until("the neighbour", |_| true).await;
    assert_eq!(ordered.terms(), [1, 1, 0]);
    assert_eq!(ordered.0.web.until("the neighbour", |_| true).await, answer);
}

async fn what_one_host_refuses_ends_no_term_of_another(kind: Kind) {
    let mut cluster = patient(kind).await;
    cluster.start("a");
    cluster.leading("a").await;
    let plugins = cluster.folder.path().join("plugins");
    fs::write(plugins.join("work.toml"), "max_restarts = 1\nrestart_window = \"2s\"\n")
        .expect("settings");
    fs::copy(guests().join("service-exit.wasm"), plugins.join("work.wasm")).expect("a copy");
    let refused = |line: &Value| line["event"] == "refused" && line["action"] == "work";
    cluster.host("a").log.find(0, "that it is refused", refused).await;
    // A starting host accepts the plugin, and notices the failure only as the leader.
    cluster.start("b");
    cluster.stands("b").await;
    done(&cluster, "a", &["switchover"], "b leads main now").await;
    cluster.leading("b").await;
    let b = cluster.host("b").log.clone();
    b.event(0, "parked").await;
    assert_eq!(b.events("draining").len(), 0, "{b}");
    assert_eq!(cluster.web.until("the neighbour", |_| true).await.host, "b");
}

async fn a_taken_address_moves_the_leadership_on(kind: Kind) {
    let mut cluster = patient(kind).await;
    let own = HOSTS.map(|host| (host, at(own_address(), 3000)));
    let shared = cluster.web_at.to_string();
    for (host, address) in own {
        let settings = cluster.configuration("").replace(&shared, &address.to_string());
        cluster.start_from(host, &settings);
        cluster.stands(host).await;
    }
    cluster.leading("a").await;
    // Another program takes the address that the next host needs.
    let (_, address) = own[1];
    let _taken = TcpListener::bind(address).expect("a free address");
    cluster.terminate("a").await;
    cluster.leading("c").await;
    let b = cluster.host("b").log.clone();
    let says = |line: &Value| {
        let why = ["message", "cause"].map(|field| line[field].as_str().unwrap_or_default());
        let told = line["event"] == "not-ready" || line["event"] == "draining";
        told && why.concat().contains(&address.to_string())
    };
    b.find(0, "why it does not lead", says).await;
    let web = crate::harness::client::Web::new(own[2].1);
    assert_eq!(web.until("c", |_| true).await.host, "c");
    assert!(b.events("leading").len() <= 1, "{b}");
}
