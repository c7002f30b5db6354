//! A real etcd with three members, each at its own address.

use futures::future::join_all;
use tokio::time::{Duration, sleep, timeout};

use super::{PATIENCE, etcd::Etcd};

/// Three members, which can be killed and frozen one by one.
pub(crate) struct EtcdCluster {
    pub(crate) members: [Etcd; 3],
}

impl EtcdCluster {
    /// Three running members; the first one is not etcd's leader.
    ///
    /// Hosts use the first one as long as it answers.
    pub(crate) async fn started() -> Self {
        Self::started_with(&[]).await
    }

    /// The same, with these additional flags.
    pub(crate) async fn started_with(flags: &[String]) -> Self {
        let mut members = ["m0", "m1", "m2"].map(|name| Etcd::member(name, flags));
        let cluster = members.each_ref().map(Etcd::itself).join(",");
        members.iter_mut().for_each(|member| member.belongs_to(&cluster));
        let mut started = Self { members };
        started.start().await;
        if started.leader().await == 0 {
            started.hand_over_to(1).await;
        }
        started
    }

    /// Starts all stopped members, with the data that they have.
    pub(crate) async fn start(&mut self) {
        self.members.iter_mut().for_each(Etcd::spawn);
        join_all(self.members.each_ref().map(Etcd::serves)).await;
    }

    /// Kills all members.
    pub(crate) async fn kill(&mut self) {
        join_all(self.members.each_mut().map(Etcd::kill)).await;
    }

    /// The store's URL, with the members in order.
    pub(crate) fn url(&self) -> String {
        self.url_by(&self.members[0].endpoint())
    }

    /// The store's URL, with `way` as the address of the first member.
    pub(crate) fn url_by(&self, way: &str) -> String {
        let [_, second, third] = self.members.each_ref().map(Etcd::endpoint);
        format!("etcd://{way},{second},{third}")
    }

    /// The position of etcd's leader, once all running members agree.
    pub(crate) async fn leader(&self) -> usize {
        let ids = join_all(self.members.each_ref().map(id)).await;
        let mut etcd = self.members[0].connect().await;
        let leader = etcd.status().await.expect("a status").leader();
        ids.iter().position(|id| *id == leader).expect("a leader")
    }

    /// Makes a member etcd's leader; returns when all members know it.
    pub(crate) async fn hand_over_to(&self, index: usize) {
        let to = id(&self.members[index]).await;
        let mut leader = self.members[self.leader().await].connect().await;
        leader.move_leader(to).await.expect("a new leader of etcd");
        let learnt = async {
            for member in &self.members {
                let mut etcd = member.connect().await;
                while etcd.status().await.expect("a status").leader() != to {
                    sleep(Duration::from_millis(10)).await;
                }
            }
        };
        timeout(PATIENCE, learnt).await.expect("all learn who leads");
    }
}

async fn id(member: &Etcd) -> u64 {
    let status = member.connect().await.status().await.expect("a status");
    status.header().expect("a header").member_id()
}
