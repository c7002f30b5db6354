//! The disk of the embedded store is full, because of actions' state or of other files.

use std::fs;

use reqwest::{Client, StatusCode};

use super::{leads_on, outlives_its_lease};
use crate::harness::{
    cluster::{Cluster, Kind},
    disk::Disk,
    process::{Process, until_readiness},
};

/// The maximum size of a value.
const BIG: usize = 256 << 10;
/// The maximum number of such values that fit on the disk.
const MANY: usize = 200;

/// A host whose store has a small disk of its own.
struct Small {
    cluster: Cluster,
    disk: Disk,
}

impl Small {
    async fn led_by_a() -> Self {
        let cluster = Cluster::new(Kind::Sqlite).await.brief();
        let folder = cluster.folder.path().join("disk");
        fs::create_dir(&folder).unwrap();
        let mut small = Self { disk: Disk::on(&folder, 32), cluster };
        small.start();
        small.cluster.leading("a").await;
        small
    }

    fn start(&mut self) {
        let settings = self.cluster.configuration("").replace("soloist.db", "disk/soloist.db");
        let command = self.cluster.command_from("a", &settings);
        let process = Process::start(&mut self.disk.bring(&command));
        self.cluster.hosts.insert("a", process);
    }

    fn host(&self) -> &Process {
        self.cluster.host("a")
    }

    async fn url(&self, key: &str) -> String {
        format!("http://{}/v1/state/kept/{key}", self.host().api().await)
    }

    async fn put(&self, key: &str, bytes: usize) -> (StatusCode, String) {
        let put = Client::new().put(self.url(key).await).body(vec![7; bytes]);
        let answer = put.send().await.expect("an answer");
        (answer.status(), answer.text().await.expect("text"))
    }

    async fn delete(&self, key: &str) -> StatusCode {
        let delete = Client::new().delete(self.url(key).await);
        delete.send().await.expect("an answer").status()
    }

    /// Writes values until one is refused; returns how many were accepted, and the refusal.
    async fn fill(&self) -> (usize, StatusCode, String) {
        for taken in 0..MANY {
            let (status, text) = self.put(&format!("k{taken}"), BIG).await;
            if !status.is_success() {
                return (taken, status, text);
            }
        }
        panic!("the disk was never full");
    }

    async fn in_disk(&self, script: &str) {
        self.disk.shell(script, &self.cluster.folder.path().join("disk")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn state_never_fills_the_disk_and_can_always_be_deleted() {
    let mut small = Small::led_by_a().await;
    let fencing_token = small.cluster.web.until("a", |_| true).await.fencing_token;
    let (taken, status, told) = small.fill().await;
    assert!(taken > 10, "{taken}: {told}");
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{told}");
    let warned = small.host().log.event(0, "no-room").await.to_string();
    for words in ["MiB left on the disk", "delete state, or free space"] {
        assert!(told.contains(words) && warned.contains(words), "no {words:?} in {told}, {warned}");
    }
    outlives_its_lease(small.host()).await;
    leads_on(small.host(), fencing_token).await;
    // A write that needs no more room still succeeds.
    assert!(small.put("k0", BIG).await.0.is_success());
    assert!(!small.put("k0", BIG + 1).await.0.is_success());
    small.cluster.terminate("a").await;
    small.start();
    small.cluster.leading("a").await;
    for key in 0..taken {
        assert!(small.delete(&format!("k{key}")).await.is_success(), "k{key}");
    }
    // Deleted values leave room for new ones, although the file keeps its size.
    assert!(small.fill().await.0 >= taken / 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_others_fill_leaves_the_log_for_renewals_and_deletions() {
    let mut small = Small::led_by_a().await;
    assert!(small.put("k", BIG).await.0.is_success());
    // Afterwards everything is in the database file, and its log is empty.
    small.cluster.terminate("a").await;
    small.start();
    small.cluster.leading("a").await;
    let fencing_token = small.cluster.web.until("a", |_| true).await.fencing_token;
    small.in_disk("cat /dev/zero >\"$1/other\" 2>/dev/null || true").await;
    outlives_its_lease(small.host()).await;
    outlives_its_lease(small.host()).await;
    leads_on(small.host(), fencing_token).await;
    let (status, told) = small.put("other", 1).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{told}");
    assert!(small.delete("k").await.is_success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_on_a_full_disk_says_so_and_leads_when_there_is_room() {
    let mut small = Small::led_by_a().await;
    small.cluster.terminate("a").await;
    small.in_disk("cat /dev/zero >\"$1/other\" 2>/dev/null || true").await;
    small.start();
    until_readiness(small.host(), false, "its disk is full").await;
    let status = small.host().status().await;
    assert_eq!(status["store"]["state"], "lost", "{status:#}");
    small.in_disk("rm \"$1/other\"").await;
    small.cluster.leading("a").await;
    until_readiness(small.host(), true, "").await;
}
