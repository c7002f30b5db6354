//! Many groups, which all hosts lead in equal parts, plus or minus one.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;
use tokio::time::Instant;

use crate::harness::{
    cluster::{Cluster, Kind},
    log::Log,
    plugins,
    process::{Ended, agrees, run, soloist},
};

crate::on_all_stores!(
    groups_are_spread_whoever_comes_and_goes,
    hosts_that_do_not_agree_on_it_are_told_so,
);

/// The number of groups and hosts, and how long the loads must be uneven before leaderships move.
struct Size {
    groups: usize,
    hosts: &'static [&'static str],
    settle: Duration,
}

impl Size {
    /// A few groups; `SOLOIST_SPREAD` sets another number, on five hosts, with the default time to
    /// settle.
    fn asked_for() -> Self {
        match std::env::var("SOLOIST_SPREAD") {
            Ok(groups) => {
                let groups = groups.parse().expect("a number");
                let hosts = &["a", "b", "c", "d", "e"];
                Self { groups, hosts, settle: Duration::from_secs(10) }
            }
            Err(_) => Self { groups: 12, hosts: &["a", "b", "c"], settle: Duration::from_secs(2) },
        }
    }

    fn settings(&self) -> String {
        let plugin = plugins().join("job-runner.wasm").display().to_string();
        let settle = self.settle.as_secs();
        let group = |n| {
            format!(
                "[action.job{n}]\nplugin = \"{plugin}\"\nschedule = \"none\"\ngroup = \"g{n}\"\n\
                 [group.g{n}]\nspread = true\npreempt_delay = \"{settle}s\"\n"
            )
        };
        (0..self.groups).map(group).collect()
    }

    /// How many groups each of `hosts` leads, once these hosts lead all groups.
    fn loads(&self, status: &Value, hosts: &[&str]) -> Option<Vec<usize>> {
        let leader = |n| status["groups"][format!("g{n}")]["leader"].as_str();
        let led = |host: &&str| (0..self.groups).filter(|n| leader(*n) == Some(host)).count();
        let loads: Vec<_> = hosts.iter().map(led).collect();
        (loads.iter().sum::<usize>() == self.groups).then_some(loads)
    }

    /// Whether the loads would be even at once if `host` died: that depends on the next host in
    /// each of its groups.
    fn is_even_without(&self, status: &Value, host: &str, hosts: &[&str]) -> bool {
        let others = hosts.iter().filter(|other| **other != host);
        let mut loads: BTreeMap<&str, usize> = others.map(|other| (*other, 0)).collect();
        for n in 0..self.groups {
            let group = &status["groups"][format!("g{n}")];
            let leader =
                if group["leader"] == host { &group["next_leader"] } else { &group["leader"] };
            if let Some(led) = leader.as_str().and_then(|leader| loads.get_mut(leader)) {
                *led += 1;
            }
        }
        let loads: Vec<_> = loads.into_values().collect();
        loads.iter().sum::<usize>() == self.groups && is_even(&loads)
    }

    async fn stands(&self, cluster: &Cluster, name: &str) {
        let role = |status: &Value, n| status["groups"][format!("g{n}")]["role"].clone();
        let stands = |status: &Value| (0..self.groups).all(|n| role(status, n) != "out");
        agrees(cluster.host(name), stands).await;
    }

    /// Waits until the loads are even among these hosts, within `lost` plus three times to settle,
    /// and would stay even if any of them died.
    async fn even(&self, cluster: &Cluster, hosts: &[&str], lost: Duration) {
        let (began, within) = (Instant::now(), lost + 3 * self.settle);
        let even = |status: &Value| self.loads(status, hosts).is_some_and(|loads| is_even(&loads));
        for host in hosts {
            agrees(cluster.host(host), even).await;
        }
        let took = began.elapsed();
        println!("{} groups are even among {hosts:?} after {took:?}", self.groups);
        assert!(took <= within, "even after {took:?}");
        let at_rest = |status: &Value| {
            even(status) && hosts.iter().all(|host| self.is_even_without(status, host, hosts))
        };
        agrees(cluster.host(hosts[0]), at_rest).await;
        for (name, host) in &cluster.hosts {
            let disagreements = host.log.events("disagreement");
            assert!(disagreements.is_empty(), "{name} sees a disagreement: {disagreements:?}");
        }
    }
}

