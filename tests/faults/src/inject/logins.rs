//! Expired logins, followed by a change in the queue.
//!
//! The third host has watched the second one's key on a stream that was opened under an old login.
//! When the second host is killed, it must not rely on that stream to watch the leader's key.

use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::Signal;
use serde_json::{Value, json};
use soloist_devtools::http::Connection;

use crate::cluster::TestCluster;
use crate::etcdctl::LOGIN;
use crate::injected_fault::InjectedFault;
use crate::member::PORT;
use crate::net::Node;
use crate::plan::Fault;

/// Ends all logins, kills the second host in the queue, and then stops the leader.
pub(super) fn run(cluster: &mut TestCluster, fault: &Fault) -> Result<InjectedFault> {
    let member = cluster.members[fault.choice % cluster.members.len()].node;
    let login = Login::take(member)?;
    cluster.etcdctl.end_logins(member, &cluster.folder)?;
    cluster.wait_until("a login from before is good no more", |_| Ok(!login.is_good()?))?;
    let leader = cluster.leader()?.node;
    let (second, third) = followers(cluster)?;
    let target = format!("{}, then {}", second.name, leader.name);
    let mut injected = InjectedFault::begin(fault.kind, target, &cluster.clients.view());
    cluster.host(second)?.kill()?;
    cluster.wait_until("the third is the next in the queue", |cluster| {
        let status = cluster.host(third)?.status().unwrap_or_default();
        Ok(status.standbys.first().is_some_and(|first| first == third.name))
    })?;
    injected.follow(&cluster.clients.view());
    cluster.host(leader)?.signal(Signal::TERM)?;
    cluster.wait_for_newer(injected.fencing_token)?;
    injected.heal();
    cluster.wait_for_end(leader)?;
    for node in [second, leader] {
        cluster.host(node)?.restart()?;
    }
    Ok(injected)
}

/// The second and the third host in the queue.
fn followers(cluster: &mut TestCluster) -> Result<(Node, Node)> {
    let queue = cluster.leader()?.status().context("the leader does not answer")?.standbys;
    let node = |place: usize| {
        let name = queue.get(place).context("there are too few standbys")?;
        let host = cluster.hosts.iter().find(|host| host.node.name == name);
        Ok::<_, anyhow::Error>(host.context("an unknown host stands by")?.node)
    };
    Ok((node(0)?, node(1)?))
}

/// A login of the bench, like those of the hosts.
struct Login {
    member: Node,
    token: String,
}

impl Login {
    fn take(member: Node) -> Result<Self> {
        let (user, password) = LOGIN.split_once(':').context("a login")?;
        let body = json!({ "name": user, "password": password });
        let answer = ask(member, "/v3/auth/authenticate", &body, None)?;
        let token = answer["token"].as_str();
        let token = token.with_context(|| format!("etcd lets nobody in: {answer}"))?.to_owned();
        Ok(Self { member, token })
    }

    /// Whether etcd still accepts it.
    fn is_good(&self) -> Result<bool> {
        let body = json!({ "key": "AA==" });
        let answer = ask(self.member, "/v3/kv/range", &body, Some(&self.token))?;
        let error = answer["error"].as_str().unwrap_or_default();
        Ok(!error.contains("invalid auth token"))
    }
}

/// Sends a JSON request to etcd's gateway.
fn ask(member: Node, path: &str, body: &Value, token: Option<&str>) -> Result<Value> {
    let within = Duration::from_secs(2);
    let mut connection = Connection::open(member.client(PORT), within)?;
    let answer = connection.post(path, token, &body.to_string()).context("etcd does not answer")?;
    serde_json::from_str(&answer.body).with_context(|| format!("etcd answers {answer:?}"))
}
