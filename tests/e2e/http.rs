//! HTTP semantics: a request gets the same answer over every route to a plugin, and it is the
//! answer that the RFCs require.

mod balancer;
mod case;
mod cases_1;
mod cases_2;
mod early;
mod frames;
mod log;
mod trailers;

use std::net::SocketAddr;

use futures::future::join_all;

use self::case::Case;
use crate::{
    forward::Forwarding,
    harness::{CALM_TTL, at, cluster::Kind, guests, own_address},
};

/// A route to the web action: an address and a path.
#[derive(Clone, Copy, Debug)]
struct Way {
    name: &'static str,
    to: SocketAddr,
    prefix: &'static str,
}

/// A leader, a host that forwards to it, and all routes to the action.
struct Ways {
    all: Forwarding,
    ways: [Way; 5],
}

const FORWARD: &str = "standby = \"forward\"\n";

impl Ways {
    /// Starts hosts whose web action is `guest`, with these settings.
    async fn to(guest: &str, settings: &str) -> Self {
        let (plugin, near) = (guests().join(guest), at(own_address(), 3000));
        let again = format!(
            "[action.near]\nplugin = \"{}\"\nlisten = \"{near}\"\n{settings}{FORWARD}",
            plugin.display()
        );
        let mut all = Forwarding::new(Kind::Sqlite, plugin, &format!("{settings}{again}")).await;
        // With this TTL no lease expires, however busy the machine is.
        all.cluster.ttl = CALM_TTL;
        all.join("a").await;
        all.cluster.leading("a").await;
        all.settings = format!("{settings}{FORWARD}");
        all.join("b").await;
        let (leader, standby) =
            (all.cluster.host("a").api().await, all.cluster.host("b").api().await);
        let way = |name, to, prefix| Way { name, to, prefix };
        let ways = [
            way("the leader", all.addresses["a"], ""),
            way("the leader, which forwards to itself", near, ""),
            way("a standby", all.addresses["b"], ""),
            way("the leader's control address", leader, "/leader/web"),
            way("a standby's control address", standby, "/leader/web"),
        ];
        // All routes answer by now, or as soon as the standby knows the leader.
        let told = join_all(
            ways.iter().map(|way| all.get(format!("http://{}{}/ready", way.to, way.prefix))),
        );
        for (answer, way) in told.await.into_iter().zip(&ways) {
            assert_eq!(answer.headers()["soloist-host"], "a", "{}", way.name);
        }
        Self { all, ways }
    }

    /// Runs `asked` for every route; returns all that is wrong.
    async fn hold(
        &self,
        name: &str,
        asked: impl AsyncFn(Way) -> Result<(), String>,
    ) -> Vec<String> {
        let told = join_all(self.ways.iter().map(|way| asked(*way))).await;
        let wrong =
            told.into_iter().zip(&self.ways).filter_map(|(told, way)| Some((told.err()?, way)));
        wrong.map(|(wrong, way)| format!("{name}, by {}: {wrong}", way.name)).collect()
    }
}

/// Fails if anything is wrong.
fn all_is_well(wrong: &[String], count: usize) {
    assert!(wrong.is_empty(), "{} wrong in {count} cases:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_http_1_have_one_answer_by_every_way() {
    let ways = Ways::to("reach.wasm", "max_body_size = \"64KiB\"\n").await;
    // Requests whose client has closed its side have a time limit, so they run first and alone.
    let (alone, cases): (Vec<_>, Vec<_>) = cases_1::all().into_iter().partition(Case::half_closes);
    let mut wrong = Vec::new();
    for some in cases.chunks(8) {
        let told =
            some.iter().map(|case| ways.hold(case.name, async move |way| case.try_at(way).await));
        wrong.extend(join_all(told).await.concat());
    }
    for case in &alone {
        for way in ways.ways {
            let told = case.try_at(way).await;
            wrong.extend(told.err().map(|told| format!("{}, by {}: {told}", case.name, way.name)));
        }
    }
    all_is_well(&wrong, cases.len() + alone.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_http_2_have_one_answer_by_every_way() {
    let ways = Ways::to("reach.wasm", "max_body_size = \"32KiB\"\n").await;
    let cases = cases_2::all();
    let mut wrong = Vec::new();
    for case in &cases {
        wrong.extend(ways.hold(case.name, async |way| case.try_at(way).await).await);
    }
    all_is_well(&wrong, cases.len());
}