fn is_even(loads: &[usize]) -> bool {
    loads.iter().max().zip(loads.iter().min()).is_some_and(|(most, least)| most - least <= 1)
}

/// How many leaderships all live hosts have handed over by preference.
fn moved(cluster: &Cluster) -> usize {
    let handed = |line: &Value| line["cause"].as_str().is_some_and(|c| c.contains("should lead"));
    let moved = |log: &Log| log.events("draining").iter().filter(|line| handed(line)).count();
    cluster.hosts.values().map(|host| moved(&host.log)).sum()
}

async fn groups_are_spread_whoever_comes_and_goes(kind: Kind) {
    let size = Size::asked_for();
    let (settings, names) = (size.settings(), size.hosts);
    let mut cluster = Cluster::new(kind).await;
    // All but one at once, then the last one.
    let (last, first) = names.split_last().expect("hosts");
    first.iter().for_each(|name| cluster.start_with(name, &settings));
    for name in first {
        size.stands(&cluster, name).await;
    }
    size.even(&cluster, first, Duration::ZERO).await;
    let before = moved(&cluster);
    cluster.start_with(last, &settings);
    size.stands(&cluster, last).await;
    size.even(&cluster, names, Duration::ZERO).await;
    // The minimum: those that the new host leads now.
    assert_eq!(moved(&cluster) - before, size.groups / names.len());

    // After a host dies, the loads are even without a move.
    cluster.kill(names[1]).await;
    let left: Vec<_> = names.iter().copied().filter(|name| *name != names[1]).collect();
    let before = moved(&cluster);
    size.even(&cluster, &left, cluster.ttl).await;
    assert_eq!(moved(&cluster), before);
    cluster.start_with(names[1], &settings);
    size.stands(&cluster, names[1]).await;
    size.even(&cluster, names, Duration::ZERO).await;

    // A host that stops hands over its groups one by one.
    let log = cluster.terminate(names[0]).await;
    assert!(log.events("disagreement").is_empty(), "{log}");
    size.even(&cluster, &names[1..], Duration::ZERO).await;
}

/// A host without the setting `spread` takes no part in the plan, and all hosts report that.
async fn hosts_that_do_not_agree_on_it_are_told_so(kind: Kind) {
    let size = Size { groups: 4, hosts: &["a", "b"], settle: Duration::from_secs(1) };
    let spread = size.settings();
    let mut cluster = Cluster::new(kind).await;
    cluster.start_with("a", &spread);
    size.stands(&cluster, "a").await;
    assert_eq!(cluster.host("a").status().await["groups"]["g0"]["spread_differs"], Value::Null);
    cluster.start_with("b", &spread.replace("spread = true\n", ""));
    for (host, says) in [
        ("a", "b does not spread it, and this host does"),
        ("b", "a spreads it, and this host does not"),
    ] {
        let differs =
            |status: &Value, n| status["groups"][format!("g{n}")]["spread_differs"].clone();
        agrees(cluster.host(host), |status| (0..4).all(|n| differs(status, n) == says)).await;
        let told = cluster.host(host).log.event(0, "spread-differs").await;
        let told = told["message"].as_str().unwrap_or_default();
        // The groups appear one by one, in any order; the status has all of them.
        let names_one = (0..4).any(|n| told.contains(&format!("g{n}")));
        assert!(names_one && told.contains(says), "{host}: {told}");
    }
    let mut command = soloist();
    let url = format!("http://{}", cluster.host("a").api().await);
    let Ended { output, .. } = run(command.arg("status").env("SOLOIST_URL", url)).await;
    assert!(output.contains("b does not spread it"), "{output}");
    // Reported once, however many groups there are and however often they change.
    cluster.terminate("b").await;
    cluster.host("a").log.event(0, "spread-agreed").await;
    let lines = cluster.host("a").log.events("spread-differs").len();
    assert!(lines < size.groups, "{lines} lines");
    cluster.start_with("b", &spread);
    size.even(&cluster, &["a", "b"], Duration::ZERO).await;
}
