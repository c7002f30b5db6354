//! PostgreSQL breaks, for real. Whatever happens to it, its network, its pooler or its settings: two
//! hosts never lead, no confirmed write is lost, all hosts say what is wrong, and one leads again
//! afterwards.

mod history;
mod locks;
mod network;
mod outages;
mod refusals;
mod short_ttl;
mod space;

use serde_json::Value;
use tokio::time::Instant;

use crate::{
    harness::{
        cluster::Cluster,
        crowd::Crowd,
        guests,
        postgres::{self, DATABASE},
        postgres_server::PostgresServer,
        process::{agrees, until_readiness},
    },
    store_loss::{LONGER_TTL, kept_its_place, leads_on, outlives_its_lease},
};

/// A PostgreSQL of its own, and two hosts that run a register, which clients use all the time.
struct Rig {
    // Before the server: it would wait for answers.
    cluster: Cluster,
    crowd: Crowd,
    server: PostgresServer,
    /// The fencing token of the first term.
    first: i64,
}

impl Rig {
    async fn start() -> Self {
        let server = postgres::started();
        let url = postgres::url(&server);
        Self::on(server, url).await
    }

    /// The same on this server, which hosts reach by this URL.
    async fn on(server: PostgresServer, url: String) -> Self {
        let mut cluster = Cluster::at(url, LONGER_TTL).running(guests().join("register.wasm"));
        for name in ["a", "b"] {
            cluster.join_with(name, "state = true\n").await;
        }
        let first = cluster.web.until("a", |answer| answer.host == "a").await.fencing_token;
        cluster.waiting("b", &["b"]).await;
        for host in cluster.hosts.values() {
            until_readiness(host, true, "ok").await;
        }
        let crowd = Crowd::gather(&cluster.web, 2);
        Self { cluster, crowd, server, first }
    }

    fn sql(&self, sql: &str) -> String {
        self.server.sql(DATABASE, sql)
    }

    /// Checks that the term ends in time, that both hosts are not ready and say `why`, and that the
    /// status does too.
    async fn is_lost(&self, why: &str) {
        // No renewal has reached the store since.
        let fault = Instant::now();
        let a = &self.cluster.host("a").log;
        let end = a.find(0, "the end of the term", |line| line["event"] == "stopping").await;
        assert!(text(&end["cause"]).contains("deadline"), "{end}");
        a.event(0, "stopped").await;
        assert!(fault.elapsed() < LONGER_TTL, "it stopped after {:?}", fault.elapsed());
        assert_eq!(self.cluster.web.get("/").await, None, "nobody listens outside a term");
        self.is_told(why).await;
    }

    /// Checks that both hosts are not ready and say `why`, in the status as well.
    async fn is_told(&self, why: &str) {
        for host in self.cluster.hosts.values() {
            until_readiness(host, false, why).await;
            let says = |status: &Value| text(&status["store"]["last_error"]).contains(why);
            agrees(host, says).await;
        }
    }

    /// Checks that one host leads again under a higher fencing token, that both are well, and that
    /// clients have seen nothing wrong.
    async fn leads_again(self) {
        self.crowd.hears_newer_than(self.first).await;
        for host in self.cluster.hosts.values() {
            until_readiness(host, true, "ok").await;
            agrees(host, |status| status["store"]["state"] == "ok").await;
        }
        self.crowd.disperse().await;
    }

    /// One of the two, where what happened may have taken longer than the term had.
    async fn leads_on_or_again(self) {
        outlives_its_lease(self.cluster.host("a")).await;
        if self.cluster.host("a").log.events("stopping").is_empty() {
            self.leads_on().await;
        } else {
            self.leads_again().await;
        }
    }

    /// Checks that the first term goes on, that both hosts are well, and that clients have seen
    /// nothing wrong.
    async fn leads_on(self) {
        let (a, b) = (self.cluster.host("a"), self.cluster.host("b"));
        outlives_its_lease(a).await;
        leads_on(a, self.first).await;
        kept_its_place(b);
        for host in [a, b] {
            until_readiness(host, true, "ok").await;
        }
        self.crowd.disperse().await;
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
